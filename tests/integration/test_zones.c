/* tests/integration/test_zones.c - a segment of three zones: whose frames come from which, what
 * happens when one is short, and how large blocks are had where purgeable frames lie in the way. */
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <string.h>

extern CU_TestInfo test_zones[];

#define ZONE 4096u /* frames of fast and of bulk; normal has twice as many */
#define MANY (4 * ZONE)
enum { FAST, BULK, NORMAL, N_ZONES };

static const char three[] = "[segment]\nsize = 64M\nbacking = posix\n"
			    "[zone fast]\nsize = 16M\nfallback = bulk\n"
			    "[zone bulk]\nsize = 16M\nreserve = 2\n"
			    "[client name=bulk*]\nzone = bulk\n"
			    "[client name=tail]\nzone = normal\n";

/* A client, and the frames that it took of each zone. */
struct taker {
	pageclient *client;
	uint32_t n, n_of[N_ZONES];
	void *frame[MANY];
};

/* For what ends when there are no frames. On a busy machine nothing comes for as long, too: who
 * wants all that there is asks again until it has what must be there. */
static pageclient *impatient(const struct fixture *f, const char *name)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.name = name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.call_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = 300;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), 0);
	return client;
}

static int zone_of(const pageclient *client, const void *frame)
{
	uint32_t zone = pageclient_pfn(client, frame) / ZONE;

	return zone < NORMAL ? (int)zone : NORMAL;
}

static bool take_one(struct taker *taker)
{
	void *frame = pageclient_alloc(taker->client, 0, 0);

	if (!frame)
		return false;
	taker->n_of[zone_of(taker->client, frame)]++;
	taker->frame[taker->n++] = frame;
	return true;
}

/* n more frames. */
static void take(struct taker *taker, uint32_t n)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (n > 0) {
		if (take_one(taker))
			n--;
		else if (!clock_pause(until))
			return;
	}
}

/* Until there are none, and it has more than so many of each zone. */
static void take_all(struct taker *taker, const uint32_t more_than[N_ZONES])
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	bool has_all;

	do {
		has_all = true;
		while (taker->n < MANY && take_one(taker))
			;
		for (int i = 0; i < N_ZONES; i++)
			has_all &= more_than[i] == 0 || taker->n_of[i] > more_than[i];
	} while (!has_all && clock_pause(until));
	CU_ASSERT_TRUE(has_all);
}

static void give_all(struct taker *taker)
{
	while (taker->n)
		pageclient_free(taker->client, taker->frame[--taker->n], 0);
	memset(taker->n_of, 0, sizeof(taker->n_of));
}

static void begin(struct taker *taker, const struct fixture *f, const char *name)
{
	memset(taker, 0, sizeof(*taker));
	taker->client = impatient(f, name);
}

static bool prints(const struct fixture *f, const char *text)
{
	struct program ctl;
	bool has;

	fixture_ctl(f, &ctl, "zones", NULL);
	has = ctl.status == 0 && strstr(ctl.out, text);
	if (!has)
		(void)fprintf(stderr, "no \"%s\" in zones: %s\n", text, ctl.out);
	program_done(&ctl);
	return has;
}

static uint64_t number_of(const struct fixture *f, unsigned zone, const char *field)
{
	json_t *root = fixture_ctl_json(f, "zones");
	uint64_t n =
		fixture_json_number(json_array_get(json_object_get(root, "zones"), zone), field);

	json_decref(root);
	return n;
}

static uint64_t number(const struct fixture *f, const char *path)
{
	json_t *root = fixture_ctl_json(f, "zones");
	uint64_t n = fixture_json_number(root, path);

	json_decref(root);
	return n;
}

/* --- zones ---------------------------------------------------------------------------------- */

static void expect_first_frames(const struct fixture *f)
{
	static const struct {
		const char *name;
		int zone;
	} who[] = {{"plain", FAST}, {"bulk-1", BULK}, {"tail", NORMAL}};

	for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		pageclient *client = fixture_client(f, who[i].name);
		void *small = pageclient_alloc(client, 0, 0), *large;

		large = pageclient_alloc(client, 9, 0);
		CU_ASSERT_EQUAL(zone_of(client, small), who[i].zone);
		CU_ASSERT_EQUAL(zone_of(client, large), who[i].zone);
		pageclient_free(client, small, 0);
		pageclient_free(client, large, 9);
		pageclient_close(client);
	}
}

static void each_client_starts_from_its_zone(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, three));
	expect_first_frames(&f);
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

/* plain falls back to bulk and no further, and leaves half of it; whose zone bulk is has that, and
 * then what lies behind it. */
