/* tests/unit/test_wire.c - daemon/wire: listening, call sockets and their queues, against real
 * sockets. */
#include "proto/codec.h"
#include "tests/unit/wire_fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern CU_TestInfo test_wire[];

static void accepting_tells_who_it_is(void)
{
	struct wire_fixture f;
	int a, b;

	wire_fixture_setup(&f);
	a = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL(f.last.conn, 0);
	CU_ASSERT_EQUAL(f.last.peer.pid, (uint32_t)getpid());
	CU_ASSERT_EQUAL(f.last.peer.uid, getuid());
	CU_ASSERT_EQUAL(f.last.peer.gid, getgid());
	CU_ASSERT_TRUE(f.last.peer.pid_start > 0);
	b = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL(f.last.conn, 1);
	close(a);
	close(b);
	wire_fixture_teardown(&f);
}

static void after_a_message_it_looks_for_a_while_and_says_so(void)
{
	struct wire_fixture f;
	int fd;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	CU_ASSERT_FALSE(f.is_awake);
	wire_fixture_say(fd, &wire_fixture_hello);
	wire_fixture_wait(&f, EVENT_MESSAGE, 1);
	CU_ASSERT_TRUE(f.is_awake);
	f.n_to_find = 100; /* each keeps it awake for a while longer */
	while (f.is_awake && !f.is_late)
		uv_run(&f.loop, UV_RUN_NOWAIT);
	CU_ASSERT_EQUAL(f.n_to_find, 0);
	CU_ASSERT_TRUE(f.n_looks > 100);
	close(fd);
	wire_fixture_teardown(&f);
}

static void who_has_work_of_its_own_is_awake_and_looks(void)
{
	struct wire_fixture f;

	wire_fixture_setup(&f);
	for (int i = 0; i < 1000; i++) { /* longer than any spin */
		wire_works(f.wire);
		CU_ASSERT_TRUE(f.is_awake);
		f.n_to_find = 1;
		uv_run(&f.loop, UV_RUN_NOWAIT);
		CU_ASSERT_EQUAL(f.n_to_find, 0);
	}
	while (f.is_awake && !f.is_late)
		uv_run(&f.loop, UV_RUN_NOWAIT);
	CU_ASSERT_FALSE(f.is_awake);
	wire_fixture_teardown(&f);
}

static void a_message_comes_and_a_reply_with_a_descriptor_goes(void)
{
	struct wire_fixture f;
	struct message reply = wire_fixture_reply(1);
	int fd, with, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	wire_fixture_say(fd, &wire_fixture_hello);
	wire_fixture_wait(&f, EVENT_MESSAGE, 1);
	CU_ASSERT_EQUAL(f.message.kind, MESSAGE_HELLO);
	CU_ASSERT_STRING_EQUAL(f.message.hello.name, "test");
	with = open("/dev/null", O_RDONLY | O_CLOEXEC);
	wire_send(f.wire, f.last.conn, &reply, &with, 1);
	close(with);
	CU_ASSERT_EQUAL(wire_fixture_hear(fd, &got), 1);
	CU_ASSERT_TRUE(got >= 0);
	close(got);
	close(fd);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	wire_send(f.wire, 0, &reply, NULL, 0); /* nobody there: ignored */
	wire_end(f.wire, 0);
	wire_fixture_teardown(&f);
}

static void a_number_is_free_again_after_closed(void)
{
	struct wire_fixture f;
	int fd;

	wire_fixture_setup(&f);
	for (uint32_t i = 0; i < 50; i++) {
		fd = wire_fixture_dial_accepted(&f);
		CU_ASSERT_EQUAL(f.last.conn, 0);
		close(fd);
		wire_fixture_wait(&f, EVENT_CLOSED, i + 1);
	}
	wire_fixture_teardown(&f);
}

static void send_with_fd(int fd, const void *bytes, size_t n_bytes, int with)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_len = n_bytes};
	struct msghdr packet = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control.space)};

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	memcpy(CMSG_DATA(&control.header), &with, sizeof(with));
	CU_ASSERT_EQUAL(sendmsg(fd, &packet, MSG_NOSIGNAL), (ssize_t)n_bytes);
}

static void what_is_no_message_is_malformed(void)
{
	static const uint8_t huge[MESSAGE_BYTES_MAX + 1];
	static const uint8_t status[] = {0x72, 0x00};
	struct wire_fixture f;
	int fd, n_fds;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL(send(fd, "\xff\xff", 2, 0), 2);
	wire_fixture_wait(&f, EVENT_MALFORMED, 1);
	CU_ASSERT_EQUAL(send(fd, huge, sizeof(huge), 0), (ssize_t)sizeof(huge));
	wire_fixture_wait(&f, EVENT_MALFORMED, 2);
	CU_ASSERT_STRING_EQUAL(f.text, "message larger than 65536 bytes");
	n_fds = wire_fixture_count_fds();
	send_with_fd(fd, status, sizeof(status), fd);
	wire_fixture_wait(&f, EVENT_MALFORMED, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "descriptor"));
	CU_ASSERT_EQUAL(wire_fixture_count_fds(), n_fds);
	CU_ASSERT_EQUAL(send(fd, status, sizeof(status), 0), 2);
	wire_fixture_wait(&f, EVENT_MESSAGE, 1);
	close(fd);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	wire_fixture_teardown(&f);
}

