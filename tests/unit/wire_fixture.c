/* tests/unit/wire_fixture.c - see tests/unit/wire_fixture.h. */
#include "tests/unit/wire_fixture.h"

#include "proto/codec.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 10000u

const struct message wire_fixture_hello = {
	.kind = MESSAGE_HELLO, .id = 1, .hello = {.version_max = 1, .name = "test"}};

int wire_fixture_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void on_event(void *arg, const struct session_event *event)
{
	struct wire_fixture *fixture = arg;

	CU_ASSERT_TRUE(event->now_ns > 0 && event->real_ns > 0);
	fixture->n[event->kind]++;
	fixture->last = *event;
	if (event->message)
		fixture->message = *event->message;
	if (event->text)
		snprintf(fixture->text, sizeof(fixture->text), "%s", event->text);
	fixture->last.message = NULL;
	fixture->last.text = NULL;
	if (fixture->hook)
		fixture->hook(fixture, event);
}

static bool on_look(void *arg, uint64_t now_ns)
{
	struct wire_fixture *fixture = arg;

	CU_ASSERT_TRUE(now_ns > 0);
	fixture->n_looks++;
	if (fixture->n_to_find == 0)
		return false;
	fixture->n_to_find--;
	return true;
}

static void on_awake(void *arg, bool is_awake)
{
	struct wire_fixture *fixture = arg;

	fixture->is_awake = is_awake;
}

static void on_deadline(uv_timer_t *timer)
{
	((struct wire_fixture *)timer->data)->is_late = true;
}

/* A listening socket with a name that the kernel chooses (autobind). */
static int listen_open(struct wire_fixture *fixture)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	fixture->address = (struct sockaddr_un){.sun_family = AF_UNIX};
	fixture->address_bytes = sizeof(fixture->address);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&fixture->address, sizeof(sa_family_t)),
			      0);
	CU_ASSERT_EQUAL_FATAL(
		getsockname(fd, (struct sockaddr *)&fixture->address, &fixture->address_bytes), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 64), 0);
	return fd;
}

void wire_fixture_setup(struct wire_fixture *fixture)
{
	struct wire_options options = {.on_event = on_event,
				       .on_look = on_look,
				       .on_awake = on_awake,
				       .arg = fixture,
				       .queue_bytes = 65536};

	memset(fixture, 0, sizeof(*fixture));
	/* the first loop of a process opens what libuv keeps for all of them */
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&fixture->loop), 0);
	CU_ASSERT_EQUAL_FATAL(uv_loop_close(&fixture->loop), 0);
	fixture->n_fds_before = wire_fixture_count_fds();
	options.busy_poll_us = 20;
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&fixture->loop), 0);
	options.listen_fd = listen_open(fixture);
	CU_ASSERT_EQUAL_FATAL(wire_open(&fixture->loop, &options, &fixture->wire), 0);
	uv_timer_init(&fixture->loop, &fixture->deadline);
	fixture->deadline.data = fixture;
	uv_timer_start(&fixture->deadline, on_deadline, DEADLINE_MS, 0);
}

void wire_fixture_teardown(struct wire_fixture *fixture)
{
	if (fixture->wire)
		wire_close(fixture->wire);
	uv_close((uv_handle_t *)&fixture->deadline, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&fixture->loop), 0);
	CU_ASSERT_FALSE(fixture->is_late);
	CU_ASSERT_EQUAL(wire_fixture_count_fds(), fixture->n_fds_before);
}

void wire_fixture_wait(struct wire_fixture *fixture, enum session_event_kind kind, uint32_t n)
{
	while (fixture->n[kind] < n && !fixture->is_late)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	CU_ASSERT_EQUAL(fixture->n[kind], n);
}

void wire_fixture_settle(struct wire_fixture *fixture)
{
	for (int i = 0; i < 100; i++)
		uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

int wire_fixture_dial(const struct wire_fixture *fixture)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(
		connect(fd, (const struct sockaddr *)&fixture->address, fixture->address_bytes), 0);
	return fd;
}

int wire_fixture_dial_accepted(struct wire_fixture *fixture)
{
	int fd = wire_fixture_dial(fixture);

	wire_fixture_wait(fixture, EVENT_ACCEPTED, fixture->n[EVENT_ACCEPTED] + 1);
	return fd;
}

void wire_fixture_say(int fd, const struct message *message)
{
	uint8_t bytes[2048];
	size_t n = 0;

	CU_ASSERT_EQUAL(codec_encode(message, bytes, sizeof(bytes), &n), 0);
	CU_ASSERT_EQUAL(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

struct message wire_fixture_reply(uint64_t id)
{
	struct message message = {.kind = MESSAGE_REPLY};

	message.reply.id = id;
	memset(message.reply.text, 'x', MESSAGE_TEXT_BYTES - 1);
	return message;
}

int64_t wire_fixture_hear(int fd, int *ret_fd)
{
	uint8_t bytes[2048];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr packet = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct message message;
	const char *text;

	*ret_fd = -1;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	if (packet.msg_controllen >= sizeof(control.header))
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(int));
	CU_ASSERT_EQUAL(codec_decode(bytes, (size_t)n, &message, &text), 0);
	return message.kind == MESSAGE_REPLY ? (int64_t)message.reply.id : (int64_t)message.id;
}

pid_t wire_fixture_child(const struct wire_fixture *fixture)
{
	int connected[2];
	uint8_t byte;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(connected), 0);
	pid = fork();
	if (pid == 0) {
		uint8_t bytes[256];
		size_t n = 0;
		int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

		if (connect(fd, (const struct sockaddr *)&fixture->address,
			    fixture->address_bytes) < 0 ||
		    codec_encode(&wire_fixture_hello, bytes, sizeof(bytes), &n) < 0 ||
		    send(fd, bytes, n, 0) < 0 || write(connected[1], "", 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(connected[1]);
	CU_ASSERT_EQUAL(read(connected[0], &byte, 1), 1);
	close(connected[0]);
	return pid;
}
