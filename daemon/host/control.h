/* daemon/host/control.h - what a server tells its supervisor, and what it gets from it at birth.
 *
 * One SOCK_SEQPACKET pair per server, one fixed struct per message, in one direction only: the
 * supervisor speaks by signals and by what a fork hands on. KEEP carries the descriptor of a
 * client's CTL, so that the next server finds it; DROP says that it is not needed any more.
 *
 * Nobody waits for anybody: what does not fit into the socket is told again with the next ALIVE
 * (KEEP, DROP) or is lost. A lost KEEP costs nothing as long as its client's Resume brings the CTL.
 *
 * The server serves strangers, so what comes from it is checked: size, kind, client, descriptors;
 * its text cannot forge a line for the service manager.
 *
 * Without a supervisor (fd is -1) all goes to the service manager at once. */
#ifndef DAEMON_HOST_CONTROL_H
#define DAEMON_HOST_CONTROL_H
#include "shm/layout.h"

#include <stdbool.h>

#define CONTROL_KINDS(X)                                                                           \
	X(READY, "ready")         /* text: it serves; also after RELOADING */                      \
	X(RELOADING, "reloading") /* READY follows */                                              \
	X(STOPPING, "stopping")   /* in order, and for good */                                     \
	X(ALIVE, "alive") /* its loop runs and found itself sane; text: "", or its status */       \
	X(KEEP, "keep")   /* client, and its CTL as a descriptor */                                \
	X(DROP, "drop")   /* client */
enum control_kind {
#define X(name, text) CONTROL_##name,
	CONTROL_KINDS(X)
#undef X
		CONTROL_NR_KINDS
};
const char *control_kind_name(enum control_kind kind);

#define CONTROL_TEXT_BYTES 120u

struct control_message {
	uint32_t kind;                 /* enum control_kind */
	uint32_t client;               /* KEEP and DROP: 1 to SHM_MAX_CLIENTS */
	char text[CONTROL_TEXT_BYTES]; /* READY, ALIVE; ends with a NUL */
};
static_assert(sizeof(struct control_message) == 128, "as long for everybody");

struct control {           /* the server's end */
	int fd;            /* -1: no supervisor */
	uint32_t alive_ms; /* ALIVE is to be said so often */
	bool reload;       /* SIGHUP came since the configuration was read at the start */
	int ctl[SHM_MAX_CLIENTS + 1]; /* that the servers before told to KEEP; -1 where none */
};

/* An end for a process without a supervisor. */
void control_init(struct control *ret_control);
/* Closes the CTLs that nobody has taken. Idempotent. */
void control_close_ctls(struct control *control);
/* The same, and the socket. */
void control_close(struct control *control);

/* READY, RELOADING, STOPPING or ALIVE. text may be NULL. */
void control_tell(const struct control *control, enum control_kind kind, const char *text);
/* KEEP if fd is not -1, else DROP. 0 if it was told, or there is nobody to tell; -errno. */
int control_keep(const struct control *control, client_id client, int fd);

/* The supervisor's: one message, checked. 1: *ret_message is one, and *ret_fd its descriptor (the
 * caller's) or -1. 0: none is there. -EPIPE: none will come any more. -EBADMSG: one that no server
 * sends; it was dropped. -errno. */
int control_receive(int fd, struct control_message *ret_message, int *ret_fd);
/* Passes what a message says on to the service manager. KEEP and DROP are none of its business. */
void control_notify(enum control_kind kind, const char *text);

#endif
