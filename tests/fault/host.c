/* tests/fault/host.c - see host.h. */
#include "tests/fault/host.h"

#include "tests/integration/clock.h"
#include "tests/integration/program.h"
#include "tests/support/log_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHM "/dev/shm/"
#define ANSWER_MS 500
/* In a row without a change. Lower: a connection that is being closed counts; higher: time. */
#define FD_LOOKS 3u

/* --- places --------------------------------------------------------------------------------- */

static bool make_control(struct host *host)
{
	int fd = open(host->control_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(struct inject_control)) == 0)
		map = mmap(NULL, sizeof(struct inject_control), PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
	if (fd >= 0)
		(void)close(fd);
	host->control = map == MAP_FAILED ? NULL : map;
	return host->control;
}

static bool write_config(const struct host *host)
{
	char path[96];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/paged.conf", host->directory);
	file = fopen(path, "we");
	if (!file)
		return false;
	(void)fputs(host->options.config, file);
	return fclose(file) == 0;
}

bool host_make(struct host *host, const struct host_options *options)
{
	static unsigned int serial;

	*host = (struct host){
		.options = *options, .directory = "/tmp/paged-fault-XXXXXX", .pidfd = -1};
	if (!mkdtemp(host->directory))
		return false;
	(void)snprintf(host->instance, sizeof(host->instance), "ft-%d-%u", getpid(), ++serial);
	(void)snprintf(host->socket, sizeof(host->socket), "%s/paged.sock", host->directory);
	(void)snprintf(host->log, sizeof(host->log), "%s/log", host->directory);
	(void)snprintf(host->control_path, sizeof(host->control_path), "%s/control",
		       host->directory);
	return write_config(host) && make_control(host);
}

/* Calls `found` for each name of ours in /dev/shm. */
static void walk_shm(const struct host *host, void (*found)(const char *rest, void *arg), void *arg)
{
	char prefix[64];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "paged-%s-", host->instance);
	DIR *directory = opendir(SHM);

	for (const struct dirent *e; directory && (e = readdir(directory));)
		if (strncmp(e->d_name, prefix, n) == 0)
			found(e->d_name + n, arg);
	if (directory)
		(void)closedir(directory);
}

struct strays {
	uint32_t n;
	char *text;
};

static void count_stray(const char *rest, void *arg)
{
	struct strays *strays = arg;

	if (strcmp(rest, "meta") == 0 || strcmp(rest, "state") == 0 || strcmp(rest, "data") == 0)
		return;
	if (strays->n++ == 0)
		(void)snprintf(strays->text, HOST_TEXT_BYTES, "%s", rest);
}

uint32_t host_strays(const struct host *host, char ret_text[HOST_TEXT_BYTES])
{
	struct strays strays = {.text = ret_text};

	walk_shm(host, count_stray, &strays);
	return strays.n;
}

static void remove_segment(const char *rest, void *arg)
{
	const struct host *host = arg;
	char path[sizeof(SHM) + 320];

	(void)snprintf(path, sizeof(path), SHM "paged-%s-%s", host->instance, rest);
	(void)unlink(path);
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void host_done(struct host *host)
{
	host_kill(host);
	walk_shm(host, remove_segment, host);
	if (host->control)
		(void)munmap(host->control, sizeof(*host->control));
	(void)nftw(host->directory, remove_file, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- the daemon ----------------------------------------------------------------------------- */

_Noreturn static void become_daemon(const struct host *host, bool shimmed, pid_t parent)
{
	char config[96];
	int fd = open(host->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)snprintf(config, sizeof(config), "%s/paged.conf", host->directory);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1); /* a loaded machine is no case */
	if (shimmed) {
		(void)setenv("LD_PRELOAD", host->options.shim, 1);
		(void)setenv(INJECT_ENVIRONMENT, host->control_path, 1);
	}
	if (getppid() == parent)
		(void)execl(host->options.paged, host->options.paged, "--foreground", "--config",
			    config, "--runtime-dir", host->directory, "--instance", host->instance,
			    (char *)NULL);
	_exit(127);
}

bool host_start(struct host *host, bool shimmed)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0)
		become_daemon(host, shimmed, parent);
	if (pid < 0)
		return false;
	host->pid = pid;
	host->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return host->pidfd >= 0;
}

bool host_has_ended(struct host *host, uint32_t ms)
{
	struct pollfd death = {.fd = host->pidfd, .events = POLLIN};
	int status = 0;

	if (host->pid == 0)
		return true;
	if (poll(&death, 1, (int)ms) != 1)
		return false;
	(void)waitpid(host->pid, &status, 0);
	(void)close(host->pidfd);
	host->pid = 0;
	host->pidfd = -1;
	host->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	return true;
}

void host_signal(const struct host *host, int signal)
{
	if (host->pid)
		(void)kill(host->pid, signal);
}

void host_kill(struct host *host)
{
	host_signal(host, SIGKILL);
	(void)host_has_ended(host, HOST_PATIENCE_MS);
}

void host_arm(struct host *host, bool later)
{
	uint32_t now = __atomic_load_n(&host->control->generation, __ATOMIC_RELAXED);

	host->control->from_generation = later ? now + 1 : 0;
	__atomic_store_n(&host->control->armed, 1u, __ATOMIC_RELEASE);
}

