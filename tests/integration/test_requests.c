/* tests/integration/test_requests.c - what a client must not send, byte by byte: the answer, the
 * end of its connection, and that nobody else notices. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern CU_TestInfo test_requests[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n";

#define FIELDS(...)                                                                                \
	(sizeof((uint64_t[]){__VA_ARGS__}) / 8), (uint64_t[])                                      \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/* Sends one request with numbers as fields and returns the status of its reply. */
static int32_t ask(int fd, enum message_kind kind, uint32_t n, const uint64_t *fields,
		   struct message *ret_reply)
{
	struct message reply;
	struct raw request;
	int32_t status;

	raw_request(&request, 7, kind, n, fields);
	status = raw_call(fd, &request, &reply);
	CU_ASSERT_TRUE(status == INT32_MIN || reply.reply.id == 7);
	CU_ASSERT_TRUE(status >= 0 || status == INT32_MIN || reply.reply.text[0]);
	if (ret_reply && status != INT32_MIN)
		*ret_reply = reply;
	return status;
}

/* Alloc on lane 0; the block's pfn. */
static uint32_t take(int fd, uint64_t seq, uint64_t order)
{
	struct message reply = {0};

	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(0, seq, order, 0, 5000), &reply), 0);
	return (uint32_t)(reply.reply.result >> 32);
}

static uint64_t bad_frees(int fd)
{
	struct message reply = {0};

	CU_ASSERT_EQUAL(ask(fd, MESSAGE_STATUS, 0, NULL, &reply), 0);
	return reply.reply.nr_bad_free;
}

/* --- messages that are none ----------------------------------------------------------------- */

/* The daemon may say why; then the connection is at its end. */
static void expect_end(const struct fixture *f, const struct raw *raw)
{
	struct message reply;
	int fd = raw_connect(f);
	int n;

	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_TRUE(raw_send(fd, raw));
	n = raw_receive(fd, &reply, NULL);
	if (n == 1) {
		CU_ASSERT_EQUAL(reply.kind, MESSAGE_REPLY);
		CU_ASSERT_TRUE(reply.reply.status < 0);
		CU_ASSERT_TRUE(reply.reply.text[0]);
		n = raw_receive(fd, &reply, NULL);
	}
	CU_ASSERT_EQUAL(n, 0);
	(void)close(fd);
}

static void malformed_messages_end_their_connection_only(void)
{
	static struct raw raw, body;
	struct fixture f;
	int good;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	good = raw_hello(&f, 0, NULL);
	body.n = 0;
	raw_number(&body, 1, 1);
	raw_number(&body, 2, 1);
	raw_bytes(&body, 6, "a name", 6);
	raw_message(&raw, 1, MESSAGE_HELLO, &body);
	for (size_t whole = raw.n, n = 1; n < whole; n++) { /* truncated at every byte */
		struct raw cut = raw;

		cut.n = n;
		expect_end(&f, &cut);
	}
	memset(raw.byte, 0xFF, sizeof(raw.byte));
	raw.n = 100;
	expect_end(&f, &raw);
	raw.n = MESSAGE_BYTES_MAX;
	expect_end(&f, &raw);
	raw.n = MESSAGE_BYTES_MAX + 1; /* oversized */
	expect_end(&f, &raw);
	raw.n = 0;
	raw_number(&raw, 1, 1);
	raw_bytes(&raw, 30, "?", 1); /* a body that nobody knows */
	expect_end(&f, &raw);
	CU_ASSERT_EQUAL(ask(good, MESSAGE_STATUS, 0, NULL, NULL), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	(void)close(good);
	fixture_close(&f);
}

/* A Hello that is a good message up to what it carries in one field. */
static void oversized_and_unclean_names_are_refused(void)
{
	static struct raw raw, body;
	char name[70];
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	memset(name, 'n', sizeof(name));
	for (int i = 0; i < 3; i++) {
		size_t n = i == 0 ? 32 : 7;

		if (i)
			memcpy(name,
			       i == 1 ? "a\nb\0cde"
				      : "ab\xFF\xFE"
					"cde",
			       7);
		body.n = 0;
		raw_number(&body, 1, 1);
		raw_number(&body, 2, 1);
		raw_bytes(&body, 6, name, n);
		raw_message(&raw, 1, MESSAGE_HELLO, &body);
		expect_end(&f, &raw);
	}
	fixture_close(&f);
}

static void messages_of_the_daemon_are_refused_from_a_client(void)
{
	static const enum message_kind kinds[] = {MESSAGE_REPLY, MESSAGE_SHRINK, MESSAGE_PRESSURE,
						  MESSAGE_SHRINK_DONE};
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = raw_hello(&f, 0, NULL);
		struct message reply;
		struct raw raw;

		raw_request(&raw, 7, kinds[i], FIELDS(1));
		CU_ASSERT_TRUE(raw_send(fd, &raw));
		CU_ASSERT_EQUAL(raw_receive(fd, &reply, NULL), 1);
		CU_ASSERT_TRUE(reply.reply.status < 0);
		(void)close(fd);
	}
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

static void descriptor_from_a_client_ends_its_connection(void)
{
	static const uint8_t bytes[] = {8, 7, 112 + 2, 0}; /* id 7, Status */
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = sizeof(bytes)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	struct message message;
	struct fixture f;
	int fd, n;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, 0, NULL);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CU_ASSERT_TRUE(sendmsg(fd, &header, MSG_NOSIGNAL) > 0);
	n = raw_receive(fd, &message, NULL);
	if (n == 1) {
		CU_ASSERT_TRUE(message.reply.status < 0);
		n = raw_receive(fd, &message, NULL);
	}
	CU_ASSERT_EQUAL(n, 0);
	(void)close(fd);
	fixture_close(&f);
}

