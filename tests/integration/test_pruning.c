/* tests/integration/test_pruning.c - purgeable frames and limits against a real daemon: what is
 * taken of whom when nobody can answer, and what an administrator sees and sets. */
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_pruning[];

#define FRAMES 8192u
#define SLOTS 6000u
/* No refills ahead of need: then magazines hold little, and what is asked for is purged. One
 * deadline alone is longer than anything takes here. */
static const char config[] = "[segment]\nsize = 32M\n[pcp]\nbatch = 16\nbusy_poll = 0\n"
			     "[reclaim]\ndeadline = 60s\nbreaker = 60s\n"
			     "[client name=kept*]\nmin = 8M\n";

struct keeper {
	const struct fixture *f;
	const char *name;
	uint32_t n_slots;
};

/* Holds purgeable frames, unpinned; tells how many it has left when it is asked. */
static int keep(int fd, void *arg)
{
	const struct keeper *keeper = arg;
	pageclient_slot *slots = calloc(keeper->n_slots, sizeof(*slots));
	struct pageclient_options options;
	pageclient *client = NULL;
	uint64_t question;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = keeper->f->socket;
	options.name = keeper->name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = CLOCK_PATIENCE_MS;
	CHILD_CHECK(slots && pageclient_open(&options, &client) == 0);
	for (uint32_t i = 0; i < keeper->n_slots; i++) {
		void *frame = pageclient_alloc(client, 0, 0);

		CHILD_CHECK(frame);
		memset(frame, (int)i, 4096);
		CHILD_CHECK(pageclient_purgeable_new(client, frame, &slots[i]) == 0);
		pageclient_unpin(client, slots[i]);
	}
	CHILD_CHECK(child_say(fd, keeper->n_slots));
	while (child_hear(fd, &question)) {
		uint64_t n = 0;

		for (uint32_t i = 0; i < keeper->n_slots; i++) {
			const unsigned char *frame = pageclient_pin(client, slots[i]);

			if (!frame)
				continue;
			CHILD_CHECK(frame[0] == (unsigned char)i &&
				    frame[4095] == (unsigned char)i);
			pageclient_unpin(client, slots[i]);
			n++;
		}
		CHILD_CHECK(child_say(fd, n));
	}
	pageclient_close(client);
	free(slots);
	return 0;
}

static bool keeper_start(struct child *child, struct keeper *keeper)
{
	return child_start(child, keep, keeper) && child_expect(child->fd, keeper->n_slots);
}

static uint64_t keeper_count(const struct child *child)
{
	uint64_t n = UINT64_MAX;

	CU_ASSERT_TRUE(child_say(child->fd, 1) && child_hear(child->fd, &n));
	return n;
}

/* The row of `what` ("clients", "caches") whose name is that; the root is *ret_root. */
static const json_t *row_of(const struct fixture *f, const char *what, const char *name,
			    json_t **ret_root)
{
	const json_t *rows;

	*ret_root = fixture_ctl_json(f, what);
	rows = json_object_get(*ret_root, what);
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(rows, i), "name")),
			   name) == 0)
			return json_array_get(rows, i);
	CU_FAIL("no such row");
	return NULL;
}

static uint64_t number_of(const struct fixture *f, const char *what, const char *name,
			  const char *key)
{
	json_t *root;
	uint64_t n = fixture_json_number(row_of(f, what, name, &root), key);

	json_decref(root);
	return n;
}

