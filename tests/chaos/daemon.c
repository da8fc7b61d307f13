/* tests/chaos/daemon.c - see daemon.h. */
#include "tests/chaos/daemon.h"

#include "tests/chaos/board.h"
#include "tests/chaos/child.h"
#include "tests/chaos/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHM "/dev/shm/"
#define CTL_MS 30000

/* Small, so that it is always short; what one client may hold leaves room for the others. */
static const char configuration[] = "[segment]\nsize = 128M\n[reclaim]\ndeadline = 300\n"
				    "[limits]\nclient_max = 30%\n";

bool daemon_make(struct daemon *daemon, const char *paged, const char *pagectl)
{
	FILE *file;

	*daemon = (struct daemon){.directory = "/tmp/paged-chaos-XXXXXX"};
	if (!mkdtemp(daemon->directory)) {
		(void)fprintf(stderr, "chaos: no directory: %s\n", strerror(errno));
		return false;
	}
	(void)snprintf(daemon->instance, sizeof(daemon->instance), "chaos-%d", getpid());
	(void)snprintf(daemon->socket, sizeof(daemon->socket), "%s/paged.sock", daemon->directory);
	(void)snprintf(daemon->config, sizeof(daemon->config), "%s/paged.conf", daemon->directory);
	(void)snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->directory);
	(void)snprintf(daemon->paged, sizeof(daemon->paged), "%s", paged);
	(void)snprintf(daemon->pagectl, sizeof(daemon->pagectl), "%s", pagectl);
	file = fopen(daemon->config, "we");
	if (!file)
		return false;
	(void)fputs(configuration, file);
	return fclose(file) == 0;
}

static void become_child(pid_t parent, int out)
{
	child_settle(parent);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO);
}

bool daemon_start(struct daemon *daemon)
{
	char *argv[] = {daemon->paged,        strdup("--foreground"),  strdup("--config"),
			daemon->config,       strdup("--runtime-dir"), daemon->directory,
			strdup("--instance"), daemon->instance,        NULL};
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

		become_child(parent, fd);
		/* A loaded machine would prune the run. */
		(void)setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1);
		execv(argv[0], argv);
		_exit(127);
	}
	free(argv[1]);
	free(argv[2]);
	free(argv[4]);
	free(argv[6]);
	daemon->pid = pid > 0 ? pid : 0;
	return pid > 0;
}

pid_t daemon_server(const struct daemon *daemon)
{
	char path[64];
	FILE *file;
	int pid = 0;

	if (daemon->pid == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", daemon->pid, daemon->pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(file);
	return pid;
}

uint64_t daemon_waited_ns(pid_t server)
{
	unsigned long long waited = 0;
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", server);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &waited) != 1)
		waited = 0;
	(void)fclose(file);
	return waited;
}

bool daemon_listens(const struct daemon *daemon)
{
	uint64_t until = chaos_now_ns() + CHAOS_PATIENCE_MS * UINT64_C(1000000);

	while (chaos_now_ns() < until) {
		int fd = wire_connect(daemon->socket);

		if (fd >= 0) {
			(void)close(fd);
			return true;
		}
		(void)poll(NULL, 0, 1);
	}
	return false;
}

/* --- pagectl -------------------------------------------------------------------------------- */

/* All that comes until the end or the deadline. */
static void drink(int fd, char *ret_text, uint32_t text_bytes)
{
	uint64_t until = chaos_now_ns() + CTL_MS * UINT64_C(1000000);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	uint32_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n + 1 < text_bytes && chaos_now_ns() < until) {
		if (poll(&pollfd, 1, 100) != 1)
			continue;
		got = read(fd, ret_text + n, text_bytes - n - 1);
		n += got > 0 ? (uint32_t)got : 0;
	}
	ret_text[n] = '\0';
}

int daemon_ctl(const struct daemon *daemon, const char *command, char *ret_text,
	       uint32_t text_bytes)
{
	pid_t parent = getpid();
	int pair[2], status = 0;
	pid_t pid;

	ret_text[0] = '\0';
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		become_child(parent, pair[1]);
		execl(daemon->pagectl, daemon->pagectl, "--socket", daemon->socket, command,
		      (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	drink(pair[0], ret_text, text_bytes);
	(void)close(pair[0]);
	if (pid < 0)
		return -1;
	(void)kill(pid, SIGKILL); /* it has ended, or was given up */
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- its log -------------------------------------------------------------------------------- */

uint32_t daemon_own_deaths(const struct daemon *daemon)
{
	FILE *file = fopen(daemon->log, "re");
	char line[512];
	uint32_t n = 0;

	while (file && fgets(line, sizeof(line), file)) {
		bool death = strstr(line, "was killed by SIG") || strstr(line, "ended with status");

		if (!strstr(line, "hangs") && !strstr(line, "giving up") &&
		    !(death && !strstr(line, "SIGKILL")))
			continue;
		if (n++ == 0)
			(void)fprintf(stderr, "chaos: in the daemon's log: %s", line);
	}
	if (file)
		(void)fclose(file);
	return n;
}

void daemon_print_log(const struct daemon *daemon, uint32_t n_lines)
{
	FILE *file = fopen(daemon->log, "re");
	uint32_t n = 0;
	char line[512];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		n++;
	rewind(file);
	for (uint32_t at = 0; fgets(line, sizeof(line), file); at++)
		if (at + n_lines >= n)
			(void)fprintf(stderr, "    %s", line);
	(void)fclose(file);
}

/* --- its files ------------------------------------------------------------------------------ */

uint32_t daemon_segments(const struct daemon *daemon, const char *with, bool remove)
{
	char prefix[64];
	DIR *directory = opendir(SHM);
	uint32_t n = 0;

	(void)snprintf(prefix, sizeof(prefix), "paged-%s-", daemon->instance);
	for (const struct dirent *e; directory && (e = readdir(directory));) {
		char path[sizeof(SHM) + 256];

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || !strstr(e->d_name, with))
			continue;
		n++;
		(void)snprintf(path, sizeof(path), SHM "%s", e->d_name);
		if (remove)
			(void)unlink(path);
	}
	if (directory)
		(void)closedir(directory);
	return n;
}

void daemon_remove(const struct daemon *daemon)
{
	char pressure[96];

	(void)daemon_segments(daemon, "", true);
	(void)snprintf(pressure, sizeof(pressure), "%s/pressure.sock", daemon->directory);
	(void)unlink(pressure); /* of a daemon that did not stop in order */
	(void)unlink(daemon->socket);
	(void)unlink(daemon->config);
	(void)unlink(daemon->log);
	(void)rmdir(daemon->directory);
}
