/* pagectl/connect.h - the connection of an observer to the daemon.
 *
 * One SOCK_SEQPACKET socket. Hello{observer} brings META's descriptor by SCM_RIGHTS; after it one
 * request is under way at a time. Every wait has an end: a daemon that is stopped is an error with
 * a sentence, not a hang. */
#ifndef PAGECTL_CONNECT_H
#define PAGECTL_CONNECT_H
#include "paged/message.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

/* Room for what was tried and why each failed. */
#define CONNECT_TEXT_BYTES 1024u

struct connection {
	int fd;
	int meta_fd;
	uint64_t next_id;
	struct sockaddr_un address; /* that answered */
};

enum connect_condition {
	CONNECT_OK,
	CONNECT_UNREACHABLE, /* nobody answers there */
	CONNECT_REFUSED,     /* somebody answers, and says no or nothing that we understand */
};

/* Connects to socket, or to runtime_dir/paged.sock, or if both are NULL to $PAGED_SOCKET, or if
 * that is not set to the first of $XDG_RUNTIME_DIR/paged/paged.sock and /run/paged/paged.sock that
 * accepts. Says Hello. Returns 0, or a condition with a text of what was tried and what to do;
 * *connection is untouched then. */
int connection_open(struct connection *connection, const char *socket, const char *runtime_dir,
		    char *text, size_t text_bytes);
/* The same for those who have something else to do: each step waits at most timeout_ms, above 0. */
int connection_open_within(struct connection *connection, const char *socket,
			   const char *runtime_dir, uint32_t timeout_ms, char *text,
			   size_t text_bytes);
void connection_close(struct connection *connection);

/* Sends request (its id is set here) and waits for the reply. Returns 0 with the reply, whose
 * status is the daemon's verdict, or -errno with a text. */
int connection_call(struct connection *connection, struct message *request,
		    struct message_reply *ret_reply, char *text, size_t text_bytes);

#endif
