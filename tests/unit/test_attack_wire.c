/* tests/unit/test_attack_wire.c - descriptors that a client sends where none belongs: none of them
 * stays open in the daemon. Every test ends with the fixture's count of descriptors. And turns of
 * the processor that a client has the daemon give away. */
#include "daemon/wire/unit.h"
#include "proto/codec.h"
#include "tests/unit/wire_fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Sends n_bytes of a Hello with n descriptors. */
static void send_with_fds(int fd, size_t n_bytes, uint32_t n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	uint8_t bytes[1024];
	struct iovec iov = {.iov_base = bytes, .iov_len = n_bytes};
	struct msghdr packet = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = CMSG_SPACE(n * sizeof(int))};
	size_t length;
	int fds[8];

	CU_ASSERT_EQUAL(codec_encode(&wire_fixture_hello, bytes, sizeof bytes, &length), 0);
	if (iov.iov_len > length)
		iov.iov_len = length;
	memset(&control, 0, sizeof control);
	for (uint32_t i = 0; i < n; i++)
		fds[i] = fd;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
	CU_ASSERT(sendmsg(fd, &packet, MSG_NOSIGNAL) >= 0);
}

static void a_second_descriptor_does_not_stay_open(void)
{
	struct wire_fixture fixture;

	wire_fixture_setup(&fixture);
	for (uint32_t n = 1; n <= 8; n++) {
		int fd = wire_fixture_dial_accepted(&fixture);

		send_with_fds(fd, SIZE_MAX, n);
		wire_fixture_wait(&fixture, EVENT_MALFORMED, n);
		wire_end(fixture.wire, fixture.last.conn);
		close(fd);
	}
	wire_fixture_teardown(&fixture);
}

static void a_descriptor_with_an_empty_packet_does_not_stay_open(void)
{
	struct wire_fixture fixture;

	wire_fixture_setup(&fixture);
	for (uint32_t n = 1; n <= 3; n++) {
		int fd = wire_fixture_dial_accepted(&fixture);

		send_with_fds(fd, 0, n);
		wire_fixture_wait(&fixture, EVENT_CLOSED, n);
		close(fd);
	}
	wire_fixture_teardown(&fixture);
}

/* Or `access = observe` of a unit would not hold for it while descriptors are short. */
static void a_unit_that_cannot_be_read_is_not_taken_for_none(void)
{
	char unit[SESSION_UNIT_BYTES] = "x";
	struct rlimit before, none;
	int r;

	CU_ASSERT_EQUAL(unit_of((uint32_t)getpid(), unit), 0);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = unit_of((uint32_t)getpid(), unit);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	CU_ASSERT_EQUAL(r, -EMFILE);
	CU_ASSERT_EQUAL(unit_of(0, unit), 0); /* a peer that /proc does not show */
	CU_ASSERT_STRING_EQUAL(unit, "");
}

/* --- who makes the daemon hand its processor over ------------------------------------------- */

#define TURN_NS UINT64_C(10000000000) /* far more than the test takes */

/* The clock and the scheduler as the wire sees them: once armed, each yield is a long turn of
 * somebody else's. */
static struct {
	bool is_armed;
	uint32_t n_yields;
	uint64_t ahead_ns;
} turns;

int sched_yield(void)
{
	if (turns.is_armed) {
		turns.n_yields++;
		turns.ahead_ns += TURN_NS;
	}
	return 0;
}

uint64_t uv_hrtime(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec + turns.ahead_ns;
}

static void connect_and_ask(struct wire_fixture *fixture)
{
	static const struct message status = {.kind = MESSAGE_STATUS};
	uint32_t n_messages = fixture->n[EVENT_MESSAGE], n_closed = fixture->n[EVENT_CLOSED];
	int fd = wire_fixture_dial_accepted(fixture);

	for (uint32_t i = 0; i < 4; i++)
		wire_fixture_say(fd, &status);
	wire_fixture_wait(fixture, EVENT_MESSAGE, n_messages + 4);
	close(fd);
	wire_fixture_wait(fixture, EVENT_CLOSED, n_closed + 1);
}

/* Who keeps the daemon's processor busy beside it, and has a new connection for each request that
 * is not its first. */
static void who_comes_again_takes_no_more_of_the_processor(void)
{
	struct wire_fixture fixture;

	wire_fixture_setup(&fixture);
	turns.is_armed = true;
	for (uint32_t i = 0; i < 16; i++)
		connect_and_ask(&fixture);
	CU_ASSERT_EQUAL(turns.n_yields, 1);
	turns.ahead_ns += 100 * TURN_NS; /* it is not held against anybody for ever */
	connect_and_ask(&fixture);
	CU_ASSERT_EQUAL(turns.n_yields, 2);
	turns.is_armed = false;
	wire_fixture_teardown(&fixture);
}

CU_TestInfo test_attack_wire[] = {
	{"a second descriptor does not stay open", a_second_descriptor_does_not_stay_open},
	{"a descriptor with an empty packet does not stay open",
	 a_descriptor_with_an_empty_packet_does_not_stay_open},
	{"a unit that cannot be read is not taken for none",
	 a_unit_that_cannot_be_read_is_not_taken_for_none},
	{"who comes again takes no more of the processor",
	 who_comes_again_takes_no_more_of_the_processor},
	CU_TEST_INFO_NULL,
};
