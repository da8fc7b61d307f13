/* tests/integration/test_hostile.c - clients that want too much, never read, or lie in the memory
 * that they share with the daemon. */
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_hostile[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n";

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
		CU_ASSERT_EQUAL(raw_ask(fd[i], MESSAGE_STATUS, 0, NULL, NULL), 0);
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
	CU_ASSERT_EQUAL(raw_ask(half[0], MESSAGE_HELLO, RAW_FIELDS(1, 1), NULL), 0);
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
	raw_request(&raw, 7, MESSAGE_FREE, RAW_FIELDS(0, 1, 1, 1)); /* its refusal is a long text */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_left_ms(until) && n >= 0;) {
		n = send(fd, raw.byte, raw.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = raw_ask(other, MESSAGE_STATUS, 0, NULL, NULL) == 0 ? 0 : -1;
	}
	CU_ASSERT_TRUE(n < 0 && (errno == EPIPE || errno == ECONNRESET));
	CU_ASSERT_EQUAL(raw_ask(other, MESSAGE_STATUS, 0, NULL, NULL), 0);
	(void)close(fd);
	(void)close(other);
	fixture_close(&f);
}

/* --- a flood -----------------------------------------------------------------------------------
 */

#define FLOOD 2200u       /* more than there are connections */
#define STRANGER 2000000u /* no user of this machine */

/* Makes room for `more` descriptors; false: this machine does not allow it. */
static bool raise_descriptors(rlim_t more)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < more)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static int connect_as(const struct fixture *f, uid_t uid)
{
	bool is_root = geteuid() == 0;
	int fd;

	if (is_root && seteuid(uid) < 0)
		return -1;
	fd = raw_connect(f);
	if (is_root && seteuid(0) < 0)
		abort(); /* no test can run as somebody else */
	return fd;
}

/* Connections of a stranger: some are refused, and the client asks in between and is served. */
static void flood(const struct fixture *f, int *fd, uint32_t n, bool says_hello, int client)
{
	struct raw raw;

	raw_request(&raw, 1, MESSAGE_HELLO, RAW_FIELDS(1, 1, HELLO_OBSERVER));
	for (uint32_t i = 0; i < n; i++) {
		fd[i] = connect_as(f, STRANGER);
		if (fd[i] >= 0 && says_hello)
			(void)raw_send(fd[i], &raw);
		if (i % 50 == 0)
			CU_ASSERT_EQUAL(raw_ask(client, MESSAGE_STATUS, 0, NULL, NULL), 0);
	}
}

static void end_flood(const int *fd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (fd[i] >= 0)
			(void)close(fd[i]);
}

/* Whether they say Hello or not: who is here is served, and who comes gets in. */
static void thousands_of_connections_are_in_nobodys_way(void)
{
	static int fd[FLOOD];
	struct fixture f;
	uint64_t seq = 1;
	int client, other;

	if (!raise_descriptors(2 * FLOOD))
		return;
	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 64M\n[socket]\nmode = 0666\n"));
	CU_ASSERT_EQUAL(chmod(f.directory, 0755), 0);
	client = raw_hello(&f, 0, NULL);
	for (uint32_t says_hello = 0; says_hello < 2; says_hello++) {
		flood(&f, fd, FLOOD, says_hello, client);
		CU_ASSERT_EQUAL(
			raw_ask(client, MESSAGE_ALLOC, RAW_FIELDS(0, seq++, 0, 0, 5000), NULL), 0);
		other = raw_hello(&f, HELLO_OBSERVER, NULL);
		CU_ASSERT_TRUE(other >= 0);
		(void)close(other);
		if (geteuid() == 0) {
			other = raw_hello(&f, 0, NULL);
			CU_ASSERT_TRUE(other >= 0);
			(void)close(other);
		}
		CU_ASSERT_TRUE(fixture_check(&f));
		end_flood(fd, FLOOD);
	}
	(void)close(client);
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
	raw_request(&raw, 1, MESSAGE_HELLO, RAW_FIELDS(1, 1, 0, 1));
	if (!raw_send(liar->fd, &raw) || raw_receive(liar->fd, &reply, fds) != 1 || fds[3] < 0)
		return false;
	liar->client = reply.reply.client;
	liar->map =
		mmap(NULL, shm_ctl_purge_offset(1), PROT_READ | PROT_WRITE, MAP_SHARED, fds[2], 0);
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
	if (liar->map == MAP_FAILED || !observer_open(&liar->observer, f))
		return false;
	liar->bottom = (uint64_t *)((char *)liar->map + shm_ctl_bottom_offset(0, 0));
	liar->slot = (uint32_t *)((char *)liar->map + shm_ctl_slots_offset(0, 0));
	return raw_ask(liar->fd, MESSAGE_PCP_CREATE, RAW_FIELDS(0), NULL) == 0 &&
	       raw_ask(liar->fd, MESSAGE_PCP_REFILL, RAW_FIELDS(0, 0, 16, 0, 5000), NULL) == 0;
}

static void liar_close(struct liar *liar)
{
	(void)munmap(liar->map, shm_ctl_purge_offset(1));
	observer_close(&liar->observer);
	(void)close(liar->fd);
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
		theirs[i] = raw_take(other, i + 1, 0);
	if (liar_open(&liar, &f)) {
		for (uint32_t i = 0; i < SHM_HOT_SLOTS_FIRST; i++)
			liar.slot[i] = i % 3 ? theirs[i % 16] : i % 2 ? UINT32_MAX : 1u << 20;
		fixture_drain(&f);
		CU_ASSERT_TRUE(shm_view_client(&liar.observer.view, liar.client)->nr_bad_free > 0);
		CU_ASSERT_TRUE(fixture_check(&f));
		liar_close(&liar);
	} else {
		CU_FAIL("no liar");
	}
	for (uint32_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(
			raw_ask(other, MESSAGE_FREE, RAW_FIELDS(0, 17 + i, theirs[i], 0), NULL), 0);
	CU_ASSERT_EQUAL(raw_bad_frees(other), 0);
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
			fixture_drain(&f);
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

CU_TestInfo test_hostile[] = {
	{"more connections than allowed are refused", more_connections_than_allowed_are_refused},
	{"more handshakes than allowed are refused", more_handshakes_than_allowed_are_refused},
	{"thousands of connections are in nobody's way",
	 thousands_of_connections_are_in_nobodys_way},
	{"client that never reads is cut off", client_that_never_reads_is_cut_off},
	{"slots that lie give nothing of another away",
	 slots_that_lie_give_nothing_of_another_away},
	{"bottom that lies ends the client", bottom_that_lies_ends_the_client},
	CU_TEST_INFO_NULL,
};
