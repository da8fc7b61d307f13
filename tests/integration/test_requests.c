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
	CU_ASSERT_EQUAL(raw_ask(good, MESSAGE_STATUS, 0, NULL, NULL), 0);
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

		raw_request(&raw, 7, kinds[i], RAW_FIELDS(1));
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

		CU_ASSERT_EQUAL(raw_ask(fd, (enum message_kind)kind, 0, NULL, NULL), -EPROTO);
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
	CU_ASSERT_EQUAL(raw_ask(owner, MESSAGE_STATUS, 0, NULL, NULL), 0);
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

		CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_HELLO, 5, hellos[i].field, NULL),
				hellos[i].status);
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
	pfn = raw_take(fd, 1, 0);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_HELLO, RAW_FIELDS(1, 1), NULL), -EALREADY);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_HELLO, RAW_FIELDS(1, 1, HELLO_OBSERVER), NULL),
			-EALREADY);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, pfn, 0), NULL), 0);
	(void)close(fd);
	fixture_close(&f);
}

static void observers_and_readers_get_no_frames(void)
{
	struct fixture f;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	fd = raw_hello(&f, HELLO_OBSERVER, NULL);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(0, 1), NULL), -EPERM);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 1), NULL), -EPERM);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_PCP_CREATE, RAW_FIELDS(0), NULL), -EPERM);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_CHECK, 0, NULL, NULL), 0);
	(void)close(fd);
	fd = raw_hello(&f, HELLO_READ_ONLY, NULL);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(0, 1), NULL), -EROFS);
	if (raw_ask(fd, MESSAGE_PCP_CREATE, RAW_FIELDS(0), NULL) == 0)
		CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_PCP_REFILL, RAW_FIELDS(0), NULL), -EROFS);
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
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_PCP_CREATE, RAW_FIELDS(0), NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int32_t status = raw_ask(fd, bad[i].kind, 5, bad[i].field, NULL);

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
	mine = raw_take(fd, 1, 2);
	theirs = raw_take(other, 1, 2);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, theirs, 2), NULL), -EPERM);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, mine, 1), NULL), -EINVAL);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, mine, 3), NULL), -EINVAL);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, mine + 1, 0), NULL), -EINVAL);
	CU_ASSERT_EQUAL(raw_bad_frees(fd), 4);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 2, mine, 2), NULL), 0);
	CU_ASSERT_TRUE(raw_ask(fd, MESSAGE_FREE, RAW_FIELDS(0, 3, mine, 2), NULL) < 0); /* twice */
	CU_ASSERT_EQUAL(raw_bad_frees(fd), 5);
	CU_ASSERT_EQUAL(raw_bad_frees(other), 0);
	CU_ASSERT_EQUAL(raw_ask(other, MESSAGE_FREE, RAW_FIELDS(0, 2, theirs, 2), NULL), 0);
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
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(3, 5, 1, 0, 5000), &first), 0);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(3, 5, 1, 0, 5000), &again), 0);
	CU_ASSERT_EQUAL(first.reply.result, again.reply.result);
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(3, 4, 1, 0, 5000), NULL),
			-EINVAL); /* old */
	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_STATUS, 0, NULL, &again), 0);
	CU_ASSERT_EQUAL(again.reply.nr_owned, 2);
	(void)close(fd);
	fixture_close(&f);
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
	CU_TEST_INFO_NULL,
};