static uint64_t reclaim(const struct fixture *f, const char *frames)
{
	struct program ctl;
	json_t *root;
	uint64_t n;

	fixture_ctl(f, &ctl, "reclaim", "--frames", frames, "--json", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	root = json_loads(ctl.out, 0, NULL);
	n = fixture_json_number(root, "frames");
	json_decref(root);
	program_done(&ctl);
	return n;
}

static void who_is_stopped_gives_its_purgeable_frames_all_the_same(void)
{
	struct fixture f;
	struct keeper one = {&f, "one", SLOTS / 2}, two = {&f, "two", SLOTS / 2};
	struct child first, second;
	uint64_t got;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(keeper_start(&first, &one));
	CU_ASSERT_TRUE(keeper_start(&second, &two));
	CU_ASSERT_TRUE(child_stop(&first) && child_stop(&second));
	got = reclaim(&f, "2000");
	CU_ASSERT_TRUE(got >= 2000 && got <= 2000 + 256);
	CU_ASSERT_TRUE(child_continue(&first) && child_continue(&second));
	CU_ASSERT_TRUE(keeper_count(&first) + keeper_count(&second) >= SLOTS - got);
	CU_ASSERT_TRUE(number_of(&f, "caches", "one", "purged") +
			       number_of(&f, "caches", "two", "purged") >=
		       1500);
	CU_ASSERT_TRUE(fixture_check(&f));
	CU_ASSERT_EQUAL(child_end(&first), 0);
	CU_ASSERT_EQUAL(child_end(&second), 0);
	fixture_close(&f);
}

/* The hung one holds a part, the rest is purgeable: whoever allocates waits for nobody. */
static void hung_shrinker_beside_purgeable_frames_delays_nobody(void)
{
	struct fixture f;
	struct holder hangs = {&f, "hangs", HOLDER_HANGS, FRAMES / 8, 0};
	struct keeper keeper = {&f, "keeper", SLOTS};
	struct child first, second;
	pageclient *client;
	uint64_t n, before;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(holder_start(&first, &hangs, &n));
	CU_ASSERT_TRUE(keeper_start(&second, &keeper));
	client = fixture_client(&f, "needy");
	before = clock_now_ms();
	for (uint32_t i = 0; i < FRAMES / 2; i++)
		CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	/* One deadline alone is twice that. */
	CU_ASSERT_TRUE(clock_now_ms() - before < CLOCK_PATIENCE_MS / 2);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	child_kill(&first);
	CU_ASSERT_EQUAL(child_end(&second), 0);
	fixture_close(&f);
}

static void storm_takes_no_neighbour_below_its_min(void)
{
	struct fixture f;
	struct keeper keeper = {&f, "kept", SLOTS / 2};
	struct child child;
	pageclient *storm;
	uint64_t n = 0;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(keeper_start(&child, &keeper));
	CU_ASSERT_EQUAL(number_of(&f, "clients", "kept", "min"), 2048);
	storm = fixture_client(&f, "storm");
	while (n < FRAMES && pageclient_alloc(storm, 0, 0))
		n++;
	CU_ASSERT_TRUE(n > FRAMES / 2);
	CU_ASSERT_TRUE(number_of(&f, "clients", "kept", "owned") >= 2048);
	/* Its min counts what lies in its magazines, at most one bulk. */
	CU_ASSERT_TRUE(keeper_count(&child) >= 2048 - 600);
	pageclient_close(storm);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

static void set_is_shown_and_survives_the_server(void)
{
	struct fixture f;
	struct program ctl;
	pageclient *client;
	json_t *root;
	const json_t *row;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "guest");
	fixture_ctl(&f, &ctl, "set", "guest", "min=4M", "high=25%", "weight=5", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	row = row_of(&f, "clients", "guest", &root);
	CU_ASSERT_EQUAL(fixture_json_number(row, "min"), 1024);
	CU_ASSERT_EQUAL(fixture_json_number(row, "high"), 2048);
	CU_ASSERT_EQUAL(fixture_json_number(row, "weight"), 5);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "limits_from")), "set");
	json_decref(root);
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	pageclient_free(client, pageclient_alloc(client, 3, 0), 3); /* it is there again */
	CU_ASSERT_EQUAL(number_of(&f, "clients", "guest", "min"), 1024);
	fixture_ctl(&f, &ctl, "set", "guest", "min=default", "high=none", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	CU_ASSERT_EQUAL(number_of(&f, "clients", "guest", "min"), 0);
	fixture_ctl(&f, &ctl, "set", "guest", "min=64M", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "more than the 8192 of the segment"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "set", "guest", "max=101%", NULL);
	CU_ASSERT_EQUAL(ctl.status, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "'101%' is more than the segment; 100% at most"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "set", "guest", "mim=64M", NULL);
	CU_ASSERT_EQUAL(ctl.status, 2);
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "set", "nobody", "min=1M", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "set", "guest", NULL);
	CU_ASSERT_EQUAL(ctl.status, 2);
	program_done(&ctl);
	pageclient_close(client);
	fixture_close(&f);
}

