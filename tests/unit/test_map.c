/* tests/unit/test_map.c - pagectl map: the pass over mem_map, and what is drawn of it. */
#include "pagectl/map.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

extern CU_TestInfo test_map[];

#define FRAMES 4096u
#define PER_CELL 512u
#define N_CELLS (FRAMES / PER_CELL)

struct fixture {
	char *meta;
	struct shm_page *page;
	uint8_t *pageblocks;
	uint64_t bytes;
	struct shm_view view;
	struct map map;
	struct map_cell cells[N_CELLS];
};

/* One FREE block over all, with memory. */
static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct shm_meta_header plan = {
		.magic = SHM_META_MAGIC, .version = SHM_LAYOUT_VERSION, .nr_zones = 1};
	char text[SHM_TEXT_BYTES];

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	shm_meta_plan(&plan, FRAMES, 12);
	f->bytes = plan.meta_bytes;
	f->meta = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_FATAL(f->meta != MAP_FAILED);
	memcpy(f->meta, &plan, sizeof(plan));
	CU_ASSERT_EQUAL_FATAL(shm_view_check(&f->view, f->meta, f->bytes, text, sizeof(text)), 0);
	f->page = (struct shm_page *)(void *)(f->meta + plan.map_offset);
	f->pageblocks = (uint8_t *)f->meta + plan.pageblocks_offset;
	memset(f->pageblocks, MIGRATE_UNMOVABLE, N_CELLS);
	f->map.cells = f->cells;
	f->map.frames_per_cell = PER_CELL;
	f->page[0].word = page_word_pack((struct page_word){.state = PAGE_FREE, .order = 12});
	return f;
}

static void fixture_free(struct fixture *f)
{
	(void)munmap(f->meta, f->bytes);
	free(f);
}

static void set(struct fixture *f, pfn_t pfn, enum page_state state, order_t order, client_id owner)
{
	f->page[pfn].word =
		page_word_pack((struct page_word){.state = state, .order = order, .owner = owner});
}

/* Whatever was read, each frame was counted once. */
static void read_all(struct fixture *f)
{
	uint64_t sum = 0;

	map_read(&f->map, &f->view);
	CU_ASSERT_EQUAL(f->map.n_cells, N_CELLS);
	for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
		sum += f->map.total[kind];
	CU_ASSERT_EQUAL(sum, FRAMES);
	for (uint32_t i = 0; i < N_CELLS; i++)
		CU_ASSERT_EQUAL(map_cell_frames(&f->cells[i]), PER_CELL);
}

static void owners(struct fixture *f)
{
	struct shm_client clients[] = {
		{.id = 3, .nr_owned = 10, .name = "three"},
		{.id = 5, .nr_owned = 90, .nr_purgeable = 7, .name = "five"},
		{.id = 6, .nr_owned = 0, .name = "none"},
	};

	map_owners(&f->map, clients, 3);
}

static void a_block_is_counted_in_each_cell_it_covers(void)
{
	struct fixture *f = fixture_new();

	read_all(f);
	CU_ASSERT_EQUAL(f->map.total[KIND_FREE], FRAMES);
	set(f, 0, PAGE_FREE, 11, 0);
	set(f, 2048, PAGE_OWNED, 10, 5);
	set(f, 3072, PAGE_SHARED, 9, 0);
	set(f, 3584, PAGE_RESERVED, 9, 0);
	f->pageblocks[1] = MIGRATE_HOLE; /* of a block whose head is none: the head decides */
	owners(f);
	read_all(f);
	CU_ASSERT_EQUAL(f->map.total[KIND_FREE], 2048);
	CU_ASSERT_EQUAL(f->cells[4].frames[KIND_OWNER], 512);
	CU_ASSERT_EQUAL(f->cells[5].frames[KIND_OWNER], 512);
	CU_ASSERT_EQUAL(f->cells[6].frames[KIND_SHARED], 512);
	CU_ASSERT_EQUAL(f->cells[7].frames[KIND_RESERVED], 512);
	f->pageblocks[0] = MIGRATE_HOLE;
	read_all(f);
	CU_ASSERT_EQUAL(f->map.total[KIND_HOLE], 2048);
	fixture_free(f);
}

static void who_owns_most_comes_first(void)
{
	struct fixture *f = fixture_new();

	owners(f);
	CU_ASSERT_EQUAL(f->map.owner[0].id, 5);
	CU_ASSERT_EQUAL(f->map.owner[0].purgeable, 7);
	CU_ASSERT_EQUAL(f->map.owner[1].id, 3);
	CU_ASSERT_EQUAL(f->map.owner[2].id, CLIENT_NONE); /* who has nothing has no letter */
	set(f, 0, PAGE_OWNED, 11, 3);
	set(f, 2048, PAGE_OWNED, 11, 9);
	read_all(f);
	CU_ASSERT_EQUAL(f->map.total[KIND_OWNER + 1], 2048);
	CU_ASSERT_EQUAL(f->map.total[KIND_OTHERS], 2048);
	fixture_free(f);
}

