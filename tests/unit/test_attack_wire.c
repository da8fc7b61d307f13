/* tests/unit/test_attack_wire.c - descriptors that a client sends where none belongs: none of them
 * stays open in the daemon. Every test ends with the fixture's count of descriptors. */
#include "daemon/wire/unit.h"
#include "proto/codec.h"
#include "tests/unit/wire_fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
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

CU_TestInfo test_attack_wire[] = {
	{"a second descriptor does not stay open", a_second_descriptor_does_not_stay_open},
	{"a descriptor with an empty packet does not stay open",
	 a_descriptor_with_an_empty_packet_does_not_stay_open},
	{"a unit that cannot be read is not taken for none",
	 a_unit_that_cannot_be_read_is_not_taken_for_none},
	CU_TEST_INFO_NULL,
};