#define MANY 16u

/* Who spoke, in the order in which it was heard. */
struct roll {
	uint32_t n;
	uint32_t conn[2 * MANY];
};

static void call_the_roll(struct wire_fixture *f, const struct session_event *event)
{
	struct roll *roll = f->arg;

	if (event->kind == EVENT_MESSAGE && roll->n < 2 * MANY)
		roll->conn[roll->n++] = event->conn;
}

/* There is always a next message of the same one, as of one that has its answer and asks again. */
static void of_two_with_many_messages_each_has_its_turn(void)
{
	static const struct message status = {.kind = MESSAGE_STATUS};
	struct roll roll = {.n = 0};
	struct wire_fixture f;
	int one, other;

	wire_fixture_setup(&f);
	one = wire_fixture_dial_accepted(&f);
	other = wire_fixture_dial(&f);
	wire_fixture_wait(&f, EVENT_ACCEPTED, 2);
	f.arg = &roll;
	f.hook = call_the_roll;
	for (uint32_t i = 0; i < MANY; i++) {
		wire_fixture_say(one, &status);
		wire_fixture_say(other, &status);
	}
	wire_fixture_wait(&f, EVENT_MESSAGE, 2 * MANY);
	CU_ASSERT_EQUAL(roll.n, 2 * MANY);
	for (uint32_t i = 0; i + 1 < roll.n; i += 2)
		CU_ASSERT_NOT_EQUAL(roll.conn[i], roll.conn[i + 1]);
	close(one);
	close(other);
	wire_fixture_wait(&f, EVENT_CLOSED, 2);
	wire_fixture_teardown(&f);
}

static void what_was_said_before_a_close_is_still_read(void)
{
	struct wire_fixture f;
	struct message reply = wire_fixture_reply(9), goodbye = {.kind = MESSAGE_GOODBYE};
	int fd;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	wire_send(f.wire, 0, &reply, NULL, 0); /* never read: the server will see ECONNRESET */
	wire_fixture_say(fd, &goodbye);
	close(fd);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	CU_ASSERT_EQUAL(f.n[EVENT_MESSAGE], 1);
	CU_ASSERT_EQUAL(f.message.kind, MESSAGE_GOODBYE);
	wire_fixture_teardown(&f);
}

static void the_last_words_of_an_ended_connection_arrive(void)
{
	struct wire_fixture f;
	struct message reply = wire_fixture_reply(3);
	int fd, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	wire_fixture_say(fd, &wire_fixture_hello); /* not read when the end comes */
	wire_send(f.wire, 0, &reply, NULL, 0);
	wire_end(f.wire, 0);
	CU_ASSERT_EQUAL(wire_fixture_hear(fd, &got), 3);
	CU_ASSERT_EQUAL(wire_fixture_hear(fd, &got), 0);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_CLOSED] + f.n[EVENT_MESSAGE], 0);
	close(fd);
	wire_fixture_teardown(&f);
}

/* Fills the socket and queues n_more replies, each with a descriptor if with >= 0; returns the id
 * of the last one. */
static uint64_t flood(struct wire_fixture *f, uint64_t n, int with)
{
	for (uint64_t id = 1; id <= n; id++) {
		struct message reply = wire_fixture_reply(id);

		wire_send(f->wire, 0, &reply, &with, with >= 0 && id == n ? 1 : 0);
	}
	return n;
}

