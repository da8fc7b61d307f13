/* tests/integration/test_offline_damage.c - `pagectl check --offline` on segments that somebody
 * damaged: it says what is wrong and where, changes nothing, and no damage ends it by a signal. */
#include "tests/integration/remains.h"
#include "tests/integration/worker.h"
#include "tests/support/runner.h"

#include <CUnit/CUnit.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_offline_damage[];

static void flipped_word_is_reported_with_its_pfn(void)
{
	struct shm_meta_header header;
	struct fixture f;
	struct holder holder;
	struct child child;
	struct remains_print print[3];
	struct page_word word = {.state = PAGE_TAIL};
	uint64_t bits = 0, flipped, at;
	uint32_t pfn = 0;
	char words[96];
	int fd;

	CU_ASSERT_TRUE(remains_make(&f, &holder, &child));
	header = remains_header(&f);
	fd = remains_open_part(&f, "meta");
	for (; pfn < header.nr_frames && word.state != PAGE_OWNED; pfn++) {
		remains_get(fd, header.map_offset + pfn * sizeof(struct shm_page), &bits,
			    sizeof(bits));
		word = page_word_unpack(bits);
	}
	pfn--;
	at = header.map_offset + pfn * sizeof(struct shm_page);
	CU_ASSERT_EQUAL(word.state, PAGE_OWNED);

	flipped = bits ^ PAGE_OWNED; /* TAIL, where a head has to be */
	remains_put(fd, at, &flipped, sizeof(flipped));
	remains_print(&f, print);
	(void)snprintf(words, sizeof(words), "I4: the walk meets a word that is no head, pfn %u;",
		       pfn);
	remains_broken(&f, words);
	flipped = bits ^ UINT64_C(512) << 16; /* the owner */
	CU_ASSERT_TRUE(remains_are(&f, print));

	remains_put(fd, at, &flipped, sizeof(flipped));
	(void)snprintf(words, sizeof(words), "I1: owned by a client that does not exist, pfn %u;",
		       pfn);
	remains_broken(&f, words);

	remains_put(fd, at, &bits, sizeof(bits));
	json_decref(remains_verdict(&f, true));
	(void)close(fd);
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	remains_done(&f, &child);
}

static void pageblock_of_no_type_is_reported(void)
{
	struct fixture f;
	struct remains_print print[3];
	uint8_t type = 77;
	int fd;

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	remains_kill(&f);
	fd = remains_open_part(&f, "meta");
	remains_put(fd, remains_header(&f).pageblocks_offset + 3, &type, sizeof(type));
	(void)close(fd);
	remains_print(&f, print);
	remains_broken(&f, "I2: a pageblock of no type, pfn 1536; 1 pageblocks");
	CU_ASSERT_TRUE(remains_are(&f, print));
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	fixture_close(&f);
}

/* --- no segments of ours -------------------------------------------------------------------- */

static void spoil(const struct fixture *f, const char *part, uint64_t offset, uint64_t value,
		  size_t n, const char *words)
{
	struct remains_print print[3];
	uint64_t old = 0;
	int fd = remains_open_part(f, part);

	remains_get(fd, offset, &old, n);
	remains_put(fd, offset, &value, n);
	remains_print(f, print);
	remains_refused(f, 1, words);
	CU_ASSERT_TRUE(remains_are(f, print));
	remains_put(fd, offset, &old, n);
	(void)close(fd);
}

static void shorten(const struct fixture *f, const char *part, off_t bytes, const char *words)
{
	int fd = remains_open_part(f, part);
	struct stat st;

	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, bytes), 0);
	remains_refused(f, 1, words);
	CU_ASSERT_EQUAL(ftruncate(fd, st.st_size), 0);
	(void)close(fd);
}

static void what_is_no_segment_of_ours_is_told(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	remains_kill(&f);
	spoil(&f, "meta", 0, 0xDEAD, 8, "its magic is 0xdead");
	spoil(&f, "meta", 8, 99, 4, "layout version 99");
	spoil(&f, "meta", offsetof(struct shm_meta_header, page_shift), 63, 4, "2^63");
	spoil(&f, "meta", offsetof(struct shm_meta_header, map_offset), UINT64_MAX, 8, "mem_map");
	spoil(&f, "meta", offsetof(struct shm_meta_header, map_offset), 1u << 20, 8, "do not fit");
	spoil(&f, "meta", offsetof(struct shm_meta_header, instance), 'x', 8,
	      "belongs to instance x");
	spoil(&f, "meta", remains_header(&f).zones_offset + offsetof(struct shm_zone, end_pfn), 7,
	      4, "zones do not fill");
	spoil(&f, "state", 0, 0xDEAD, 8, "no STATE of paged");
	spoil(&f, "state", 8, 99, 4, "another layout version");
	spoil(&f, "state", offsetof(struct shm_state_header, instance_id), 5, 8,
	      "not of the same segment");
	spoil(&f, "state", offsetof(struct shm_state_header, edges_offset), UINT64_MAX, 8,
	      "do not fit");
	json_decref(remains_verdict(&f, true));
	fixture_close(&f);
}