/* The block was merged into a larger one after we had read how long it is. */
static void a_walk_inside_a_block_finds_its_head(void)
{
	struct fixture *f = fixture_new();

	set(f, 0, PAGE_OWNED, 8, 5); /* 256 frames, and then we are in the middle of ... */
	set(f, 256, PAGE_TAIL, 0, 0);
	set(f, 512, PAGE_FREE, 3, 0);  /* stale: inside the block below */
	set(f, 520, PAGE_OWNED, 9, 5); /* no head: not aligned */
	set(f, 1024, PAGE_OWNED, 10, 5);
	set(f, 2048, PAGE_OWNED, 11, 5);
	owners(f);
	read_all(f);
	/* 256 to 511 and 520 to 1023: nothing covers them */
	CU_ASSERT_EQUAL(f->map.total[KIND_UNKNOWN], 256 + 504);
	CU_ASSERT_EQUAL(f->map.total[KIND_FREE], 8);
	CU_ASSERT_EQUAL(f->map.total[KIND_OWNER], FRAMES - 256 - 512);
	fixture_free(f);
}

static void what_the_daemon_tells_of_is_told_apart(void)
{
	struct fixture *f = fixture_new();

	f->map.nr_frames = FRAMES;
	f->map.hint = calloc(FRAMES, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->map.hint);
	set(f, 0, PAGE_OWNED, 9, 5);
	set(f, 512, PAGE_OWNED, 9, 5);
	set(f, 1024, PAGE_OWNED, 10, 5);
	set(f, 2048, PAGE_FREE, 11, 0);
	owners(f);
	CU_ASSERT_TRUE(map_note(&f->map, KIND_PURGEABLE, ""));
	CU_ASSERT_TRUE(map_note(&f->map, KIND_PURGEABLE, "0 200\n"));
	CU_ASSERT_TRUE(
		map_note(&f->map, KIND_MAGAZINE, "200 200\n800 200\n")); /* one is free by now */
	read_all(f);
	CU_ASSERT_EQUAL(f->map.total[KIND_PURGEABLE], 512);
	CU_ASSERT_EQUAL(f->map.total[KIND_MAGAZINE], 512);
	CU_ASSERT_EQUAL(f->map.total[KIND_OWNER], 1024);
	CU_ASSERT_EQUAL(f->map.total[KIND_FREE], 2048);
	CU_ASSERT_FALSE(map_note(&f->map, KIND_MAGAZINE, "1000 1\n")); /* no such frame */
	CU_ASSERT_FALSE(map_note(&f->map, KIND_MAGAZINE, "fff 2\n"));
	CU_ASSERT_FALSE(map_note(&f->map, KIND_MAGAZINE, "1 ffffffff\n"));
	CU_ASSERT_FALSE(map_note(&f->map, KIND_MAGAZINE, "words\n"));
	CU_ASSERT_FALSE(map_note(&f->map, KIND_MAGAZINE, "1"));
	free(f->map.hint);
	fixture_free(f);
}

static void a_pass_over_anything_ends(void)
{
	struct fixture *f = fixture_new();
	uint64_t random = 88172645463325252u;

	for (uint32_t round = 0; round < 50; round++) {
		for (pfn_t pfn = 0; pfn < FRAMES; pfn++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			f->page[pfn].word = random;
		}
		read_all(f);
	}
	fixture_free(f);
}

static void a_cell_is_drawn_as_what_it_has_most_of(void)
{
	struct map_cell cell = {.frames = {[KIND_FREE] = 16}};

	CU_ASSERT_EQUAL(map_cell_letter(&cell), '.');
	cell.frames[KIND_OWNER] = 48; /* three quarters */
	CU_ASSERT_EQUAL(map_cell_letter(&cell), 'A');
	cell.frames[KIND_OWNER] = 40;
	CU_ASSERT_EQUAL(map_cell_letter(&cell), 'a');
	cell.frames[KIND_BAD] = 1; /* what one wants to see */
	CU_ASSERT_EQUAL(map_cell_letter(&cell), '!');
}

static void cells_are_powers_of_two(void)
{
	CU_ASSERT_EQUAL(map_frames_per_cell(1, 1024), 1);
	CU_ASSERT_EQUAL(map_frames_per_cell(1024, 1024), 1);
	CU_ASSERT_EQUAL(map_frames_per_cell(1025, 1024), 2);
}

/* What a client calls itself is text in the picture, and nothing else. */
static void a_name_cannot_leave_its_text(void)
{
	struct fixture *f = fixture_new();
	struct shm_client client = {.id = 5, .nr_owned = 9, .name = "<a>&\"\033[2J"};
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	map_owners(&f->map, &client, 1);
	set(f, 0, PAGE_OWNED, 12, 5);
	read_all(f);
	map_print_svg(&f->map, 64, file);
	(void)fflush(file);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "(&lt;a&gt;&amp;&quot;?[2J)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "</svg>"));
	(void)fclose(file);
	free(text);
	fixture_free(f);
}

CU_TestInfo test_map[] = {
	{"a block is counted in each cell it covers", a_block_is_counted_in_each_cell_it_covers},
	{"who owns most comes first", who_owns_most_comes_first},
	{"a walk inside a block finds its head", a_walk_inside_a_block_finds_its_head},
	{"what the daemon tells of is told apart", what_the_daemon_tells_of_is_told_apart},
	{"a pass over anything ends", a_pass_over_anything_ends},
	{"a cell is drawn as what it has most of", a_cell_is_drawn_as_what_it_has_most_of},
	{"cells are powers of two", cells_are_powers_of_two},
	{"a name cannot leave its text", a_name_cannot_leave_its_text},
	CU_TEST_INFO_NULL,
};
