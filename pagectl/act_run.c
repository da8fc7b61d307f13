/* pagectl/act_run.c - `pagectl run -- COMMAND`: a command, and a daemon for as long as it runs.
 *
 *   pagectl run
 *     |-- paged       its own process group: Ctrl-C is the command's; SIGTERM if we die
 *     `-- COMMAND     our process group, our terminal, $PAGED_SOCKET
 *
 * The segment is backed by memfds, so that it ends with its last user even if all of us are killed;
 * what could stay then is the directory with the socket and the log. Like env(1) and timeout(1) it
 * ends as the command does, and has 125 to 127 for itself: 1 to 3 are the command's to use.
 *
 * One thread, one poll: signals by a signalfd, deaths by pidfds. */
#include "pagectl/human.h"
#include "pagectl/pagectl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_DEFAULT                                                                               \
	"64M" /* for a test; a fourth of the machine, paged's default, is for services */
#define DIRECTORY_BYTES 80u /* a socket in it is to fit into 107 */

/* Lower: a daemon on a busy machine counts as failed. Higher: one that hangs holds us up. */
#define START_MS 20000u
#define STOP_MS 10000u
#define KNOCK_MS 5u /* between two looks whether it serves */

enum { EXIT_NO_DAEMON = 125, EXIT_NOT_RUN = 126, EXIT_NO_COMMAND = 127, EXIT_SIGNAL = 128 };

struct run {
	const struct pagectl *ctl;
	char directory[DIRECTORY_BYTES];
	char socket[DIRECTORY_BYTES + 16], config[DIRECTORY_BYTES + 16], log[DIRECTORY_BYTES + 16];
	sigset_t taken, before; /* signals that come by signal_fd; the mask that we found */
	int signal_fd;
	pid_t daemon, command; /* 0: not started, or reaped */
	int daemon_fd, command_fd;
};

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static void complain(const char *what, const char *name)
{
	fprintf(stderr, "pagectl: %s %s: %s\n", what, name, human_errno(errno).s);
}

/* --- the directory -------------------------------------------------------------------------- */

static bool make_directory(struct run *run)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (!base || !base[0] || access(base, W_OK) < 0)
		base = getenv("TMPDIR");
	if (!base || !base[0] || strlen(base) > DIRECTORY_BYTES - 32)
		base = "/tmp";
	(void)snprintf(run->directory, sizeof(run->directory), "%.48s/paged-run-XXXXXX", base);
	if (!mkdtemp(run->directory)) {
		complain("run: no directory", run->directory);
		run->directory[0] = '\0';
		return false;
	}
	(void)snprintf(run->socket, sizeof(run->socket), "%s/paged.sock", run->directory);
	(void)snprintf(run->config, sizeof(run->config), "%s/paged.conf", run->directory);
	(void)snprintf(run->log, sizeof(run->log), "%s/log", run->directory);
	return true;
}

/* What is in it are our files and the daemon's sockets; no folders. */
static void remove_directory(struct run *run)
{
	DIR *directory = run->directory[0] ? opendir(run->directory) : NULL;

	for (const struct dirent *e; directory && (e = readdir(directory));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(directory), e->d_name, 0);
	if (directory)
		(void)closedir(directory);
	if (run->directory[0])
		(void)rmdir(run->directory);
}

static bool copy_file(const char *from, FILE *to)
{
	FILE *file = fopen(from, "re");
	char buffer[4096];
	bool good = file != NULL;

	for (size_t n; good && (n = fread(buffer, 1, sizeof(buffer), file)) > 0;)
		good = fwrite(buffer, 1, n, to) == n;
	if (file) {
		good = good && !ferror(file);
		(void)fclose(file);
	}
	return good;
}

/* The user's file, if there is one, and behind it what has the last word. */
static bool write_config(const struct run *run)
{
	const struct pagectl *ctl = run->ctl;
	const char *size = ctl->size ? ctl->size : SIZE_DEFAULT;
	FILE *file = fopen(run->config, "we");

	if (!file) {
		complain("run: cannot write", run->config);
		return false;
	}
	if (ctl->config && !copy_file(ctl->config, file)) {
		complain("run: cannot read", ctl->config);
		(void)fclose(file);
		return false;
	}
	(void)fputs("\n[segment]\nbacking = memfd\n", file);
	if (ctl->size || !ctl->config)
		(void)fprintf(file, "size = %s\n", size);
	if (fclose(file)) {
		complain("run: cannot write", run->config);
		return false;
	}
	return true;
}

static void show_log(const struct run *run)
{
	(void)copy_file(run->log, stderr);
}

/* --- processes ------------------------------------------------------------------------------ */

/* The daemon: beside pagectl if that is where it was installed, else wherever $PATH has it. */
static void find_paged(const struct run *run, char ret_path[PATH_MAX])
{
	ssize_t n;
	char *slash;

	if (run->ctl->paged) {
		(void)snprintf(ret_path, PATH_MAX, "%s", run->ctl->paged);
		return;
	}
	n = readlink("/proc/self/exe", ret_path, PATH_MAX - sizeof("paged"));
	ret_path[n > 0 ? n : 0] = '\0';
	slash = strrchr(ret_path, '/');
	if (slash)
		memcpy(slash + 1, "paged", sizeof("paged"));
	if (!slash || access(ret_path, X_OK) < 0)
		(void)snprintf(ret_path, PATH_MAX, "paged");
}

