/* tests/integration/test_sharing.c - frames that several processes have: contents, references, and
 * the death of those who held them. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

extern CU_TestInfo test_sharing[];

static const char config[] = "[segment]\nsize = 64M\n[pcp]\nbatch = 16\n";

/* A process that does what it is told: a word with a number in its lower bits. */
enum { IMPORT, PUT, READ, WRITE, SHARE, TRANSFER_TO, ID, LEAVE };

struct partner {
	pageclient *client;
	char *frame;
	unsigned order;
};

/* 0 or -errno, as a number; READ: the first byte; SHARE: the handle; ID: the client's. */
static uint64_t do_as_told(struct partner *partner, uint64_t what, uint64_t value)
{
	struct pageclient_status status;
	void *frame = NULL;
	uint64_t handle = 0;
	int r = 0;

	if (what == IMPORT) {
		r = pageclient_import(partner->client, value, &frame, &partner->order);
		if (r == 0)
			partner->frame = frame;
	} else if (what == PUT) {
		r = pageclient_put(partner->client, partner->frame);
	} else if (what == READ) {
		return (uint8_t)partner->frame[value];
	} else if (what == WRITE) {
		memset(partner->frame, (int)value, 4096u << partner->order);
	} else if (what == SHARE) {
		partner->order = (unsigned)value;
		partner->frame = pageclient_alloc(partner->client, partner->order, PAGECLIENT_ZERO);
		r = pageclient_share(partner->client, partner->frame, &handle);
	} else if (what == TRANSFER_TO) {
		r = pageclient_transfer(partner->client, partner->frame, (uint32_t)value, &handle);
	} else {
		PAGECLIENT_INIT(struct pageclient_status, &status);
		(void)pageclient_read_status(partner->client, &status);
		return status.client_id;
	}
	return r < 0 ? (uint64_t)-r : handle;
}

static int be_partner(int fd, void *arg)
{
	struct partner partner = {.client = fixture_client(arg, "partner")};
	uint64_t what, value;

	CHILD_CHECK(partner.client);
	while (child_hear(fd, &what) && what != LEAVE) {
		CHILD_CHECK(child_hear(fd, &value));
		CHILD_CHECK(child_say(fd, do_as_told(&partner, what, value)));
	}
	pageclient_close(partner.client);
	return 0;
}

static uint64_t tell(const struct child *child, uint64_t what, uint64_t value)
{
	uint64_t answer = UINT64_MAX;

	if (!child_say(child->fd, what) || !child_say(child->fd, value) ||
	    !child_hear(child->fd, &answer))
		return UINT64_MAX;
	return answer;
}

struct scene {
	struct fixture fixture;
	struct observer observer;
	struct child one, two;
};

static void scene_open(struct scene *scene)
{
	CU_ASSERT_TRUE(fixture_open(&scene->fixture, config));
	CU_ASSERT_TRUE(observer_open(&scene->observer, &scene->fixture));
	CU_ASSERT_TRUE(child_start(&scene->one, be_partner, &scene->fixture));
	CU_ASSERT_TRUE(child_start(&scene->two, be_partner, &scene->fixture));
}

static void scene_close(struct scene *scene)
{
	CU_ASSERT_TRUE(fixture_check(&scene->fixture));
	(void)child_end(&scene->one);
	(void)child_end(&scene->two);
	CU_ASSERT_TRUE(observer_all_free(&scene->observer));
	observer_close(&scene->observer);
	fixture_close(&scene->fixture);
}

static uint64_t nr_shared(const struct scene *scene)
{
	return shm_view_counter(&scene->observer.view, COUNTER_nr_shared);
}

static void share_is_seen_by_both_and_freed_by_the_last_put(void)
{
	struct scene s;
	uint64_t handle;

	scene_open(&s);
	handle = tell(&s.one, SHARE, 3);
	CU_ASSERT_EQUAL(tell(&s.one, WRITE, 'a'), 0);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, handle), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 8);
	CU_ASSERT_EQUAL(tell(&s.two, READ, (4096 << 3) - 1), 'a');
	CU_ASSERT_EQUAL(tell(&s.two, WRITE, 'b'), 0);
	CU_ASSERT_EQUAL(tell(&s.one, READ, 5), 'b');
	CU_ASSERT_EQUAL(tell(&s.one, PUT, 0), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 8);
	CU_ASSERT_EQUAL(tell(&s.two, READ, 0), 'b');
	CU_ASSERT_EQUAL(tell(&s.two, PUT, 0), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 0);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, handle), ESTALE);
	CU_ASSERT_EQUAL(tell(&s.one, IMPORT, handle), ESTALE);
	scene_close(&s);
}