static void a_short_zone_falls_back_and_a_reserve_is_kept(void)
{
	static struct taker plain, bulk;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, three));
	begin(&plain, &f, "plain");
	begin(&bulk, &f, "bulk-1");
	take_all(&plain, (const uint32_t[]){ZONE * 7 / 8, ZONE / 4, 0});
	CU_ASSERT(plain.n_of[BULK] <= ZONE / 2);
	CU_ASSERT_EQUAL(plain.n_of[NORMAL], 0);
	CU_ASSERT(number_of(&f, BULK, "free") >= ZONE / 2);
	take_all(&bulk, (const uint32_t[]){0, ZONE * 3 / 8, ZONE * 15 / 8});
	CU_ASSERT_EQUAL(bulk.n_of[FAST], 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	give_all(&plain);
	give_all(&bulk);
	fixture_drain(&f);
	take(&plain, 100);
	CU_ASSERT_EQUAL(plain.n_of[FAST], 100);
	pageclient_close(plain.client);
	pageclient_close(bulk.client);
	fixture_close(&f);
}

static void expect_zones(const struct fixture *f)
{
	CU_ASSERT_TRUE(prints(f, "Zone fast: frames 0 to 4095"));
	CU_ASSERT_TRUE(prints(f, "Zone bulk: frames 4096 to 8191"));
	CU_ASSERT_TRUE(prints(f, "Zone normal: frames 8192 to 16383"));
	CU_ASSERT_TRUE(prints(f, "falls back to bulk\n"));
	CU_ASSERT_TRUE(prints(f, "falls back to normal; keeps 1/2 from others"));
	CU_ASSERT_TRUE(prints(f, "falls back to none"));
	CU_ASSERT_TRUE(prints(f, "largest run "));
	CU_ASSERT_TRUE(prints(f, "Blocks of order 9: "));
	CU_ASSERT_EQUAL(number_of(f, BULK, "reserve_ratio"), 2);
	CU_ASSERT_EQUAL(number_of(f, FAST, "managed"), ZONE);
	CU_ASSERT_EQUAL(number_of(f, NORMAL, "largest_after_reclaim"), 2 * ZONE);
}

static void zones_are_shown_and_outlive_the_daemon(void)
{
	static struct taker bulk;
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, three));
	begin(&bulk, &f, "bulk-1");
	take(&bulk, 1000);
	expect_zones(&f);
	fixture_stop(&f);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_FALSE(fixture_log_has(&f, "new segment"));
	expect_zones(&f);
	expect_first_frames(&f);
	take(&bulk, 1000);
	CU_ASSERT_EQUAL(bulk.n_of[BULK], 2000);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(bulk.client);
	fixture_close(&f);
}

/* --- large blocks --------------------------------------------------------------------------- */

#define SEGMENT_FRAMES 8192u
/* No refills ahead of need: what is free stays free, and is what a large block is made of. */
static const char one[] = "[segment]\nsize = 32M\nbacking = posix\n[pcp]\nbatch = 16\n"
			  "busy_poll = 0\n";

/* Two clients in turn, so that each pageblock has frames of both. */
static uint32_t fill_with_purgeable(pageclient *const client[2])
{
	pageclient_slot slot;
	uint32_t n = 0;
	void *frame;

	for (; n < SEGMENT_FRAMES * 15 / 16; n++) {
		frame = pageclient_alloc(client[n / 16 % 2], 0, PAGECLIENT_RECLAIMABLE);
		if (!frame || pageclient_purgeable_new(client[n / 16 % 2], frame, &slot) != 0)
			break;
		pageclient_unpin(client[n / 16 % 2], slot);
	}
	return n;
}

/* A try may go on for a moment when who waited has its block already. */
static bool each_try_ends(const struct fixture *f)
{
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS); clock_pause(until);)
		if (number(f, "compact.stall") ==
		    number(f, "compact.success") + number(f, "compact.fail"))
			return true;
	return false;
}

static void purgeable_frames_make_way_for_large_blocks(void)
{
	pageclient *client[2], *wanter;
	void *block[4];
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, one));
	client[0] = fixture_client(&f, "left");
	client[1] = fixture_client(&f, "right");
	wanter = fixture_client(&f, "wanter");
	CU_ASSERT_EQUAL(fill_with_purgeable(client), SEGMENT_FRAMES * 15 / 16);
	CU_ASSERT(number_of(&f, 0, "largest_free") < SEGMENT_FRAMES / 8);
	CU_ASSERT(number_of(&f, 0, "largest_after_reclaim") >= SEGMENT_FRAMES / 4);
	for (int i = 0; i < 4; i++) {
		block[i] = pageclient_alloc(wanter, 9, 0);
		CU_ASSERT_PTR_NOT_NULL(block[i]);
		if (block[i])
			memset(block[i], i, (size_t)4096 << 9);
	}
	CU_ASSERT(number(&f, "order9.granted") >= 4);
	CU_ASSERT_TRUE(each_try_ends(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	for (int i = 0; i < 4; i++)
		if (block[i])
			pageclient_free(wanter, block[i], 9);
	pageclient_close(wanter);
	pageclient_close(client[0]);
	pageclient_close(client[1]);
	fixture_close(&f);
}

#define RUN(pfn) ((pfn) >> 9)
#define LEFT 3u /* runs that hold purgeable frames alone; in the others some stay */
#define RIGHT 5u

/* Who holds all, in turn, and what. */
struct hoard {
	pageclient *client[2];
	uint32_t n;
	void *frame[SEGMENT_FRAMES];
};

static pageclient *holder_of(const struct hoard *hoard, uint32_t i)
{
	return hoard->client[i / 16 % 2];
}

static void hold_all(struct hoard *hoard)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	hoard->n = 0;
	do
		while (hoard->n < SEGMENT_FRAMES &&
		       (hoard->frame[hoard->n] = pageclient_alloc(holder_of(hoard, hoard->n), 0,
								  PAGECLIENT_RECLAIMABLE)))
			hoard->n++;
	while (hoard->n <= SEGMENT_FRAMES - 512 && clock_pause(until));
	CU_ASSERT(hoard->n > SEGMENT_FRAMES - 512);
}

