/* daemon/host/notify.h - the service manager: what we tell it, and the socket it may have for us.
 *
 * Without libsystemd at build time, or without NOTIFY_SOCKET and LISTEN_FDS in the environment, all
 * of this does nothing. */
#ifndef DAEMON_HOST_NOTIFY_H
#define DAEMON_HOST_NOTIFY_H
#include <stddef.h>
#include <stdint.h>

/* Each may be called at any time and never fails: nobody listening is fine. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(void);
/* status may be NULL: it stays as it was. */
void notify_alive(const char *status);

/* Gives the manager a copy of fd to hold until the next start of the service, under that name; or
 * ends that. Nobody waits for an answer: what it does not take is lost with us. */
void notify_store(const char *name, int fd);
void notify_unstore(const char *name);

/* How often the service manager wants notify_alive() at least, in ms; 0 if it does not watch us. */
uint64_t notify_watchdog_ms(void);

/* What the service manager passed: the listening socket into *ret_fd, -1 if there is none, and each
 * file that was stored to take(), with its name. Returns 0, or -EINVAL with a sentence in text if
 * it passed something else. To be called once. */
int notify_take_passed(void (*take)(void *arg, const char *name, int fd), void *arg, int *ret_fd,
		       char *text, size_t text_bytes);

#endif