/* --- Hello ---------------------------------------------------------------------------------- */

static void requests_before_hello_end_the_connection(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (uint32_t kind = MESSAGE_PCP_CREATE; kind <= MESSAGE_CHECK; kind++) {
		int fd = raw_connect(&f);

		CU_ASSERT_EQUAL(ask(fd, (enum message_kind)kind, 0, NULL, NULL), -EPROTO);
		CU_ASSERT_TRUE(raw_is_closed(fd));
		(void)close(fd);
	}
	fixture_close(&f);
}

static void resume_without_its_token_is_stale(void)
{
	struct message reply;
	struct fixture f;
	struct raw raw, body = {.n = 0};
	uint32_t client;
	int fd, owner;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	owner = raw_hello(&f, 0, &client);
	raw_number(&body, 1, 1);
	raw_number(&body, 2, 1);
	raw_number(&body, 3, client);
	raw_fixed64(&body, 4, 0x1234);
	raw_fixed64(&body, 5, 0x5678);
	raw_message(&raw, 7, MESSAGE_RESUME, &body);
	fd = raw_connect(&f);
	CU_ASSERT_EQUAL(raw_call(fd, &raw, &reply), -ESTALE);
	CU_ASSERT_TRUE(raw_is_closed(fd));
	(void)close(fd);
	CU_ASSERT_EQUAL(ask(owner, MESSAGE_STATUS, 0, NULL, NULL), 0);
	(void)close(owner);
	fixture_close(&f);
}

static void wrong_hello_is_refused_with_a_reason(void)
{
	static const struct {
		uint64_t field[5];
		int32_t status;
	} hellos[] = {
		{{2, 9}, -EPROTONOSUPPORT}, {{UINT32_MAX, UINT32_MAX}, -EPROTONOSUPPORT},
		{{1, 1, 4}, -EINVAL},       {{1, 1, UINT32_MAX}, -EINVAL},
		{{1, 1, 0, 65}, -EINVAL},   {{1, 1, 0, UINT32_MAX}, -EINVAL},
	};
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
		int fd = raw_connect(&f);

		CU_ASSERT_EQUAL(ask(fd, MESSAGE_HELLO, 5, hellos[i].field, NULL), hellos[i].status);
		CU_ASSERT_TRUE(raw_is_closed(fd));
		(void)close(fd);
	}
	fixture_close(&f);
}

static void second_hello_is_refused_and_changes_nothing(void)
{
	struct fixture f;
	uint32_t pfn;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, 0, NULL);
	pfn = take(fd, 1, 0);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_HELLO, FIELDS(1, 1), NULL), -EALREADY);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_HELLO, FIELDS(1, 1, HELLO_OBSERVER), NULL), -EALREADY);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, pfn, 0), NULL), 0);
	(void)close(fd);
	fixture_close(&f);
}

