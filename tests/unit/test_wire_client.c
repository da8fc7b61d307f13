/* tests/unit/test_wire_client.c - daemon/wire: event sockets, deaths, and handlers that end what
 * they are called for. */
#include "tests/unit/wire_fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENT 7u

extern CU_TestInfo test_wire_client[];

static void upcalls_go_and_come_back_on_the_event_socket(void)
{
	struct wire_fixture f;
	struct message shrink = {.kind = MESSAGE_SHRINK, .id = 5};
	struct message done = {.kind = MESSAGE_SHRINK_DONE, .id = 5};
	int fd, events = -1, ignored = -1, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL(wire_client_open(f.wire, 1, CLIENT, &ignored), -ENOTCONN);
	CU_ASSERT_EQUAL_FATAL(wire_client_open(f.wire, 0, CLIENT, &events), 0);
	CU_ASSERT_EQUAL(wire_client_open(f.wire, 0, CLIENT + 1, &ignored), -EBUSY);
	wire_upcall(f.wire, CLIENT, &shrink);
	CU_ASSERT_EQUAL(wire_fixture_hear(events, &got), 5);
	wire_fixture_say(events, &done);
	wire_fixture_wait(&f, EVENT_UPCALL_DONE, 1);
	CU_ASSERT_EQUAL(f.last.client, CLIENT);
	CU_ASSERT_EQUAL(f.message.kind, MESSAGE_SHRINK_DONE);
	close(fd);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	wire_upcall(f.wire, CLIENT, &shrink); /* outlives the call socket */
	CU_ASSERT_EQUAL(wire_fixture_hear(events, &got), 5);
	close(events);
	wire_fixture_wait(&f, EVENT_EVENTS_CLOSED, 1);
	wire_upcall(f.wire, CLIENT, &shrink);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_EVENTS_CLOSED], 1);
	wire_client_close(f.wire, CLIENT);
	wire_client_close(f.wire, CLIENT);
	wire_fixture_teardown(&f);
}

static void a_client_that_lets_upcalls_pile_up_loses_its_event_socket(void)
{
	struct wire_fixture f;
	struct message shrink = {.kind = MESSAGE_SHRINK, .id = 5};
	int fd, events = -1;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL_FATAL(wire_client_open(f.wire, 0, CLIENT, &events), 0);
	for (int i = 0; i < 5000; i++)
		wire_upcall(f.wire, CLIENT, &shrink);
	wire_fixture_wait(&f, EVENT_EVENTS_CLOSED, 1);
	CU_ASSERT_EQUAL(f.n[EVENT_CLOSED], 0);
	close(events);
	close(fd);
	wire_fixture_teardown(&f);
}

static void death_is_told_once_and_by_the_pidfd_only(void)
{
	struct wire_fixture f;
	int events = -1, status;
	pid_t pid;

	wire_fixture_setup(&f);
	pid = wire_fixture_child(&f);
	wire_fixture_wait(&f, EVENT_MESSAGE, 1);
	CU_ASSERT_EQUAL_FATAL(wire_client_open(f.wire, 0, CLIENT, &events), 0);
	close(events);
	wire_fixture_wait(&f, EVENT_EVENTS_CLOSED, 1);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_DIED], 0);
	kill(pid, SIGKILL);
	wire_fixture_wait(&f, EVENT_DIED, 1);
	CU_ASSERT_EQUAL(f.last.kind == EVENT_DIED ? f.last.client : CLIENT, CLIENT);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	waitpid(pid, &status, 0);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_DIED], 1);
	wire_client_close(f.wire, CLIENT);
	wire_fixture_teardown(&f);
}

static void end_everything_at_the_second(struct wire_fixture *f, const struct session_event *event)
{
	if (event->kind != EVENT_MESSAGE || f->n[EVENT_MESSAGE] != 2)
		return;
	wire_client_close(f->wire, CLIENT);
	wire_end(f->wire, event->conn);
	wire_end(f->wire, event->conn);
}

static void a_handler_may_end_what_it_is_called_for(void)
{
	struct wire_fixture f;
	int fd, events = -1;

	wire_fixture_setup(&f);
	f.hook = end_everything_at_the_second;
	fd = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL_FATAL(wire_client_open(f.wire, 0, CLIENT, &events), 0);
	for (int i = 0; i < 4; i++)
		wire_fixture_say(fd, &wire_fixture_hello);
	wire_fixture_wait(&f, EVENT_MESSAGE, 2);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_MESSAGE], 2);
	CU_ASSERT_EQUAL(f.n[EVENT_CLOSED], 0);
	close(events);
	close(fd);
	wire_fixture_teardown(&f);
}

static void close_the_wire(struct wire_fixture *f, const struct session_event *event)
{
	(void)event;
	if (f->wire)
		wire_close(f->wire);
	f->wire = NULL;
}

static void a_handler_may_close_the_wire(void)
{
	for (int during_accept = 0; during_accept < 2; during_accept++) {
		struct wire_fixture f;
		int fd, other, events = -1;

		wire_fixture_setup(&f);
		fd = wire_fixture_dial_accepted(&f);
		CU_ASSERT_EQUAL_FATAL(wire_client_open(f.wire, 0, CLIENT, &events), 0);
		f.hook = close_the_wire;
		other = wire_fixture_dial(&f);
		if (!during_accept) {
			for (int i = 0; i < 3; i++)
				wire_fixture_say(fd, &wire_fixture_hello);
		}
		while (f.wire && !f.is_late)
			uv_run(&f.loop, UV_RUN_ONCE);
		CU_ASSERT_TRUE(f.n[EVENT_MESSAGE] <= 1);
		close(other);
		close(events);
		close(fd);
		wire_fixture_teardown(&f);
	}
}

CU_TestInfo test_wire_client[] = {
	{"upcalls go and come back on the event socket",
	 upcalls_go_and_come_back_on_the_event_socket},
	{"a client that lets upcalls pile up loses its event socket",
	 a_client_that_lets_upcalls_pile_up_loses_its_event_socket},
	{"death is told once and by the pidfd only", death_is_told_once_and_by_the_pidfd_only},
	{"a handler may end what it is called for", a_handler_may_end_what_it_is_called_for},
	{"a handler may close the wire", a_handler_may_close_the_wire},
	CU_TEST_INFO_NULL,
};