void host_disarm(struct host *host)
{
	__atomic_store_n(&host->control->armed, 0u, __ATOMIC_RELEASE);
}

/* --- looking at it -------------------------------------------------------------------------- */

/* Says Hello (id 1, versions 1 to 1, observer): the descriptor of META that comes back, or -1. */
static int say_hello(int fd)
{
	static const uint8_t hello[] = {8, 1, 18, 6, 8, 1, 16, 1, 24, 1};
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {0};
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	char bytes[1024];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr packet = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = space,
				.msg_controllen = sizeof(space)};
	const struct cmsghdr *rights;
	int meta = -1;

	if (send(fd, hello, sizeof(hello), MSG_NOSIGNAL) < 0 || poll(&answer, 1, ANSWER_MS) != 1 ||
	    recvmsg(fd, &packet, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	rights = CMSG_FIRSTHDR(&packet);
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&meta, CMSG_DATA(rights), sizeof(meta));
	return meta;
}

bool host_observe(const struct host *host, struct shm_view *ret_view)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[SHM_TEXT_BYTES];
	bool attached = false;
	int meta = -1;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", host->socket);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		meta = say_hello(fd);
	(void)close(fd);
	if (meta >= 0) {
		attached = shm_view_attach(ret_view, meta, text, sizeof(text)) == 0;
		(void)close(meta);
	}
	return attached;
}

bool host_observe_surely(struct host *host, struct shm_view *ret_view)
{
	for (uint64_t until = clock_until(HOST_PATIENCE_MS); !host_observe(host, ret_view);)
		if (host_has_ended(host, 1) || clock_left_ms(until) == 0)
			return false;
	return true;
}

bool host_serves(const struct host *host)
{
	struct shm_view view;
	bool serves = host_observe(host, &view);

	if (serves)
		shm_view_detach(&view);
	return serves;
}

bool host_gets_ready(struct host *host, uint32_t ms)
{
	for (uint64_t until = clock_until(ms); !host_serves(host);)
		if (host_has_ended(host, 1) || clock_left_ms(until) == 0)
			return false;
	return true;
}

pid_t host_server(const struct host *host)
{
	struct shm_view view;
	pid_t pid;

	if (!host_observe(host, &view))
		return 0;
	pid = (pid_t)shm_load32(&view.header->daemon_pid);
	shm_view_detach(&view);
	return pid;
}

static uint32_t count_fds(pid_t server)
{
	char path[48];
	DIR *directory;
	uint32_t n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", server);
	directory = opendir(path);
	while (directory && readdir(directory))
		n++;
	if (directory)
		(void)closedir(directory);
	return n;
}

uint32_t host_count_fds(pid_t server)
{
	uint32_t n = count_fds(server);

	for (uint32_t same = 0; same < FD_LOOKS; same++) {
		uint32_t now;

		(void)clock_pause(UINT64_MAX);
		now = count_fds(server);
		if (now != n)
			same = 0;
		n = now;
	}
	return n;
}

bool host_check(const struct host *host, char ret_text[HOST_TEXT_BYTES])
{
	const char *argv[] = {host->options.pagectl, "--socket", host->socket, "check", NULL};
	struct program ctl;
	bool good;

	program_run(&ctl, argv);
	good = ctl.status == 0 && strncmp(ctl.out, "ok", 2) == 0;
	if (!good)
		(void)snprintf(ret_text, HOST_TEXT_BYTES, "pagectl check: %d %.200s%.200s",
			       ctl.status, ctl.out, ctl.err);
	program_done(&ctl);
	return good;
}

static bool is_all_free(const struct shm_view *view, char ret_text[HOST_TEXT_BYTES])
{
	uint64_t n_free = shm_view_counter(view, COUNTER_nr_free_pages);
	uint32_t n_clients = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		n_clients += shm_load32(&shm_view_client(view, id)->state) != SHM_CLIENT_FREE;
	(void)snprintf(ret_text, HOST_TEXT_BYTES, "%u client(s), %llu of %u frames free", n_clients,
		       (unsigned long long)n_free, view->header->nr_frames);
	return n_clients == 0 && n_free == view->header->nr_frames;
}

bool host_all_free(const struct host *host, char ret_text[HOST_TEXT_BYTES])
{
	uint64_t until = clock_until(HOST_PATIENCE_MS);
	bool free_all = false;

	do {
		struct shm_view view;

		if (!host_observe(host, &view)) {
			(void)snprintf(ret_text, HOST_TEXT_BYTES, "nobody serves");
			continue;
		}
		free_all = is_all_free(&view, ret_text);
		shm_view_detach(&view);
	} while (!free_all && clock_pause(until));
	return free_all;
}

/* --- its log -------------------------------------------------------------------------------- */

bool host_log_has(const struct host *host, const char *text)
{
	return log_file_has(host->log, text);
}

void host_log_error(const struct host *host, char ret_text[HOST_TEXT_BYTES])
{
	char *log = log_file_read(host->log);
	char *rest = log;

	ret_text[0] = '\0';
	for (const char *line; (line = strsep(&rest, "\n"));)
		if (strstr(line, "error: ") || strncmp(line, "paged: ", 7) == 0)
			(void)snprintf(ret_text, HOST_TEXT_BYTES, "%s", line);
	free(log);
}