static void stale_handle_never_means_the_next_owner(void)
{
	struct scene s;
	uint64_t first, next;

	scene_open(&s);
	first = tell(&s.one, SHARE, 9);
	CU_ASSERT_EQUAL(tell(&s.one, PUT, 0), 0);
	for (int i = 0; i < 20; i++) {
		next = tell(&s.one, SHARE, 9);
		CU_ASSERT_NOT_EQUAL(next, first);
		CU_ASSERT_EQUAL(tell(&s.two, IMPORT, first), ESTALE);
		CU_ASSERT_EQUAL(tell(&s.one, PUT, 0), 0);
	}
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, first ^ 1), ESTALE);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, UINT64_MAX), EINVAL);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, 0), ESTALE);
	scene_close(&s);
}

static void death_of_who_shared_leaves_it_to_the_others(void)
{
	struct scene s;
	uint64_t handle;

	scene_open(&s);
	handle = tell(&s.one, SHARE, 0);
	CU_ASSERT_EQUAL(tell(&s.one, WRITE, 'd'), 0);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, handle), 0);
	child_kill(&s.one);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     observer_count_clients(&s.observer) > 1 && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(nr_shared(&s), 1);
	CU_ASSERT_EQUAL(tell(&s.two, READ, 4095), 'd');
	CU_ASSERT_TRUE(fixture_check(&s.fixture));
	child_kill(&s.two);
	CU_ASSERT_TRUE(observer_all_free(&s.observer));
	CU_ASSERT_EQUAL(nr_shared(&s), 0);
	scene_close(&s);
}

static void transfer_moves_the_frame(void)
{
	struct scene s;
	uint64_t handle, again;
	pageclient *client;
	void *frame;

	scene_open(&s);
	client = fixture_client(&s.fixture, "giver");
	frame = pageclient_alloc(client, 2, 0);
	memset(frame, 't', 4096u << 2);
	CU_ASSERT_EQUAL(pageclient_transfer(client, frame, 0, &handle), -EINVAL);
	CU_ASSERT_EQUAL(pageclient_transfer(client, frame, 999, &handle), -ESRCH);
	CU_ASSERT_EQUAL(pageclient_transfer(client, frame, (uint32_t)tell(&s.one, ID, 0), &handle),
			0);
	CU_ASSERT_TRUE(pageclient_put(client, frame) < 0);
	CU_ASSERT_EQUAL(tell(&s.one, IMPORT, handle), 0);
	CU_ASSERT_EQUAL(tell(&s.one, READ, 77), 't');
	again = tell(&s.one, TRANSFER_TO, tell(&s.two, ID, 0));
	CU_ASSERT_EQUAL(again, handle);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, again), 0);
	CU_ASSERT_EQUAL(tell(&s.two, READ, 78), 't');
	CU_ASSERT_EQUAL(nr_shared(&s), 4);
	CU_ASSERT_EQUAL(tell(&s.two, PUT, 0), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 0);
	pageclient_close(client);
	scene_close(&s);
}

static void transfer_to_who_dies_frees_the_frame(void)
{
	struct scene s;
	uint64_t handle;
	pageclient *client;

	scene_open(&s);
	client = fixture_client(&s.fixture, "giver");
	CU_ASSERT_EQUAL(pageclient_transfer(client, pageclient_alloc(client, 0, 0),
					    (uint32_t)tell(&s.one, ID, 0), &handle),
			0);
	CU_ASSERT_EQUAL(nr_shared(&s), 1);
	child_kill(&s.one);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); nr_shared(&s) && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(nr_shared(&s), 0);
	CU_ASSERT_EQUAL(tell(&s.two, IMPORT, handle), ESTALE);
	pageclient_close(client);
	scene_close(&s);
}