static void observers_and_readers_get_no_frames(void)
{
	struct fixture f;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, HELLO_OBSERVER, NULL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(0, 1), NULL), -EPERM);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 1), NULL), -EPERM);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_PCP_CREATE, FIELDS(0), NULL), -EPERM);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_CHECK, 0, NULL, NULL), 0);
	(void)close(fd);
	fd = raw_hello(&f, HELLO_READ_ONLY, NULL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(0, 1), NULL), -EROFS);
	if (ask(fd, MESSAGE_PCP_CREATE, FIELDS(0), NULL) == 0)
		CU_ASSERT_EQUAL(ask(fd, MESSAGE_PCP_REFILL, FIELDS(0), NULL), -EROFS);
	(void)close(fd);
	fixture_close(&f);
}

/* --- requests ------------------------------------------------------------------------------- */

static void numbers_out_of_range_are_refused(void)
{
	static const struct {
		enum message_kind kind;
		uint64_t field[5];
	} bad[] = {
		{MESSAGE_ALLOC, {0, 1, 19}},
		{MESSAGE_ALLOC, {0, 1, UINT32_MAX}},
		{MESSAGE_ALLOC, {64, 1, 0}},
		{MESSAGE_ALLOC, {UINT32_MAX, 1, 0}},
		{MESSAGE_FREE, {0, 1, 1u << 30, 0}},
		{MESSAGE_FREE, {0, 1, UINT32_MAX, 0}},
		{MESSAGE_FREE, {64, 1, 0, 0}},
		{MESSAGE_PCP_CREATE, {64}},
		{MESSAGE_PCP_CREATE, {UINT32_MAX}},
		{MESSAGE_PCP_REFILL, {1}},
		{MESSAGE_PCP_REFILL, {64}},
		{MESSAGE_PCP_REFILL, {0, 11}},
		{MESSAGE_PCP_REFILL, {0, UINT32_MAX}},
		{MESSAGE_PCP_DRAIN, {1}},
		{MESSAGE_PCP_DRAIN, {UINT32_MAX, 0}},
		{MESSAGE_PCP_DRAIN, {0, 11}},
		{MESSAGE_CACHE_REGISTER, {0, 2, 128}},
		{MESSAGE_CACHE_REGISTER, {1, 2, 128}}, /* no name */
		{MESSAGE_SHARE, {0, 1, UINT32_MAX}},
		{MESSAGE_PUT, {0, 1, UINT32_MAX}},
	};
	struct fixture f;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, 0, NULL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_PCP_CREATE, FIELDS(0), NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int32_t status = ask(fd, bad[i].kind, 5, bad[i].field, NULL);

		CU_ASSERT_TRUE(status == -EINVAL || status == -EPERM);
		if (status != -EINVAL && status != -EPERM)
			(void)fprintf(stderr, "row %zu: %d\n", i, status);
	}
	CU_ASSERT_TRUE(fixture_check(&f));
	(void)close(fd);
	fixture_close(&f);
}

static void wrong_frees_are_refused_and_counted(void)
{
	struct fixture f;
	uint32_t mine, theirs;
	int fd, other;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, 0, NULL);
	other = raw_hello(&f, 0, NULL);
	mine = take(fd, 1, 2);
	theirs = take(other, 1, 2);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, theirs, 2), NULL), -EPERM);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, mine, 1), NULL), -EINVAL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, mine, 3), NULL), -EINVAL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, mine + 1, 0), NULL), -EINVAL);
	CU_ASSERT_EQUAL(bad_frees(fd), 4);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_FREE, FIELDS(0, 2, mine, 2), NULL), 0);
	CU_ASSERT_TRUE(ask(fd, MESSAGE_FREE, FIELDS(0, 3, mine, 2), NULL) < 0); /* twice */
	CU_ASSERT_EQUAL(bad_frees(fd), 5);
	CU_ASSERT_EQUAL(bad_frees(other), 0);
	CU_ASSERT_EQUAL(ask(other, MESSAGE_FREE, FIELDS(0, 2, theirs, 2), NULL), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	(void)close(fd);
	(void)close(other);
	fixture_close(&f);
}

static void repeated_request_is_answered_and_not_done_again(void)
{
	struct message first = {0}, again = {0};
	struct fixture f;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, 0, NULL);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(3, 5, 1, 0, 5000), &first), 0);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(3, 5, 1, 0, 5000), &again), 0);
	CU_ASSERT_EQUAL(first.reply.result, again.reply.result);
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_ALLOC, FIELDS(3, 4, 1, 0, 5000), NULL), -EINVAL); /* old */
	CU_ASSERT_EQUAL(ask(fd, MESSAGE_STATUS, 0, NULL, &again), 0);
	CU_ASSERT_EQUAL(again.reply.nr_owned, 2);
	(void)close(fd);
	fixture_close(&f);
}

