/* tests/unit/test_psi_socket.c - daemon/host/psi_socket with subscribers in the same thread and a
 * stall that the test makes up. */
#include "daemon/host/psi_socket.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_psi_socket[];

#define MS UINT64_C(1000000)
#define PATIENCE_MS 60000u

struct fixture {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct psi_socket *socket;
	struct sockaddr_un address;
	socklen_t address_bytes;
	uint64_t total_ns[SHM_PSI_KINDS];
	bool stalls, is_late;
};

static uint64_t stalled_ns(void *arg, enum shm_psi_kind kind)
{
	return ((struct fixture *)arg)->total_ns[kind];
}

static bool is_stalled(void *arg)
{
	return ((struct fixture *)arg)->stalls;
}

static void on_deadline(uv_timer_t *timer)
{
	((struct fixture *)timer->data)->is_late = true;
}

static void setup(struct fixture *f)
{
	struct psi_socket_options options = {
		.stalled_ns = stalled_ns, .is_stalled = is_stalled, .arg = f};

	memset(f, 0, sizeof(*f));
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&f->loop), 0);
	(void)uv_timer_init(&f->loop, &f->deadline);
	f->deadline.data = f;
	(void)uv_timer_start(&f->deadline, on_deadline, PATIENCE_MS, 0);
	f->address.sun_family = AF_UNIX;
	f->address_bytes = sizeof(sa_family_t); /* the kernel chooses an abstract name */
	options.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(
		bind(options.listen_fd, (struct sockaddr *)&f->address, f->address_bytes), 0);
	f->address_bytes = sizeof(f->address);
	CU_ASSERT_EQUAL(
		getsockname(options.listen_fd, (struct sockaddr *)&f->address, &f->address_bytes),
		0);
	CU_ASSERT_EQUAL(listen(options.listen_fd, 128), 0);
	CU_ASSERT_EQUAL_FATAL(psi_socket_open(&f->loop, &options, &f->socket), 0);
}

static void teardown(struct fixture *f)
{
	CU_ASSERT_FALSE(f->is_late);
	psi_socket_close(f->socket);
	uv_close((uv_handle_t *)&f->deadline, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&f->loop), 0);
}

/* What can be done without waiting. */
static void settle(struct fixture *f)
{
	for (uint32_t i = 0; i < 8; i++)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

static int dial(struct fixture *f, const char *text, size_t bytes)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&f->address, f->address_bytes), 0);
	if (bytes)
		CU_ASSERT_EQUAL(send(fd, text, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
	settle(f);
	return fd;
}

/* Bytes that wait, -1: the end. */
static int waiting(int fd)
{
	char buffer[64];
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	return n > 0 ? (int)n : n == 0 ? -1 : errno == EAGAIN ? 0 : -1;
}

/* --- triggers --- */

static void triggers_are_those_of_a_psi_file(void)
{
	static const char *const wrong[] = {"",
					    "some",
					    "some 1",
					    "some 200000",
					    "some x 2000000",
					    "some 200000 2000000 1",
					    "some 200000 2000000x",
					    "none 200000 2000000",
					    "some 0 2000000",
					    "some 200000 499999",
					    "some 200000 10000001",
					    "some 600000 500000",
					    "some -1 2000000",
					    "some 99999999999 99999999999",
					    "full200000 2000000"};
	struct psi_trigger trigger;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(psi_trigger_parse(wrong[i], &trigger), -EINVAL);
	CU_ASSERT_EQUAL(psi_trigger_parse("some 150000 1000000", &trigger), 0);
	CU_ASSERT_EQUAL(trigger.kind, SHM_PSI_SOME);
	CU_ASSERT_EQUAL(trigger.stall_us, 150000);
	CU_ASSERT_EQUAL(trigger.window_us, 1000000);
	CU_ASSERT_EQUAL(psi_trigger_parse("full  500000 500000 ", &trigger), 0);
	CU_ASSERT_EQUAL(trigger.kind, SHM_PSI_FULL);
}

static void garbage_ends_without_a_word(void)
{
	static const char long_line[PSI_SOCKET_TRIGGER_BYTES + 2] = "some 200000 2000000";
	struct fixture f;
	char padded[PSI_SOCKET_TRIGGER_BYTES + 2];
	int fd;

	setup(&f);
	fd = dial(&f, "GET / HTTP/1.0\n", 15);
	CU_ASSERT_EQUAL(waiting(fd), -1);
	(void)close(fd);
	fd = dial(&f, "\n", 1);
	CU_ASSERT_EQUAL(waiting(fd), -1);
	(void)close(fd);
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, long_line, 19);
	fd = dial(&f, padded, sizeof(padded)); /* never ends */
	CU_ASSERT_EQUAL(waiting(fd), -1);
	(void)close(fd);
	fd = dial(&f, "some 200000 2000000\n", 20);
	CU_ASSERT_EQUAL(waiting(fd), 0);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 1);
	CU_ASSERT_EQUAL(send(fd, "x", 1, MSG_NOSIGNAL), 1); /* says one thing too many */
	settle(&f);
	CU_ASSERT_EQUAL(waiting(fd), -1);
	(void)close(fd);
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	teardown(&f);
}