static bool is_in_run(const struct hoard *hoard, uint32_t i)
{
	uint32_t run = RUN(pageclient_pfn(holder_of(hoard, i), hoard->frame[i]));

	return run == LEFT || run == RIGHT;
}

/* One in eight of the frames of the others, which makes more than a run of free frames, and no
 * run. */
static void free_scattered_frames(const struct hoard *hoard)
{
	for (uint32_t i = 0; i < hoard->n; i++)
		if (!is_in_run(hoard, i) &&
		    pageclient_pfn(holder_of(hoard, i), hoard->frame[i]) % 8 == 1)
			pageclient_free(holder_of(hoard, i), hoard->frame[i], 0);
}

static void make_runs_purgeable(const struct hoard *hoard)
{
	for (uint32_t i = 0; i < hoard->n; i++) {
		pageclient_slot slot;

		if (!is_in_run(hoard, i))
			continue;
		CU_ASSERT_EQUAL(
			pageclient_purgeable_new(holder_of(hoard, i), hoard->frame[i], &slot), 0);
		pageclient_unpin(holder_of(hoard, i), slot);
	}
}

/* The frames are free, and so many that nobody purges any, before one is purgeable: else the
 * background might empty a run first. */
static void a_run_is_emptied_where_free_frames_are_scattered(void)
{
	static struct hoard hoard;
	pageclient *wanter, *late;
	struct fixture f;
	uint32_t runs = 0;

	CU_ASSERT_TRUE(fixture_open(&f, one));
	hoard.client[0] = impatient(&f, "left");
	hoard.client[1] = impatient(&f, "right");
	wanter = fixture_client(&f, "wanter");
	late = impatient(&f, "late");
	hold_all(&hoard);
	free_scattered_frames(&hoard);
	fixture_drain(&f);
	CU_ASSERT(number_of(&f, 0, "free") > 800);
	CU_ASSERT(number_of(&f, 0, "largest_free") < 512);
	make_runs_purgeable(&hoard);
	for (int i = 0; i < 2; i++) {
		void *block = pageclient_alloc(wanter, 9, 0);

		CU_ASSERT_PTR_NOT_NULL(block);
		if (block)
			runs |= 1u << RUN(pageclient_pfn(wanter, block));
	}
	CU_ASSERT_EQUAL(runs, 1u << LEFT | 1u << RIGHT);
	CU_ASSERT_EQUAL(number(&f, "compact.success"), 2);
	CU_ASSERT_EQUAL(number(&f, "order9.granted"), 2);
	CU_ASSERT_PTR_NULL(pageclient_alloc(late, 9, 0));
	CU_ASSERT(number(&f, "order9.failed") >= 1);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(wanter);
	pageclient_close(late);
	pageclient_close(hoard.client[0]);
	pageclient_close(hoard.client[1]);
	fixture_close(&f);
}

/* Nobody else is there, and no tick has counted what it made purgeable a moment ago. */
static void who_is_alone_gets_a_run_of_its_own(void)
{
	static struct hoard hoard;
	struct fixture f;
	void *block;

	CU_ASSERT_TRUE(fixture_open(&f, one));
	hoard.client[0] = hoard.client[1] = fixture_client(&f, "alone");
	hold_all(&hoard);
	free_scattered_frames(&hoard);
	make_runs_purgeable(&hoard);
	block = pageclient_alloc(hoard.client[0], 9, 0);
	CU_ASSERT_PTR_NOT_NULL(block);
	if (block)
		CU_ASSERT(RUN(pageclient_pfn(hoard.client[0], block)) == LEFT ||
			  RUN(pageclient_pfn(hoard.client[0], block)) == RIGHT);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(hoard.client[0]);
	fixture_close(&f);
}

CU_TestInfo test_zones[] = {
	{"each client starts from its zone", each_client_starts_from_its_zone},
	{"a short zone falls back and a reserve is kept",
	 a_short_zone_falls_back_and_a_reserve_is_kept},
	{"zones are shown and outlive the daemon", zones_are_shown_and_outlive_the_daemon},
	{"purgeable frames make way for large blocks", purgeable_frames_make_way_for_large_blocks},
	{"a run is emptied where free frames are scattered",
	 a_run_is_emptied_where_free_frames_are_scattered},
	{"who is alone gets a run of its own", who_is_alone_gets_a_run_of_its_own},
	CU_TEST_INFO_NULL,
};
