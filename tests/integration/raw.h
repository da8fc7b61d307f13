/* tests/integration/raw.h - the socket without the library: bytes by hand, and what comes back.
 *
 * Requests are encoded here byte by byte, so that they need not be what the codec would write;
 * answers are decoded by the codec. */
#ifndef TESTS_INTEGRATION_RAW_H
#define TESTS_INTEGRATION_RAW_H
#include "paged/message.h"
#include "shm/view.h"
#include "tests/integration/fixture.h"

struct raw {
	uint8_t byte[MESSAGE_BYTES_MAX + 4096];
	size_t n;
};

void raw_varint(struct raw *raw, uint64_t value);
/* A field of type varint, fixed64, or length-delimited. */
void raw_number(struct raw *raw, uint32_t field, uint64_t value);
void raw_fixed64(struct raw *raw, uint32_t field, uint64_t value);
void raw_bytes(struct raw *raw, uint32_t field, const void *bytes, size_t n);
/* The envelope of Message: id and one body. */
void raw_message(struct raw *ret_raw, uint64_t id, enum message_kind kind, const struct raw *body);
/* The same with the body's fields 1, 2 ... set to numbers; those that are 0 are left out. */
void raw_request(struct raw *ret_raw, uint64_t id, enum message_kind kind, uint32_t n,
		 const uint64_t *fields);

/* -1 if nobody listens. */
int raw_connect(const struct fixture *fixture);
bool raw_send(int fd, const struct raw *raw);
/* Receives one message: 1, 0 at EOF, -1 if none came in time or it is none. Descriptors go to fds
 * (up to MESSAGE_FDS_MAX, -1 where there is none), or are closed if that is NULL. */
int raw_receive(int fd, struct message *ret_message, int *fds);
/* Sends and receives the reply to it; its status, or INT32_MIN if none came. */
int32_t raw_call(int fd, const struct raw *raw, struct message *ret_reply);
/* The same, encoded by raw_request() with id 7; asserts that the reply is the one to it and that a
 * refusal has a text. ret_reply may be NULL. */
int32_t raw_ask(int fd, enum message_kind kind, uint32_t n, const uint64_t *fields,
		struct message *ret_reply);
#define RAW_FIELDS(...)                                                                            \
	(sizeof((uint64_t[]){__VA_ARGS__}) / 8), (uint64_t[])                                      \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
/* Alloc on lane 0, which must be met; the block's pfn. */
uint32_t raw_take(int fd, uint64_t seq, uint64_t order);
/* The client's frees that were refused so far. */
uint64_t raw_bad_frees(int fd);
/* A client that has said Hello; its id in *ret_client if that is not NULL. -1: refused. */
int raw_hello(const struct fixture *fixture, uint32_t flags, uint32_t *ret_client);
/* True if the daemon has closed the connection, or does so now. */
bool raw_is_closed(int fd);

/* META as an observer sees it. */
struct observer {
	int fd;
	int meta_fd;
	struct shm_view view;
};
bool observer_open(struct observer *observer, const struct fixture *fixture);
void observer_close(struct observer *observer);
/* The client with that pid and name (NULL: any); NULL if there is none. */
const struct shm_client *observer_find(const struct observer *observer, pid_t pid,
				       const char *name);
uint32_t observer_count_clients(const struct observer *observer);
/* Do the numbers of the clients add up to those of the segment? Only when nobody is at work. */
bool observer_adds_up(const struct observer *observer);
/* Waits until they do. */
bool observer_settles(const struct observer *observer);
/* Waits until no client is there and every frame is free. */
bool observer_all_free(const struct observer *observer);

#endif