/* --- limits --------------------------------------------------------------------------------- */

static void more_connections_than_allowed_are_refused(void)
{
	struct fixture f;
	struct message reply;
	int fd[4], more;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[limits]\nconnections = 5\n"));
	for (int i = 0; i < 4; i++) /* and the fixture's own, which may still be there */
		fd[i] = raw_hello(&f, 0, NULL);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     (more = raw_hello(&f, 0, NULL)) < 0 && clock_pause(until);)
		;
	CU_ASSERT_TRUE(more >= 0);
	for (int i = 0; i < 3; i++) {
		int refused = raw_connect(&f);

		CU_ASSERT_EQUAL(raw_receive(refused, &reply, NULL), 1);
		CU_ASSERT_EQUAL(reply.reply.status, -EUSERS);
		CU_ASSERT_PTR_NOT_NULL(strstr(reply.reply.text, "connections"));
		CU_ASSERT_TRUE(raw_is_closed(refused));
		(void)close(refused);
	}
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(ask(fd[i], MESSAGE_STATUS, 0, NULL, NULL), 0);
		(void)close(fd[i]);
	}
	(void)close(more);
	fixture_close(&f);
}

static void more_handshakes_than_allowed_are_refused(void)
{
	struct fixture f;
	struct message reply;
	int half[2], third, fd;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[limits]\nhandshakes = 2\n"));
	half[0] = raw_connect(&f);
	half[1] = raw_connect(&f);
	third = raw_connect(&f);
	CU_ASSERT_EQUAL(raw_receive(third, &reply, NULL), 1);
	CU_ASSERT_EQUAL(reply.reply.status, -EAGAIN);
	CU_ASSERT_TRUE(raw_is_closed(third));
	(void)close(third);
	CU_ASSERT_EQUAL(ask(half[0], MESSAGE_HELLO, FIELDS(1, 1), NULL), 0);
	fd = raw_hello(&f, 0, NULL);
	CU_ASSERT_TRUE(fd >= 0);
	/* The one that never says Hello is told so, and gone. */
	CU_ASSERT_EQUAL(raw_receive(half[1], &reply, NULL), 1);
	CU_ASSERT_EQUAL(reply.reply.status, -ETIMEDOUT);
	CU_ASSERT_TRUE(raw_is_closed(half[1]));
	(void)close(half[0]);
	(void)close(half[1]);
	(void)close(fd);
	fixture_close(&f);
}

/* One that asks and never listens loses its connection, and delays nobody. */
static void client_that_never_reads_is_cut_off(void)
{
	struct fixture f;
	struct raw raw;
	int fd, other;
	ssize_t n = 0;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[limits]\nqueue = 64K\n"));
	fd = raw_hello(&f, 0, NULL);
	other = raw_hello(&f, 0, NULL);
	raw_request(&raw, 7, MESSAGE_FREE, FIELDS(0, 1, 1, 1)); /* its refusal is a long text */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_left_ms(until) && n >= 0;) {
		n = send(fd, raw.byte, raw.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = ask(other, MESSAGE_STATUS, 0, NULL, NULL) == 0 ? 0 : -1;
	}
	CU_ASSERT_TRUE(n < 0 && (errno == EPIPE || errno == ECONNRESET));
	CU_ASSERT_EQUAL(ask(other, MESSAGE_STATUS, 0, NULL, NULL), 0);
	(void)close(fd);
	(void)close(other);
	fixture_close(&f);
}

/* --- CTL ------------------------------------------------------------------------------------ */

struct liar {
	int fd;
	uint32_t client;
	uint64_t *bottom; /* of thread 0's hot magazine */
	uint32_t *slot;
	void *map;
	struct observer observer;
};

static bool liar_open(struct liar *liar, const struct fixture *f)
{
	struct message reply;
	struct raw raw;
	int fds[MESSAGE_FDS_MAX];

	*liar = (struct liar){.fd = raw_connect(f)};
	raw_request(&raw, 1, MESSAGE_HELLO, FIELDS(1, 1, 0, 1));
	if (!raw_send(liar->fd, &raw) || raw_receive(liar->fd, &reply, fds) != 1 || fds[3] < 0)
		return false;
	liar->client = reply.reply.client;
	liar->map = mmap(NULL, shm_ctl_bytes(1), PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0);
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	if (liar->map == MAP_FAILED || !observer_open(&liar->observer, f))
		return false;
	liar->bottom = (uint64_t *)((char *)liar->map + shm_ctl_bottom_offset(0, 0));
	liar->slot = (uint32_t *)((char *)liar->map + shm_ctl_slots_offset(0, 0));
	return ask(liar->fd, MESSAGE_PCP_CREATE, FIELDS(0), NULL) == 0 &&
	       ask(liar->fd, MESSAGE_PCP_REFILL, FIELDS(0, 0, 16, 0, 5000), NULL) == 0;
}