static void references_of_a_process_are_counted_by_the_library(void)
{
	struct scene s;
	uint64_t handle = 0, same = 0;
	pageclient *client;
	void *frame, *again;

	scene_open(&s);
	client = fixture_client(&s.fixture, "counts");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &same), 0);
	CU_ASSERT_EQUAL(handle, same);
	CU_ASSERT_EQUAL(pageclient_import(client, handle, &again, NULL), 0);
	CU_ASSERT_PTR_EQUAL(frame, again);
	CU_ASSERT_EQUAL(pageclient_put(client, frame), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 1);
	CU_ASSERT_EQUAL(pageclient_put(client, frame), 0);
	CU_ASSERT_EQUAL(nr_shared(&s), 0);
	CU_ASSERT_TRUE(pageclient_put(client, frame) < 0);
	CU_ASSERT_EQUAL(pageclient_put(client, &s), -EINVAL);
	pageclient_close(client);
	scene_close(&s);
}

/* A shared frame ends with put; a free of it is refused and changes nothing. */
#define MANY 9000u /* entries of the table: more than have memory at the start, twice over */

static uint64_t state_blocks(const struct fixture *f)
{
	struct stat st;
	char path[96];

	fixture_segment_path(f, "state", path);
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks : 0;
}

static void the_table_of_edges_gets_memory_as_it_is_used(void)
{
	static void *frame[MANY];
	struct observer observer;
	struct fixture f;
	pageclient *client;
	uint64_t blocks, handle;
	uint32_t shared = 0;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	client = fixture_client(&f, "sharer");
	blocks = state_blocks(&f);
	for (uint32_t i = 0; i < MANY; i++) {
		frame[i] = pageclient_alloc(client, 0, 0);
		shared += frame[i] && pageclient_share(client, frame[i], &handle) == 0;
	}
	CU_ASSERT_EQUAL(shared, MANY);
	CU_ASSERT_TRUE(state_blocks(&f) >= blocks + 2 * (SHM_EDGES_STEP * 16 / 512));
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	pageclient_close(fixture_client(&f, "after"));
	CU_ASSERT_EQUAL(shm_view_counter(&observer.view, COUNTER_nr_shared), MANY);
	CU_ASSERT_TRUE(fixture_check(&f));
	for (uint32_t i = 0; i < MANY; i++)
		(void)pageclient_put(client, frame[i]);
	pageclient_close(client);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	observer_close(&observer);
	fixture_close(&f);
}

static void free_of_a_shared_frame_is_refused(void)
{
	struct scene s;
	struct pageclient_status status;
	uint64_t handle;
	pageclient *client;
	struct program ctl;
	void *frame;

	scene_open(&s);
	client = fixture_client(&s.fixture, "frees");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), 0);
	CU_ASSERT_EQUAL(tell(&s.one, IMPORT, handle), 0);
	CU_ASSERT_EQUAL(tell(&s.one, WRITE, 's'), 0);
	pageclient_free(client, frame, 0);
	fixture_ctl(&s.fixture, &ctl, "drain", NULL);
	program_done(&ctl);
	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	CU_ASSERT_EQUAL(status.nr_bad_free, 1);
	CU_ASSERT_EQUAL(nr_shared(&s), 1);
	CU_ASSERT_EQUAL(tell(&s.one, READ, 1), 's');
	pageclient_close(client);
	CU_ASSERT_EQUAL(tell(&s.one, READ, 2), 's');
	scene_close(&s);
}

CU_TestInfo test_sharing[] = {
	{"share is seen by both and freed by the last put",
	 share_is_seen_by_both_and_freed_by_the_last_put},
	{"stale handle never means the next owner", stale_handle_never_means_the_next_owner},
	{"death of who shared leaves it to the others",
	 death_of_who_shared_leaves_it_to_the_others},
	{"transfer moves the frame", transfer_moves_the_frame},
	{"transfer to who dies frees the frame", transfer_to_who_dies_frees_the_frame},
	{"references of a process are counted by the library",
	 references_of_a_process_are_counted_by_the_library},
	{"free of a shared frame is refused", free_of_a_shared_frame_is_refused},
	{"the table of edges gets memory as it is used",
	 the_table_of_edges_gets_memory_as_it_is_used},
	CU_TEST_INFO_NULL,
};
