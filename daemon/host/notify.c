/* daemon/host/notify.c - see notify.h. */
#include "daemon/host/notify.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#ifdef PAGED_SYSTEMD
#include <systemd/sd-daemon.h>

static void send_state(const char *state)
{
	(void)sd_notify(0, state);
}

static int passed_fds(void)
{
	return sd_listen_fds(1);
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

static int passed_fds(void)
{
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

void notify_alive(void)
{
	send_state("WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	return watchdog_us() / 1000;
}

int notify_take_listener(int *ret_fd, char *text, size_t text_bytes)
{
	int n = passed_fds();

	*ret_fd = -1;
	if (n <= 0)
		return 0;
	if (n > 1 || !is_listener(FIRST_FD)) {
		(void)snprintf(text, text_bytes,
			       "the service manager passed %d descriptor(s); one listening Unix "
			       "socket (ListenSequentialPacket=) would be right",
			       n);
		return -EINVAL;
	}
	*ret_fd = FIRST_FD;
	return 0;
}