static void a_line_may_come_in_pieces_and_end_with_a_nul(void)
{
	struct fixture f;
	int fd, other;

	setup(&f);
	fd = dial(&f, "some 2000", 9);
	CU_ASSERT_EQUAL(send(fd, "00 2000000", 11, MSG_NOSIGNAL), 11); /* with its NUL */
	uv_sleep(1100); /* the second is over, but nobody looked: it was written in time */
	settle(&f);
	other = dial(&f, "full 200000 2000000\n", 21);
	CU_ASSERT_EQUAL(waiting(fd), 0);
	CU_ASSERT_EQUAL(waiting(other), 0);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 2);
	(void)close(fd);
	(void)close(other);
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	teardown(&f);
}

/* --- events --- */

/* Runs the loop until something waits at fd. */
static int wait_at(struct fixture *f, int fd)
{
	int n = 0;

	while (n == 0 && !f->is_late) {
		n = waiting(fd);
		if (n == 0)
			(void)uv_run(&f->loop, UV_RUN_ONCE);
	}
	return n;
}

static void who_said_nothing_gets_the_default_and_hears_once_a_window(void)
{
	struct fixture f;
	int mute, full;
	uint64_t before;

	setup(&f);
	mute = dial(&f, "", 0);
	full = dial(&f, "full 100000 500000", 19);
	(void)uv_run(&f.loop, UV_RUN_ONCE); /* the second of silence */
	f.stalls = true;
	f.total_ns[SHM_PSI_SOME] = 150 * MS;
	psi_socket_wake(f.socket);
	for (uint32_t i = 0; i < 3; i++) /* 150 ms of 2 s are less than 200 */
		(void)uv_run(&f.loop, UV_RUN_ONCE);
	CU_ASSERT_EQUAL(waiting(mute), 0);
	f.total_ns[SHM_PSI_SOME] = 400 * MS;
	before = uv_hrtime();
	CU_ASSERT_EQUAL(wait_at(&f, mute), 1);
	f.total_ns[SHM_PSI_SOME] = 1500 * MS; /* more in the same window, if it still is */
	for (uint32_t i = 0; i < 5; i++)
		(void)uv_run(&f.loop, UV_RUN_ONCE);
	CU_ASSERT(waiting(mute) == 0 || uv_hrtime() - before >= 2000 * MS);
	CU_ASSERT_EQUAL(waiting(full), 0);
	f.total_ns[SHM_PSI_FULL] = 100 * MS;
	CU_ASSERT_EQUAL(wait_at(&f, full), 1);
	f.stalls = false;
	(void)close(mute);
	(void)close(full);
	settle(&f);
	teardown(&f);
}

static void no_more_than_there_are_places(void)
{
	int fds[PSI_SOCKET_MAX + 4];
	struct fixture f;
	uint32_t ended = 0;

	setup(&f);
	for (uint32_t i = 0; i < PSI_SOCKET_MAX + 4; i++)
		fds[i] = dial(&f, "some 200000 2000000\n", 20);
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), PSI_SOCKET_MAX);
	for (uint32_t i = 0; i < PSI_SOCKET_MAX + 4; i++) {
		ended += waiting(fds[i]) == -1;
		(void)close(fds[i]);
	}
	CU_ASSERT_EQUAL(ended, 4); /* one user alone keeps what it has */
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	teardown(&f);
}

