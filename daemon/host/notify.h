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
void notify_alive(void);

/* How often the service manager wants notify_alive() at least, in ms; 0 if it does not watch us. */
uint64_t notify_watchdog_ms(void);

/* The listening socket that the service manager passed, in *ret_fd, or -1 if it passed none.
 * Returns 0, or -EINVAL with a sentence in text if it passed something else. To be called once. */
int notify_take_listener(int *ret_fd, char *text, size_t text_bytes);

#endif
