/* daemon/host/psi_socket.h - the segment's pressure for programs that know nothing of
 * libpageclient.
 *
 * A Unix stream socket in the form of systemd's pressure protocol, so that
 * MEMORY_PRESSURE_WATCH=/run/paged/pressure.sock is all that a program with sd-event or GLib needs:
 *
 *   connect, then write a trigger, or nothing for a second:   "some 200000 2000000"
 *                 kind, stall and window in microseconds, as in a PSI file of the kernel's; ended
 * by a newline, by a NUL, or by that second wait for POLLIN, read and throw away what comes: in the
 * window more time was stalled than that. At most one byte per window; somebody who does not read
 * has it waiting. EOF           the daemon has ended or is being replaced: connect again
 *
 * A trigger of its own is watched as the kernel does it: ten looks per window, none while nobody
 * waits for frames and no window has anything left. A subscriber says nothing else, ever: what is
 * no trigger, more than TRIGGER_BYTES, or comes after the trigger, ends its connection without a
 * word. So does EOF: half-closed is closed.
 *
 * At most PSI_SOCKET_MAX subscribers. When all places are taken, a newcomer gets that of the newest
 * of the user who has most, if that one has at least two more than the newcomer's user; else it is
 * closed at once. So nobody keeps others out by being first.
 *
 * The socket is the server's own: it opens it anew at every start (endpoint.h removes a stale
 * file), and subscribers see the EOF of a crash. Nothing that they send reaches the session. */
#ifndef DAEMON_HOST_PSI_SOCKET_H
#define DAEMON_HOST_PSI_SOCKET_H
#include "daemon/core/psi.h"

#include <stddef.h>
#include <uv.h>

/* Lower refuses programs; higher costs a descriptor each, and a look at each ten times a window. */
#define PSI_SOCKET_MAX 64u
#define PSI_SOCKET_TRIGGER_BYTES 64u

struct psi_socket;

struct psi_trigger {
	enum shm_psi_kind kind;
	uint64_t stall_us, window_us;
};
/* "some 200000 2000000": 0, or -EINVAL. A window has 500 ms to 10 s, as the kernel's, and the stall
 * is more than 0 and no longer than that. Nothing may follow but blanks. */
int psi_trigger_parse(const char *text, struct psi_trigger *ret_trigger);

struct psi_socket_options {
	int listen_fd; /* taken over */
	/* Total of kind up to now, in ns; and does it grow? */
	uint64_t (*stalled_ns)(void *arg, enum shm_psi_kind kind);
	bool (*is_stalled)(void *arg);
	void *arg;
};

/* 0 or -errno; then listen_fd is the caller's still. */
int psi_socket_open(uv_loop_t *loop, const struct psi_socket_options *options,
		    struct psi_socket **ret_socket);
/* Somebody began to wait for frames: looks begin. Cheap; may be called after every event. */
void psi_socket_wake(struct psi_socket *psi_socket);
uint32_t psi_socket_count(const struct psi_socket *psi_socket);
/* Closes all; the memory goes when the loop has closed the handles. */
void psi_socket_close(struct psi_socket *psi_socket);

#endif