static void its_end_is_eof_to_all(void)
{
	struct fixture f;
	int fd, half;

	setup(&f);
	fd = dial(&f, "some 200000 2000000\n", 20);
	half = dial(&f, "some", 4);
	teardown(&f);
	CU_ASSERT_EQUAL(waiting(fd), -1);
	CU_ASSERT_EQUAL(waiting(half), -1);
	(void)close(fd);
	(void)close(half);
}

/* --- subscribers who mean no good --- */

#define TRIGGER "some 100000 500000\n"
#define TRIGGER_BYTES (sizeof(TRIGGER) - 1)

static uint32_t open_descriptors(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The server's end of the connection that was made last: of those that have the listener's name. */
static int other_end(const struct fixture *f)
{
	int last = -1;

	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_un name = {0};
		socklen_t n = sizeof(name), is_n = sizeof(int);
		int listens = 1;

		if (getsockname(fd, (struct sockaddr *)&name, &n) == 0 && n == f->address_bytes &&
		    memcmp(&name, &f->address, n) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &is_n) == 0 && !listens)
			last = fd;
	}
	return last;
}

/* More is stalled, as much as every window asks for. */
static void stall_on(struct fixture *f)
{
	f->stalls = true;
	f->total_ns[SHM_PSI_SOME] += 600 * MS;
	psi_socket_wake(f->socket);
}

/* Stalls until fd hears of it; false: it never did. */
static bool is_told(struct fixture *f, int fd)
{
	stall_on(f);
	return wait_at(f, fd) == 1;
}

static void who_never_reads_has_no_more_than_a_socket_holds_and_delays_nobody(void)
{
	int deaf[PSI_SOCKET_MAX - 1], reader;
	uint32_t n_before, n_in_all = 0;
	struct fixture f;

	setup(&f);
	n_before = open_descriptors();
	for (uint32_t i = 0; i < PSI_SOCKET_MAX - 1; i++) {
		int server;

		deaf[i] = dial(&f, TRIGGER, TRIGGER_BYTES);
		server = other_end(&f);
		while (send(server, "p", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
			n_in_all++; /* as if it had been told for an hour */
		CU_ASSERT_EQUAL(errno, EAGAIN);
	}
	CU_ASSERT(n_in_all > PSI_SOCKET_MAX);
	reader = dial(&f, TRIGGER, TRIGGER_BYTES);
	CU_ASSERT_TRUE(is_told(&f, reader));
	CU_ASSERT_TRUE(is_told(&f, reader));                         /* in the next window, too */
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), PSI_SOCKET_MAX); /* to be deaf is no fault */
	for (uint32_t i = 0; i < PSI_SOCKET_MAX - 1; i++)
		(void)close(deaf[i]);
	(void)close(reader);
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	CU_ASSERT_EQUAL(open_descriptors(), n_before);
	teardown(&f);
}

static void half_closed_is_closed_in_either_half(void)
{
	uint32_t n_before;
	int one, other, reader;
	struct fixture f;

	setup(&f);
	n_before = open_descriptors();
	one = dial(&f, TRIGGER, TRIGGER_BYTES);
	CU_ASSERT_EQUAL(shutdown(one, SHUT_WR), 0);
	settle(&f);
	CU_ASSERT_EQUAL(waiting(one), -1);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	/* Says and leaves in one go; and one that hears nothing more, which a write finds. */
	(void)close(one);
	one = dial(&f, "some 2", 6);
	CU_ASSERT_EQUAL(shutdown(one, SHUT_WR), 0);
	other = dial(&f, TRIGGER, TRIGGER_BYTES);
	CU_ASSERT_EQUAL(shutdown(other, SHUT_RD), 0);
	reader = dial(&f, TRIGGER, TRIGGER_BYTES);
	CU_ASSERT_TRUE(is_told(&f, reader));
	settle(&f);
	CU_ASSERT_EQUAL(waiting(one), -1);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 1);
	(void)close(one);
	(void)close(other);
	(void)close(reader);
	settle(&f);
	CU_ASSERT_EQUAL(open_descriptors(), n_before);
	teardown(&f);
}

