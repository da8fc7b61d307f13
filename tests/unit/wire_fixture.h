/* tests/unit/wire_fixture.h - a wire on a loop and clients that dial it, for test_wire*.c.
 *
 * Both ends live in one thread: the client's calls never block, because the kernel takes a packet
 * or a connection before the server looks. The loop is run until the event that is waited for has
 * come; a deadline of 10 s turns a bug into a failure instead of a hang. Every test ends with the
 * loop closed and no descriptor more than before. Failures are CUnit's. */
#ifndef TESTS_UNIT_WIRE_FIXTURE_H
#define TESTS_UNIT_WIRE_FIXTURE_H
#include "daemon/wire/wire.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct wire_fixture {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct wire *wire; /* NULL once a test has closed it itself */
	struct sockaddr_un address;
	socklen_t address_bytes;
	int n_fds_before;
	uint32_t n[EVENT_NR_KINDS];
	struct session_event last; /* without its pointers */
	struct message message;    /* of the last event that had one */
	char text[128];
	void (*hook)(struct wire_fixture *fixture, const struct session_event *event);
	void *arg; /* of the hook */
	bool is_late;
	bool is_awake;               /* as wire said last */
	uint32_t n_looks, n_to_find; /* on_look() was called; and finds something so often */
};

/* Listens, with queues of 64 KiB and a busy poll of 20 us. */
void wire_fixture_setup(struct wire_fixture *fixture);
/* Client sockets are closed by now. */
void wire_fixture_teardown(struct wire_fixture *fixture);

/* Runs the loop until n events of that kind have come in all. */
void wire_fixture_wait(struct wire_fixture *fixture, enum session_event_kind kind, uint32_t n);
/* Lets the loop do what it can do now without waiting. */
void wire_fixture_settle(struct wire_fixture *fixture);

/* A client socket; the second waits for its ACCEPTED. */
int wire_fixture_dial(const struct wire_fixture *fixture);
int wire_fixture_dial_accepted(struct wire_fixture *fixture);
/* A process that has connected and said hello, and now waits to be killed. */
pid_t wire_fixture_child(const struct wire_fixture *fixture);

extern const struct message wire_fixture_hello;
void wire_fixture_say(int fd, const struct message *message);
/* A reply with a text of full length. */
struct message wire_fixture_reply(uint64_t id);
/* Receives one message; returns the id of the reply or upcall, 0 for EOF, -errno. *ret_fd is a
 * descriptor that came along, or -1. */
int64_t wire_fixture_hear(int fd, int *ret_fd);

int wire_fixture_count_fds(void);

#endif
