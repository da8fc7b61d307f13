/* tests/unit/test_control.c - what a server tells its supervisor, and what the supervisor believes.
 */
#include "daemon/host/control.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_control[];

struct pair {
	struct control control; /* the server's end */
	int fd;                 /* the supervisor's */
};

static void pair_open(struct pair *pair)
{
	int fds[2] = {-1, -1};

	control_init(&pair->control);
	CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	pair->control.fd = fds[0];
	pair->fd = fds[1];
}

static void pair_close(struct pair *pair)
{
	control_close(&pair->control);
	(void)close(pair->fd);
}

static ino_t inode(int fd)
{
	struct stat st = {0};

	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	return st.st_ino;
}

static void message_arrives_as_it_was_told(void)
{
	struct control_message message;
	struct pair pair;
	int fd = 0;

	pair_open(&pair);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 0);
	control_tell(&pair.control, CONTROL_READY, "serving");
	control_tell(&pair.control, CONTROL_ALIVE, NULL);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	CU_ASSERT_EQUAL(message.kind, CONTROL_READY);
	CU_ASSERT_STRING_EQUAL(message.text, "serving");
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	CU_ASSERT_EQUAL(message.kind, CONTROL_ALIVE);
	control_close(&pair.control);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), -EPIPE);
	pair_close(&pair);
}

static void ctl_travels_with_keep(void)
{
	int ctl = memfd_create("ctl", MFD_CLOEXEC);
	struct control_message message;
	struct pair pair;
	int fd = -1;

	pair_open(&pair);
	CU_ASSERT_EQUAL(control_keep(&pair.control, SHM_MAX_CLIENTS, ctl), 0);
	CU_ASSERT_EQUAL(control_keep(&pair.control, 7, -1), 0);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	CU_ASSERT_EQUAL(message.kind, CONTROL_KEEP);
	CU_ASSERT_EQUAL(message.client, SHM_MAX_CLIENTS);
	CU_ASSERT_EQUAL(inode(fd), inode(ctl));
	(void)close(fd);
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	CU_ASSERT_EQUAL(message.kind, CONTROL_DROP);
	CU_ASSERT_EQUAL(message.client, 7);
	CU_ASSERT_EQUAL(fd, -1);
	(void)close(ctl);
	pair_close(&pair);
}

static void what_no_server_says_is_dropped(void)
{
	struct control_message good = {.kind = CONTROL_READY};
	struct control_message message;
	struct pair pair;
	int fd;

	pair_open(&pair);
	for (uint32_t i = 0; i < 7; i++) {
		struct control_message bad = good;
		size_t bytes = sizeof(bad);

		if (i == 0)
			bad.kind = CONTROL_NR_KINDS;
		else if (i == 1)
			bad.kind = UINT32_MAX;
		else if (i == 2)
			bad.kind = CONTROL_KEEP; /* without a descriptor */
		else if (i == 3)
			bad.kind = CONTROL_DROP; /* of no client */
		else if (i == 4)
			bad = (struct control_message){.kind = CONTROL_DROP,
						       .client = SHM_MAX_CLIENTS + 1};
		else if (i == 5)
			bytes--;
		else
			bad.client = 1;
		CU_ASSERT_EQUAL(send(pair.control.fd, &bad, bytes, 0), (ssize_t)bytes);
		CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), -EBADMSG);
	}
	CU_ASSERT_EQUAL(send(pair.control.fd, &good, sizeof(good), 0), (ssize_t)sizeof(good));
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	pair_close(&pair);
}

/* The service manager reads lines: a text with one of its own is none. */
static void text_is_one_line_and_ends(void)
{
	struct control_message told = {.kind = CONTROL_READY};
	struct control_message message;
	struct pair pair;
	int fd;

	pair_open(&pair);
	memset(told.text, 'x', sizeof(told.text));
	memcpy(told.text, "up\nMAINPID=1", 12);
	CU_ASSERT_EQUAL(send(pair.control.fd, &told, sizeof(told), 0), (ssize_t)sizeof(told));
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), 1);
	CU_ASSERT_EQUAL(strncmp(message.text, "up MAINPID=1x", 13), 0);
	CU_ASSERT_EQUAL(strlen(message.text), CONTROL_TEXT_BYTES - 1);
	pair_close(&pair);
}

/* Two descriptors where one belongs: neither is kept, neither is left open. */
static void second_descriptor_is_refused(void)
{
	struct control_message told = {.kind = CONTROL_KEEP, .client = 1};
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec bytes = {.iov_base = &told, .iov_len = sizeof(told)};
	struct msghdr packet = {.msg_iov = &bytes,
				.msg_iovlen = 1,
				.msg_control = space,
				.msg_controllen = sizeof(space)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
	struct control_message message;
	struct pair pair;
	int fd, before, after;

	pair_open(&pair);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(rights), (int[2]){pair.fd, pair.fd}, 2 * sizeof(int));
	before = dup(pair.fd);
	(void)close(before);
	CU_ASSERT_EQUAL(sendmsg(pair.control.fd, &packet, 0), (ssize_t)sizeof(told));
	CU_ASSERT_EQUAL(control_receive(pair.fd, &message, &fd), -EBADMSG);
	after = dup(pair.fd);
	(void)close(after);
	CU_ASSERT_EQUAL(before, after);
	pair_close(&pair);
}

static void full_socket_is_an_error_and_no_wait(void)
{
	struct control_message message;
	struct pair pair;
	int fd, r = 0;
	uint32_t told = 0, heard = 0;

	pair_open(&pair);
	while (r == 0 && told < 1u << 20) {
		r = control_keep(&pair.control, 1, -1);
		told += r == 0;
	}
	CU_ASSERT_EQUAL(r, -EAGAIN);
	while (control_receive(pair.fd, &message, &fd) == 1)
		heard++;
	CU_ASSERT_EQUAL(heard, told);
	CU_ASSERT_EQUAL(control_keep(&pair.control, 1, -1), 0);
	pair_close(&pair);
}

static void without_a_supervisor_nothing_is_kept(void)
{
	struct control control;

	control_init(&control);
	CU_ASSERT_EQUAL(control.fd, -1);
	CU_ASSERT_TRUE(control.alive_ms > 0);
	CU_ASSERT_EQUAL(control_keep(&control, 1, STDIN_FILENO), 0);
	control_tell(&control, CONTROL_ALIVE, NULL);
	control_close(&control);
}

CU_TestInfo test_control[] = {
	{"message arrives as it was told", message_arrives_as_it_was_told},
	{"ctl travels with keep", ctl_travels_with_keep},
	{"what no server says is dropped", what_no_server_says_is_dropped},
	{"text is one line and ends", text_is_one_line_and_ends},
	{"second descriptor is refused", second_descriptor_is_refused},
	{"full socket is an error and no wait", full_socket_is_an_error_and_no_wait},
	{"without a supervisor nothing is kept", without_a_supervisor_nothing_is_kept},
	CU_TEST_INFO_NULL,
};