static void garbage_of_any_length_leaves_nothing_behind(void)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	uint32_t n_before;
	struct fixture f;
	int reader;

	setup(&f);
	reader = dial(&f, TRIGGER, TRIGGER_BYTES);
	n_before = open_descriptors();
	for (uint32_t round = 0; round < 2000; round++) {
		char bytes[300];
		size_t n;
		int fd;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			bytes[i] = (char)(state >> 32);
		}
		n = state % sizeof(bytes);
		memcpy(bytes, TRIGGER, (state >> 9) % 20); /* begins well, some of them */
		fd = dial(&f, bytes, n);
		(void)close(fd);
		settle(&f);
		CU_ASSERT_EQUAL(psi_socket_count(f.socket), 1);
	}
	CU_ASSERT_EQUAL(open_descriptors(), n_before);
	CU_ASSERT_TRUE(is_told(&f, reader));
	(void)close(reader);
	settle(&f);
	teardown(&f);
}

/* In each turn of the loop somebody comes and somebody goes: looks must come all the same. */
static void a_storm_of_connections_puts_nobodys_notification_off(void)
{
	struct fixture f;
	uint32_t n_before;
	int reader, said = 0;

	setup(&f);
	reader = dial(&f, TRIGGER, TRIGGER_BYTES);
	n_before = open_descriptors();
	stall_on(&f);
	for (uint32_t round = 0; said == 0 && !f.is_late; round++) {
		int fd = dial(&f, round % 2 ? TRIGGER : "", round % 2 ? TRIGGER_BYTES : 0);

		CU_ASSERT(psi_socket_count(f.socket) <= PSI_SOCKET_MAX);
		(void)close(fd);
		settle(&f);
		said = waiting(reader);
	}
	CU_ASSERT_EQUAL(said, 1);
	CU_ASSERT_EQUAL(open_descriptors(), n_before);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 1);
	(void)close(reader);
	settle(&f);
	teardown(&f);
}

/* All places are taken and more wait in the backlog than are accepted in one turn. */
static void a_crowd_before_the_door_ends_and_who_is_in_stays(void)
{
	int crowd[100], fds[PSI_SOCKET_MAX];
	struct fixture f;
	uint32_t n_before;

	setup(&f);
	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		fds[i] = dial(&f, TRIGGER, TRIGGER_BYTES);
	n_before = open_descriptors();
	for (uint32_t i = 0; i < 100; i++) {
		crowd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		CU_ASSERT_EQUAL(connect(crowd[i], (struct sockaddr *)&f.address, f.address_bytes),
				0);
	}
	settle(&f);
	settle(&f);
	for (uint32_t i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(waiting(crowd[i]), -1);
		(void)close(crowd[i]);
	}
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), PSI_SOCKET_MAX);
	CU_ASSERT_EQUAL(open_descriptors(), n_before);
	stall_on(&f);
	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++) {
		CU_ASSERT_EQUAL(wait_at(&f, fds[i]), 1);
		(void)close(fds[i]);
	}
	settle(&f);
	CU_ASSERT_EQUAL(psi_socket_count(f.socket), 0);
	teardown(&f);
}

CU_TestInfo test_psi_socket[] = {
	{"triggers are those of a psi file", triggers_are_those_of_a_psi_file},
	{"garbage ends without a word", garbage_ends_without_a_word},
	{"a line may come in pieces and end with a nul",
	 a_line_may_come_in_pieces_and_end_with_a_nul},
	{"who said nothing gets the default and hears once a window",
	 who_said_nothing_gets_the_default_and_hears_once_a_window},
	{"no more than there are places", no_more_than_there_are_places},
	{"its end is eof to all", its_end_is_eof_to_all},
	{"who never reads has no more than a socket holds and delays nobody",
	 who_never_reads_has_no_more_than_a_socket_holds_and_delays_nobody},
	{"half closed is closed in either half", half_closed_is_closed_in_either_half},
	{"garbage of any length leaves nothing behind",
	 garbage_of_any_length_leaves_nothing_behind},
	{"a storm of connections puts nobody's notification off",
	 a_storm_of_connections_puts_nobodys_notification_off},
	{"a crowd before the door ends and who is in stays",
	 a_crowd_before_the_door_ends_and_who_is_in_stays},
	CU_TEST_INFO_NULL,
};