_Noreturn static void become_daemon(const struct run *run, const char *path, pid_t parent)
{
	static const char *const not_its[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
					      "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int log = run->ctl->want_verbose
			  ? dup(STDERR_FILENO)
			  : open(run->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_NO_DAEMON);
	for (size_t i = 0; i < sizeof(not_its) / sizeof(not_its[0]); i++)
		(void)unsetenv(not_its[i]);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(log, STDOUT_FILENO);
	(void)dup2(log, STDERR_FILENO);
	(void)sigprocmask(SIG_SETMASK, &run->before, NULL);
	execlp(path, "paged", "--foreground", "--config", run->config, "--runtime-dir",
	       run->directory, (char *)NULL);
	complain("run: cannot start", path);
	_exit(EXIT_NO_DAEMON);
}

_Noreturn static void become_command(const struct run *run)
{
	char **program = run->ctl->program;
	int error;

	(void)setenv("PAGED_SOCKET", run->socket, 1);
	(void)sigprocmask(SIG_SETMASK, &run->before, NULL);
	execvp(program[0], program);
	error = errno;
	complain("run: cannot run", program[0]);
	_exit(error == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_RUN);
}

/* Forks; the child goes on in one of the two above. False with a sentence if that failed. */
static bool spawn(struct run *run, bool is_daemon, const char *path)
{
	pid_t self = getpid(), pid;
	int fd;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0 && is_daemon)
		become_daemon(run, path, self);
	if (pid == 0)
		become_command(run);
	fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		complain("run: no process for", is_daemon ? path : run->ctl->program[0]);
	if (fd < 0 && pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	if (fd < 0)
		return false;
	*(is_daemon ? &run->daemon : &run->command) = pid;
	*(is_daemon ? &run->daemon_fd : &run->command_fd) = fd;
	return true;
}

/* Its exit status as a shell has it. */
static int reap(pid_t *pid, int *fd)
{
	int status = 0;

	(void)waitpid(*pid, &status, 0);
	(void)close(*fd);
	*pid = 0;
	*fd = -1;
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- waiting -------------------------------------------------------------------------------- */

/* Takes one signal. Returns its number, or 0 if none is there; *ret_from_terminal: the command has
 * it already, as a process of the terminal's. */
static int take_signal(const struct run *run, bool *ret_from_terminal)
{
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	*ret_from_terminal = info.ssi_code == SI_KERNEL;
	return (int)info.ssi_signo;
}

static bool serves(const struct run *run)
{
	struct connection connection;
	char text[CONNECT_TEXT_BYTES];

	if (connection_open(&connection, run->socket, NULL, text, sizeof(text)) != 0)
		return false;
	connection_close(&connection);
	return true;
}

/* 0: the daemon serves; else what run ends with. */
static int start_daemon(struct run *run)
{
	char path[PATH_MAX];
	bool from_terminal;
	int signal = 0;

	find_paged(run, path);
	if (!spawn(run, true, path))
		return EXIT_NO_DAEMON;
	for (uint32_t waited = 0; waited < START_MS; waited += KNOCK_MS) {
		struct pollfd fds[2] = {{.fd = run->daemon_fd, .events = POLLIN},
					{.fd = run->signal_fd, .events = POLLIN}};

		if (serves(run))
			return 0;
		if (poll(fds, 2, (int)KNOCK_MS) <= 0)
			continue;
		if (fds[1].revents)
			signal = take_signal(run, &from_terminal);
		if (signal)
			return EXIT_SIGNAL + signal;
		if (fds[0].revents)
			break;
	}
	show_log(run);
	fprintf(stderr, "pagectl: run: %s does not serve\n", path);
	return EXIT_NO_DAEMON;
}

static int run_command(struct run *run)
{
	if (!spawn(run, false, NULL))
		return EXIT_NOT_RUN;
	for (;;) {
		struct pollfd fds[2] = {{.fd = run->command_fd, .events = POLLIN},
					{.fd = run->signal_fd, .events = POLLIN}};
		bool from_terminal = false;
		int signal = 0;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return EXIT_NOT_RUN;
		if (fds[0].revents)
			return reap(&run->command, &run->command_fd);
		if (fds[1].revents)
			signal = take_signal(run, &from_terminal);
		if (signal && !from_terminal)
			(void)kill(run->command, signal);
	}
}

static void stop_daemon(struct run *run)
{
	struct pollfd death = {.fd = run->daemon_fd, .events = POLLIN};

	if (!run->daemon)
		return;
	(void)kill(run->daemon, SIGTERM);
	if (poll(&death, 1, (int)STOP_MS) != 1) {
		fputs("pagectl: run: the daemon does not stop, so it is killed\n", stderr);
		(void)kill(-run->daemon, SIGKILL); /* the group: its server, too */
		(void)kill(run->daemon, SIGKILL);
	}
	(void)reap(&run->daemon, &run->daemon_fd);
}

int act_run(struct pagectl *ctl)
{
	struct run run = {.ctl = ctl, .signal_fd = -1, .daemon_fd = -1, .command_fd = -1};
	int r = EXIT_NO_DAEMON;

	(void)sigemptyset(&run.taken);
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaddset(&run.taken, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &run.taken, &run.before);
	run.signal_fd = signalfd(-1, &run.taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run.signal_fd >= 0 && make_directory(&run) && write_config(&run))
		r = start_daemon(&run);
	if (r == 0)
		r = run_command(&run);
	stop_daemon(&run);
	remove_directory(&run);
	if (run.signal_fd >= 0)
		(void)close(run.signal_fd);
	/* The signals stay blocked: one that came with the command's end is not to change ours. */
	return r;
}
