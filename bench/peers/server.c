/* bench/peers/server.c - see server.h. */
#include "bench/peers/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lower fails on a slow machine; higher only delays the news. */
#define WAIT_NS UINT64_C(10000000000)
#define MAX_WORDS 24u

static int make_folder(struct server *server)
{
	const char *temporary = getenv("TMPDIR");

	if (snprintf(server->folder, sizeof(server->folder), "%s/paged-peers-XXXXXX",
		     temporary && *temporary ? temporary : "/tmp") >= (int)sizeof(server->folder))
		return -ENAMETOOLONG;
	if (!mkdtemp(server->folder)) {
		server->folder[0] = '\0';
		return -errno;
	}
	(void)snprintf(server->socket, sizeof(server->socket), "%s/server.sock", server->folder);
	return 0;
}

static void remove_folder(const struct server *server)
{
	DIR *directory = opendir(server->folder);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	}
	(void)closedir(directory);
	(void)rmdir(server->folder);
}

/* In the child. */
static _Noreturn void become_server(const struct server *server, int cpu, const char *const *argv)
{
	char words[MAX_WORDS][PATH_MAX], *word[MAX_WORDS + 1];
	unsigned n = 0;
	sigset_t none;
	int fd;

	for (; n < MAX_WORDS && argv[n]; n++) {
		bool ours = argv[n][0] == '@';

		(void)snprintf(words[n], sizeof(words[n]), "%s%s%s", ours ? server->folder : "",
			       ours && argv[n][1] ? "/" : "", argv[n] + ours);
		word[n] = words[n];
	}
	word[n] = NULL;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		(void)dup2(fd, STDIN_FILENO);
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)setpgid(0, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)place_take(cpu);
	if (chdir(server->folder) == 0)
		(void)execvp(word[0], word);
	_exit(127);
}

static int write_configuration(const struct server *server, const char *file)
{
	char path[PATH_MAX];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "%s/conf", server->folder);
	stream = fopen(path, "we");
	if (!stream)
		return -errno;
	(void)fputs(file, stream);
	return fclose(stream) ? -errno : 0;
}

int server_start(struct bench *bench, int cpu, const char *const *argv, const char *file,
		 struct server *ret_server)
{
	struct server server = {0};
	int r = make_folder(&server);

	if (r == 0 && file)
		r = write_configuration(&server, file);
	if (r == 0) {
		server.pid = fork();
		if (server.pid == 0)
			become_server(&server, cpu, argv);
		if (server.pid < 0)
			r = -errno;
	}
	if (r < 0) {
		if (server.folder[0])
			remove_folder(&server);
		return bench_fail(bench, r, "%s: %s", argv[0], strerror(-r));
	}
	*ret_server = server;
	return 0;
}

/* -EOPNOTSUPP if it is gone. */
static int look(struct bench *bench, struct server *server)
{
	int status;

	if (waitpid(server->pid, &status, WNOHANG) != server->pid)
		return 0;
	server->pid = 0;
	remove_folder(server);
	return bench_fail(bench, -EOPNOTSUPP,
			  WIFEXITED(status) && WEXITSTATUS(status) == 127
				  ? "its package is not installed"
				  : "its server ended");
}

int server_connect(struct bench *bench, struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t begin = bench_now_ns();
	int fd, r;

	if (strlen(server->socket) >= sizeof(address.sun_path))
		return bench_fail(bench, -ENAMETOOLONG, "%s is too long", server->socket);
	strcpy(address.sun_path, server->socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return bench_fail(bench, -errno, "a socket: %s", strerror(errno));
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = look(bench, server);
		if (r == 0 && bench_now_ns() - begin > WAIT_NS)
			r = bench_fail(bench, -EOPNOTSUPP, "its server does not listen");
		if (r < 0) {
			(void)close(fd);
			return r;
		}
		(void)sched_yield();
	}
	return fd;
}

void server_stop(struct server *server)
{
	uint64_t begin = bench_now_ns();
	int signal_number = SIGTERM;

	if (server->pid <= 0)
		return;
	(void)kill(server->pid, signal_number);
	while (waitpid(server->pid, NULL, WNOHANG) == 0) {
		if (signal_number == SIGTERM && bench_now_ns() - begin > WAIT_NS) {
			signal_number = SIGKILL;
			(void)kill(server->pid, signal_number);
		}
		(void)sched_yield();
	}
	server->pid = 0;
	remove_folder(server);
}
