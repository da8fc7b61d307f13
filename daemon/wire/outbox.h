/* daemon/wire/outbox.h - messages that a peer has no room for yet.
 *
 * A message is sent at once where the socket takes it; only what it does not take is copied here,
 * with duplicates of its descriptors. So the outbox of a peer that reads is always empty and costs
 * nothing, and that of one that does not read ends at its bounds: then the peer is to be
 * disconnected, for a reply that is lost is worse than a connection that is. */
#ifndef DAEMON_WIRE_OUTBOX_H
#define DAEMON_WIRE_OUTBOX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors that may wait in one outbox. Lower than MESSAGE_FDS_MAX: a Hello could not wait.
 * Higher: peers that do not read use up our descriptors. */
#define OUTBOX_FDS_MAX 16u

struct outbox_item;

struct outbox {
	struct outbox_item *head;
	struct outbox_item *tail;
	uint32_t n_messages;
	uint32_t n_fds;
	size_t bytes; /* with what each message costs us beside its own bytes */
	uint32_t messages_max;
	size_t bytes_max;
};

void outbox_init(struct outbox *outbox, size_t bytes_max, uint32_t messages_max);
/* Drops what waits; the outbox may be used again. */
void outbox_done(struct outbox *outbox);
bool outbox_is_empty(const struct outbox *outbox);

/* Sends one packet now. Returns 0, -EAGAIN if the socket has no room, -errno. */
int outbox_send(int fd, const uint8_t *bytes, size_t n_bytes, const int *fds, uint32_t n_fds);

/* Lets a packet wait. Returns 0, -ENOBUFS if a bound is reached, -ENOMEM, -errno of dup. */
int outbox_push(struct outbox *outbox, const uint8_t *bytes, size_t n_bytes, const int *fds,
		uint32_t n_fds);

/* Sends what waits, in order. Returns 0 when it is empty, -EAGAIN if more waits, -errno. */
int outbox_flush(struct outbox *outbox, int fd);

#endif