static void liar_close(struct liar *liar)
{
	(void)munmap(liar->map, shm_ctl_bytes(1));
	observer_close(&liar->observer);
	(void)close(liar->fd);
}

static void drain(const struct fixture *f)
{
	struct program ctl;

	fixture_ctl(f, &ctl, "drain", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
}

/* All its slots name another's frames: each is refused, none changes hands. */
static void slots_that_lie_give_nothing_of_another_away(void)
{
	struct fixture f;
	struct liar liar;
	uint32_t theirs[16];
	int other;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	other = raw_hello(&f, 0, NULL);
	for (uint32_t i = 0; i < 16; i++)
		theirs[i] = take(other, i + 1, 0);
	if (liar_open(&liar, &f)) {
		for (uint32_t i = 0; i < SHM_HOT_SLOTS_FIRST; i++)
			liar.slot[i] = i % 3 ? theirs[i % 16] : i % 2 ? UINT32_MAX : 1u << 20;
		drain(&f);
		CU_ASSERT_TRUE(shm_view_client(&liar.observer.view, liar.client)->nr_bad_free > 0);
		CU_ASSERT_TRUE(fixture_check(&f));
		liar_close(&liar);
	} else {
		CU_FAIL("no liar");
	}
	for (uint32_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(ask(other, MESSAGE_FREE, FIELDS(0, 17 + i, theirs[i], 0), NULL), 0);
	CU_ASSERT_EQUAL(bad_frees(other), 0);
	(void)close(other);
	fixture_close(&f);
}

static void bottom_that_lies_ends_the_client(void)
{
	static const uint64_t lies[] = {0, UINT64_MAX, MAGAZINE_INDEX_START + 100000,
					MAGAZINE_INDEX_START - 100000};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct fixture f;
		struct liar liar;

		CU_ASSERT_TRUE(fixture_open(&f, config));
		if (liar_open(&liar, &f)) {
			__atomic_store_n(liar.bottom, lies[i], __ATOMIC_RELEASE);
			drain(&f);
			CU_ASSERT_TRUE(raw_is_closed(liar.fd));
			CU_ASSERT_EQUAL(shm_view_counter(&liar.observer.view, COUNTER_hostile), 1);
			CU_ASSERT_TRUE(observer_all_free(&liar.observer));
			CU_ASSERT_TRUE(fixture_check(&f));
			liar_close(&liar);
		} else {
			CU_FAIL("no liar");
		}
		CU_ASSERT_TRUE(fixture_log_has(&f, "hostile"));
		fixture_close(&f);
	}
}

CU_TestInfo test_requests[] = {
	{"malformed messages end their connection only",
	 malformed_messages_end_their_connection_only},
	{"oversized and unclean names are refused", oversized_and_unclean_names_are_refused},
	{"messages of the daemon are refused from a client",
	 messages_of_the_daemon_are_refused_from_a_client},
	{"descriptor from a client ends its connection",
	 descriptor_from_a_client_ends_its_connection},
	{"requests before Hello end the connection", requests_before_hello_end_the_connection},
	{"Resume without its token is stale", resume_without_its_token_is_stale},
	{"wrong Hello is refused with a reason", wrong_hello_is_refused_with_a_reason},
	{"second Hello is refused and changes nothing",
	 second_hello_is_refused_and_changes_nothing},
	{"observers and readers get no frames", observers_and_readers_get_no_frames},
	{"numbers out of range are refused", numbers_out_of_range_are_refused},
	{"wrong frees are refused and counted", wrong_frees_are_refused_and_counted},
	{"repeated request is answered and not done again",
	 repeated_request_is_answered_and_not_done_again},
	{"more connections than allowed are refused", more_connections_than_allowed_are_refused},
	{"more handshakes than allowed are refused", more_handshakes_than_allowed_are_refused},
	{"client that never reads is cut off", client_that_never_reads_is_cut_off},
	{"slots that lie give nothing of another away",
	 slots_that_lie_give_nothing_of_another_away},
	{"bottom that lies ends the client", bottom_that_lies_ends_the_client},
	CU_TEST_INFO_NULL,
};
