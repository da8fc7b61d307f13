/* tests/chaos/wire.h - the socket without the library, for those who misuse it. */
#ifndef TESTS_CHAOS_WIRE_H
#define TESTS_CHAOS_WIRE_H
#include "paged/message.h"

#include <stdbool.h>
#include <stddef.h>

/* -errno if nobody listens, or the backlog is full. */
int wire_connect(const char *path);
/* The bytes of a message; 0 if it has none. */
size_t wire_encode(const struct message *message, uint8_t *ret_bytes, size_t n_bytes);
/* Does not wait. False: it did not go. */
bool wire_send(int fd, const struct message *message);
/* Waits up to ms. 1; 0 the end; -1 nothing came. Descriptors go to fds (MESSAGE_FDS_MAX of them,
 * -1 where there is none), or are closed if that is NULL. */
int wire_receive(int fd, struct message *ret_message, int *fds, int ms);

#endif