/* How many replies a socket takes until its reader is needed. */
static uint64_t socket_room(void)
{
	uint8_t bytes[2048];
	struct message reply = wire_fixture_reply(1000);
	uint64_t n = 0;
	size_t n_bytes;
	int pair[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	codec_encode(&reply, bytes, sizeof(bytes), &n_bytes);
	while (send(pair[0], bytes, n_bytes, MSG_DONTWAIT) > 0)
		n++;
	close(pair[0]);
	close(pair[1]);
	return n;
}

static void what_waits_is_sent_in_order_when_the_peer_reads(void)
{
	struct wire_fixture f;
	uint64_t n = socket_room() + 50;
	int64_t expected = 1;
	int fd, with, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	with = open("/dev/null", O_RDONLY | O_CLOEXEC);
	flood(&f, n, with);
	close(with); /* the queue has its own */
	wire_end(f.wire, 0);
	while (expected <= (int64_t)n && !f.is_late) {
		int64_t id = wire_fixture_hear(fd, &got);

		if (id == -EAGAIN) {
			uv_run(&f.loop, UV_RUN_NOWAIT);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(id, expected);
		CU_ASSERT_EQUAL(got >= 0, id == (int64_t)n);
		if (got >= 0)
			close(got);
		expected++;
	}
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(wire_fixture_hear(fd, &got), 0);
	CU_ASSERT_EQUAL(f.n[EVENT_CLOSED], 0);
	close(fd);
	wire_fixture_teardown(&f);
}

static void an_ended_connection_that_does_not_read_is_cut_off(void)
{
	struct wire_fixture f;
	int64_t id;
	int fd, other, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	flood(&f, socket_room() + 50, -1);
	wire_end(f.wire, 0);
	other = wire_fixture_dial_accepted(&f);
	CU_ASSERT_EQUAL(f.last.conn, 0); /* its number is free while it drains */
	/* nothing else happens on the loop until the drain timer gives up */
	for (int n_fds = wire_fixture_count_fds(); wire_fixture_count_fds() >= n_fds && !f.is_late;)
		uv_run(&f.loop, UV_RUN_ONCE);
	do
		id = wire_fixture_hear(fd, &got);
	while (id > 0);
	CU_ASSERT_EQUAL(id, 0);
	close(fd);
	close(other);
	wire_fixture_teardown(&f);
}

/* The peer had a second, and read; the server had none, and did not look. */
static void last_words_arrive_however_late_we_are(void)
{
	struct wire_fixture f;
	uint64_t n = socket_room() + 50, n_heard = 0;
	int fd, got;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	flood(&f, n, -1);
	wire_end(f.wire, 0);
	while (wire_fixture_hear(fd, &got) > 0)
		n_heard++;
	CU_ASSERT(n_heard < n);
	(void)poll(NULL, 0, 1100); /* no processor for longer than a drain may take */
	wire_fixture_settle(&f);
	while (wire_fixture_hear(fd, &got) > 0)
		n_heard++;
	CU_ASSERT_EQUAL(n_heard, n);
	close(fd);
	wire_fixture_teardown(&f);
}

static void a_peer_that_never_reads_is_closed(void)
{
	struct wire_fixture f;
	int fd;

	wire_fixture_setup(&f);
	fd = wire_fixture_dial_accepted(&f);
	flood(&f, socket_room() + 200, -1);    /* 64 KiB of queue hold about 110 */
	CU_ASSERT_EQUAL(f.n[EVENT_CLOSED], 0); /* never from inside wire_send() */
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	CU_ASSERT_EQUAL(f.last.conn, 0);
	close(fd);
	wire_fixture_teardown(&f);
}

static void accepting_goes_on_after_a_lack_of_descriptors(void)
{
	struct wire_fixture f;
	struct rlimit before, none;
	int a;

	wire_fixture_setup(&f);
	a = wire_fixture_dial(&f);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)a + 1;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	wire_fixture_settle(&f);
	CU_ASSERT_EQUAL(f.n[EVENT_ACCEPTED], 0);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	wire_fixture_wait(&f, EVENT_ACCEPTED, 1);
	close(a);
	wire_fixture_wait(&f, EVENT_CLOSED, 1);
	wire_fixture_teardown(&f);
}

static void a_peer_that_is_dead_before_accept_is_not_told_of(void)
{
	struct wire_fixture f;
	int status, fd;
	pid_t pid;

	wire_fixture_setup(&f);
	pid = wire_fixture_child(&f);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	fd = wire_fixture_dial_accepted(&f); /* comes behind it in the backlog */
	CU_ASSERT_EQUAL(f.n[EVENT_ACCEPTED], 1);
	CU_ASSERT_EQUAL(f.last.peer.pid, (uint32_t)getpid());
	close(fd);
	wire_fixture_teardown(&f);
}

CU_TestInfo test_wire[] = {
	{"after a message it looks for a while and says so",
	 after_a_message_it_looks_for_a_while_and_says_so},
	{"who has work of its own is awake and looks", who_has_work_of_its_own_is_awake_and_looks},
	{"accepting tells who it is", accepting_tells_who_it_is},
	{"a message comes and a reply with a descriptor goes",
	 a_message_comes_and_a_reply_with_a_descriptor_goes},
	{"a number is free again after CLOSED", a_number_is_free_again_after_closed},
	{"what is no message is malformed", what_is_no_message_is_malformed},
	{"of two with many messages each has its turn",
	 of_two_with_many_messages_each_has_its_turn},
	{"what was said before a close is still read", what_was_said_before_a_close_is_still_read},
	{"the last words of an ended connection arrive",
	 the_last_words_of_an_ended_connection_arrive},
	{"what waits is sent in order when the peer reads",
	 what_waits_is_sent_in_order_when_the_peer_reads},
	{"an ended connection that does not read is cut off",
	 an_ended_connection_that_does_not_read_is_cut_off},
	{"last words arrive however late we are", last_words_arrive_however_late_we_are},
	{"a peer that never reads is closed", a_peer_that_never_reads_is_closed},
	{"a peer that is dead before accept is not told of",
	 a_peer_that_is_dead_before_accept_is_not_told_of},
	{"accepting goes on after a lack of descriptors",
	 accepting_goes_on_after_a_lack_of_descriptors},
	CU_TEST_INFO_NULL,
};
