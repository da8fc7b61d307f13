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

static pageclient *impatient(const struct fixture *f, const char *name)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = f->socket;
	options.name = name;
	options.connect_timeout_ms = CLOCK_PATIENCE_MS;
	options.alloc_timeout_ms = 300;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), 0);
	return client;
}

static int zone_of(const pageclient *client, const void *frame)
{
	uint32_t zone = pageclient_pfn(client, frame) / ZONE;

	return zone < NORMAL ? (int)zone : NORMAL;
}

/* Up to n more frames, until there are none. */
static void take(struct taker *taker, uint32_t n)
{
	void *frame;

	while (n-- && taker->n < MANY && (frame = pageclient_alloc(taker->client, 0, 0))) {
		taker->n_of[zone_of(taker->client, frame)]++;
		taker->frame[taker->n++] = frame;
	}
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
		pageclient *client = impatient(f, who[i].name);
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
	take(&plain, MANY);
	CU_ASSERT(plain.n_of[FAST] > ZONE * 7 / 8);
	CU_ASSERT(plain.n_of[BULK] > ZONE / 4 && plain.n_of[BULK] <= ZONE / 2);
	CU_ASSERT_EQUAL(plain.n_of[NORMAL], 0);
	CU_ASSERT(number_of(&f, BULK, "free") >= ZONE / 2);
	take(&bulk, MANY);
	CU_ASSERT_EQUAL(bulk.n_of[FAST], 0);
	CU_ASSERT(bulk.n_of[BULK] > ZONE * 3 / 8);
	CU_ASSERT(bulk.n_of[NORMAL] > ZONE * 15 / 8);
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
static const char one[] = "[segment]\nsize = 32M\nbacking = posix\n[pcp]\nbatch = 16\n";

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
	CU_ASSERT_EQUAL(number(&f, "compact.stall"),
			number(&f, "compact.success") + number(&f, "compact.fail"));
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

/* A frame of the run becomes purgeable; of the others one in eight goes back, which makes more
 * than a run of free frames, and no run. */
static void sort_out(pageclient *client, void *frame)
{
	uint32_t pfn = pageclient_pfn(client, frame);
	pageclient_slot slot;

	if (RUN(pfn) == LEFT || RUN(pfn) == RIGHT) {
		CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
		pageclient_unpin(client, slot);
	} else if (pfn % 8 == 1) {
		pageclient_free(client, frame, 0);
	}
}

/* Clients in turn. */
static void hold_all_but_scattered_frames(pageclient *const client[2])
{
	static void *frame[SEGMENT_FRAMES];
	uint32_t n = 0;

	while (n < SEGMENT_FRAMES &&
	       (frame[n] = pageclient_alloc(client[n / 16 % 2], 0, PAGECLIENT_RECLAIMABLE)))
		n++;
	CU_ASSERT(n > SEGMENT_FRAMES - 512);
	for (uint32_t i = 0; i < n; i++)
		sort_out(client[i / 16 % 2], frame[i]);
}

static void a_run_is_emptied_where_free_frames_are_scattered(void)
{
	pageclient *client[2], *wanter;
	struct fixture f;
	uint32_t runs = 0;

	CU_ASSERT_TRUE(fixture_open(&f, one));
	client[0] = impatient(&f, "left");
	client[1] = impatient(&f, "right");
	wanter = impatient(&f, "wanter");
	hold_all_but_scattered_frames(client);
	fixture_drain(&f);
	CU_ASSERT(number_of(&f, 0, "free") > 800);
	CU_ASSERT(number_of(&f, 0, "largest_free") < 512);
	for (int i = 0; i < 2; i++) {
		void *block = pageclient_alloc(wanter, 9, 0);

		CU_ASSERT_PTR_NOT_NULL(block);
		if (block)
			runs |= 1u << RUN(pageclient_pfn(wanter, block));
	}
	CU_ASSERT_EQUAL(runs, 1u << LEFT | 1u << RIGHT);
	CU_ASSERT_EQUAL(number(&f, "compact.success"), 2);
	CU_ASSERT_EQUAL(number(&f, "order9.granted"), 2);
	CU_ASSERT_PTR_NULL(pageclient_alloc(wanter, 9, 0));
	CU_ASSERT(number(&f, "order9.failed") >= 1);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(wanter);
	pageclient_close(client[0]);
	pageclient_close(client[1]);
	fixture_close(&f);
}

/* Nobody else is there, and no tick has counted what it made purgeable a moment ago. */
static void who_is_alone_gets_a_run_of_its_own(void)
{
	pageclient *client[2];
	struct fixture f;
	void *block;

	CU_ASSERT_TRUE(fixture_open(&f, one));
	client[0] = client[1] = impatient(&f, "alone");
	hold_all_but_scattered_frames(client);
	block = pageclient_alloc(client[0], 9, 0);
	CU_ASSERT_PTR_NOT_NULL(block);
	if (block)
		CU_ASSERT(RUN(pageclient_pfn(client[0], block)) == LEFT ||
			  RUN(pageclient_pfn(client[0], block)) == RIGHT);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client[0]);
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