static void dry_run_says_from_whom_and_takes_nothing(void)
{
	struct fixture f;
	struct keeper keeper = {&f, "keeper", 1000};
	struct child child;
	struct program ctl;
	uint64_t until;
	bool seen = false;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(keeper_start(&child, &keeper));
	for (until = clock_until(CLOCK_PATIENCE_MS); !seen && clock_pause(until);) {
		fixture_ctl(&f, &ctl, "reclaim", "--frames", "1000", "--dry-run", NULL);
		CU_ASSERT_EQUAL(ctl.status, 0);
		seen = strstr(ctl.out, "purged of") && strstr(ctl.out, "(keeper)");
		program_done(&ctl);
	}
	CU_ASSERT_TRUE(seen);
	CU_ASSERT_EQUAL(keeper_count(&child), 1000);
	fixture_ctl(&f, &ctl, "reclaim", "--frames", "9", "--cache", "nothing", NULL);
	CU_ASSERT_EQUAL(ctl.status, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, "called 'nothing'"));
	program_done(&ctl);
	fixture_ctl(&f, &ctl, "caches", "-v", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "purgeable"));
	program_done(&ctl);
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* What is no size or no cache is refused, and never taken for all of them. */
static void slip_of_the_pen_is_no_wider_order(void)
{
	static const struct {
		const char *words[5];
		int status;
	} slips[] = {{{"reclaim", "--frames", "9", "--cache", "0:0"}, 1},
		     {{"reclaim", "--frames", "9", "--cache", "1:0"}, 1},
		     {{"reclaim", "--frames", "9", "--cache", "4294967297:4294967296"}, 1},
		     {{"why", "cache", "4294967297:1"}, 1},
		     {{"why", "cache", "1:-4294967295"}, 1},
		     {{"set", "guest", "max=0M"}, 2},
		     {{"set", "guest", "high=0%"}, 2},
		     {{"set", "guest", "max=00"}, 2},
		     {{"set", "guest", "low=16777216T"}, 2},
		     {{"resize", "16777217T"}, 2}};
	struct fixture f;
	struct program ctl;
	pageclient *client;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "guest");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 0, 0));
	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		const char *const *words = slips[i].words;

		fixture_ctl(&f, &ctl, words[0], words[1], words[2], words[3], words[4], NULL);
		CU_ASSERT_EQUAL(ctl.status, slips[i].status);
		CU_ASSERT_STRING_EQUAL(ctl.out, "");
		CU_ASSERT_TRUE(program_said_one_line(&ctl));
		program_done(&ctl);
	}
	pageclient_close(client);
	fixture_close(&f);
}

CU_TestInfo test_pruning[] = {
	{"who is stopped gives its purgeable frames all the same",
	 who_is_stopped_gives_its_purgeable_frames_all_the_same},
	{"hung shrinker beside purgeable frames delays nobody",
	 hung_shrinker_beside_purgeable_frames_delays_nobody},
	{"storm takes no neighbour below its min", storm_takes_no_neighbour_below_its_min},
	{"set is shown and survives the server", set_is_shown_and_survives_the_server},
	{"dry run says from whom and takes nothing", dry_run_says_from_whom_and_takes_nothing},
	{"slip of the pen is no wider order", slip_of_the_pen_is_no_wider_order},
	CU_TEST_INFO_NULL,
};
