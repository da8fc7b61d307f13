/* daemon/host/notify.c - see notify.h. */
#include "daemon/host/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#ifdef PAGED_SYSTEMD
#include <systemd/sd-daemon.h>

static void send_state(const char *state)
{
	(void)sd_notify(0, state);
}

static void send_fd(const char *state, int fd)
{
	(void)sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

/* *ret_names: freed by the caller, as are the names in it; NULL if there are none. */
static int passed_fds(char ***ret_names)
{
	int n = sd_listen_fds_with_names(1, ret_names);

	if (n <= 0)
		*ret_names = NULL;
	return n;
}

static int is_listener(int fd)
{
	return sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) > 0;
}

static uint64_t watchdog_us(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

#define FIRST_FD SD_LISTEN_FDS_START
#else
static void send_state(const char *state)
{
	(void)state;
}

static void send_fd(const char *state, int fd)
{
	(void)state;
	(void)fd;
}

static int passed_fds(char ***ret_names)
{
	*ret_names = NULL;
	return 0;
}

static int is_listener(int fd)
{
	(void)fd;
	return 0;
}

static uint64_t watchdog_us(void)
{
	return 0;
}

#define FIRST_FD 3
#endif

void notify_ready(const char *status)
{
	char state[512];

	(void)snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", status);
	send_state(state);
}

void notify_status(const char *status)
{
	char state[512];

	(void)snprintf(state, sizeof(state), "STATUS=%s", status);
	send_state(state);
}

void notify_reloading(void)
{
	char state[96];
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	send_state(state);
}

void notify_stopping(void)
{
	send_state("STOPPING=1");
}

void notify_alive(const char *status)
{
	char state[512];

	(void)snprintf(state, sizeof(state), "WATCHDOG=1%s%s", status ? "\nSTATUS=" : "",
		       status ? status : "");
	send_state(state);
}

/* FDPOLL=0: a memfd never hangs up, and what cannot be polled need not be tried. */
void notify_store(const char *name, int fd)
{
	char state[128];

	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	send_fd(state, fd);
}

void notify_unstore(const char *name)
{
	char state[128];

	(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	send_state(state);
}

uint64_t notify_watchdog_ms(void)
{
	return watchdog_us() / 1000;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int notify_take_passed(void (*take)(void *arg, const char *name, int fd), void *arg, int *ret_fd,
		       char *text, size_t text_bytes)
{
	char **names;
	int n = passed_fds(&names);
	bool odd = false;

	*ret_fd = -1;
	for (int i = 0; i < n; i++) {
		int fd = FIRST_FD + i;

		if (is_file(fd))
			take(arg, names[i], fd);
		else if (*ret_fd < 0 && is_listener(fd))
			*ret_fd = fd;
		else
			odd = true;
		free(names[i]);
	}
	free(names);
	if (!odd)
		return 0;
	(void)snprintf(text, text_bytes,
		       "the service manager passed %d descriptor(s); one listening Unix socket "
		       "(ListenSequentialPacket=), and what was stored, would be right",
		       n);
	return -EINVAL;
}