static void part_that_is_too_short_is_told(void)
{
	struct fixture f;
	char path[96];

	CU_ASSERT_TRUE(fixture_open(&f, remains_config));
	remains_kill(&f);
	shorten(&f, "data", 4096, "its data has 4096 bytes, expected 67108864");
	shorten(&f, "state", 8192, "its state has 8192 bytes, expected");
	shorten(&f, "meta", 8192, "META has 8192 bytes, its header says");
	shorten(&f, "meta", 100, "are less than a header");
	shorten(&f, "meta", 0, "are less than a header");
	fixture_segment_path(&f, "state", path);
	CU_ASSERT_EQUAL(unlink(path), 0);
	remains_refused(&f, 1, "-state does not exist");
	fixture_close(&f);
}

/* --- any damage ----------------------------------------------------------------------------- */

#define ROUNDS 120u
#define SPOTS 8u

struct spot {
	int fd;
	uint64_t offset, old;
};

/* Overwrites one word: of a table that all rely on, or of what is in use of the mem_map. */
static void damage(struct spot *ret_spot, const int fd[2], const struct shm_meta_header *meta,
		   const struct shm_state_header *state, uint64_t *random)
{
	const struct {
		uint32_t part;
		uint64_t offset, bytes;
	} areas[] = {
		{0, 128, SHM_PAGE - 128},
		{0, meta->zones_offset, sizeof(struct shm_zone)},
		{0, meta->clients_offset, meta->pageblocks_offset - meta->clients_offset},
		{0, meta->pageblocks_offset, meta->nr_frames >> PAGEBLOCK_ORDER},
		{0, meta->map_offset, 4096 * sizeof(struct shm_page)},
		{0, meta->map_offset, (uint64_t)meta->nr_frames * sizeof(struct shm_page)},
		{1, state->status_offset, SHM_MAX_CLIENTS * 8},
		{1, state->journal_offset, 128},
		{1, state->edges_offset, 4096},
		{1, state->clients_offset, 2 * sizeof(struct shm_state_client)},
	};
	uint64_t i = worker_random(random) % (sizeof(areas) / sizeof(areas[0]));
	uint64_t at = worker_random(random) % (areas[i].bytes / 8) * 8;
	uint64_t value = worker_random(random);

	*ret_spot = (struct spot){fd[areas[i].part], areas[i].offset + at, 0};
	remains_get(ret_spot->fd, ret_spot->offset, &ret_spot->old, 8);
	switch (worker_random(random) % 3) {
	case 0:
		value &= 7; /* small numbers are read further than large ones */
		break;
	case 1:
		value = ret_spot->old ^ UINT64_C(1) << (value & 63);
		break;
	default:
		break;
	}
	remains_put(ret_spot->fd, ret_spot->offset, &value, 8);
}

static void no_damage_ends_it_by_a_signal(void)
{
	uint64_t random = runner_seed(0xDA3A6E) | 1;
	struct shm_state_header plan = {0};
	struct shm_meta_header header;
	struct remains_print print[3];
	struct fixture f;
	struct holder holder;
	struct child child;
	uint32_t found = 0;
	int fd[2];

	CU_ASSERT_TRUE(remains_make(&f, &holder, &child));
	header = remains_header(&f);
	shm_state_plan(&plan);
	fd[0] = remains_open_part(&f, "meta");
	fd[1] = remains_open_part(&f, "state");
	remains_print(&f, print);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t n = 1 + (uint32_t)(worker_random(&random) % SPOTS);
		struct spot spot[SPOTS];
		struct program ctl;

		for (uint32_t i = 0; i < n; i++)
			damage(&spot[i], fd, &header, &plan, &random);
		remains_run(&f, &ctl, NULL, NULL);
		CU_ASSERT_TRUE(ctl.status == 0 || ctl.status == 1);
		if (ctl.status != 0 && ctl.status != 1)
			(void)fprintf(stderr, "round %u: %d %s%s\n", round, ctl.status, ctl.out,
				      ctl.err);
		found += ctl.status == 1;
		program_done(&ctl);
		while (n-- > 0)
			remains_put(spot[n].fd, spot[n].offset, &spot[n].old, 8);
	}
	CU_ASSERT_TRUE(found > ROUNDS / 10);
	(void)close(fd[0]);
	(void)close(fd[1]);
	remains_print(&f, print); /* written to by us: more memory than before */
	json_decref(remains_verdict(&f, true));
	CU_ASSERT_TRUE(remains_are(&f, print));
	CU_ASSERT_TRUE(fixture_start(&f));
	CU_ASSERT_TRUE(fixture_check(&f));
	remains_done(&f, &child);
}

CU_TestInfo test_offline_damage[] = {
	{"flipped word is reported with its pfn", flipped_word_is_reported_with_its_pfn},
	{"pageblock of no type is reported", pageblock_of_no_type_is_reported},
	{"what is no segment of ours is told", what_is_no_segment_of_ours_is_told},
	{"part that is too short is told", part_that_is_too_short_is_told},
	{"no damage ends it by a signal", no_damage_ends_it_by_a_signal},
	CU_TEST_INFO_NULL,
};
