/* tests/unit/test_page.c - shm/page.h and daemon/core/page: words, heads and lists. */
#include "daemon/core/page.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define NR_FRAMES 64u

static void a_word_comes_back_as_it_was_packed(void)
{
	struct page_word word = {.state = PAGE_OWNED,
				 .order = ORDER_MAX,
				 .flags = 127,
				 .owner = SHM_MAX_CLIENTS,
				 .gen = UINT32_MAX};
	struct page_word back = page_word_unpack(page_word_pack(word));

	CU_ASSERT_EQUAL(back.state, word.state);
	CU_ASSERT_EQUAL(back.order, word.order);
	CU_ASSERT_EQUAL(back.flags, word.flags);
	CU_ASSERT_EQUAL(back.owner, word.owner);
	CU_ASSERT_EQUAL(back.gen, word.gen);
}

static void a_word_has_its_fields_where_the_layout_says(void)
{
	struct page_word word = {
		.state = PAGE_OWNED, .order = 9, .flags = PAGE_ISOLATED, .owner = 3, .gen = 5};

	CU_ASSERT_EQUAL(page_word_pack(word), UINT64_C(0x0000000500030292));
	CU_ASSERT_EQUAL(page_word_pack((struct page_word){.state = PAGE_TAIL}), 0);
}

static void a_damaged_word_comes_out_as_it_is(void)
{
	struct page_word word = page_word_unpack(UINT64_MAX);

	CU_ASSERT(word.state >= PAGE_NR_STATES);
	CU_ASSERT(word.order > ORDER_MAX);
	CU_ASSERT_STRING_EQUAL(page_state_name(word.state), "?");
	CU_ASSERT_STRING_EQUAL(page_state_name(PAGE_SHARED), "shared");
}

static void becoming_owned_is_what_raises_the_generation(void)
{
	struct shm_page map[1] = {0};
	struct page_word word;

	page_set(map, 0, (struct page_word){.state = PAGE_FREE, .order = 3, .gen = 41});
	word = page_owned_word(map, 0, 7);
	CU_ASSERT_EQUAL(word.state, PAGE_OWNED);
	CU_ASSERT_EQUAL(word.owner, 7);
	CU_ASSERT_EQUAL(word.order, 3);
	CU_ASSERT_EQUAL(word.gen, 42);
	page_set(map, 0, word);
	word = page_free_word(map, 0, 3);
	CU_ASSERT_EQUAL(word.gen, 42);
	CU_ASSERT_EQUAL(word.owner, 0);
}

static void the_generation_wraps_and_touches_nothing_else(void)
{
	struct shm_page map[1] = {0};
	struct page_word word;

	page_set(map, 0, (struct page_word){.state = PAGE_FREE, .gen = UINT32_MAX});
	word = page_word_unpack(page_word_pack(page_owned_word(map, 0, 1)));
	CU_ASSERT_EQUAL(word.gen, 0);
	CU_ASSERT_EQUAL(word.owner, 1);
	CU_ASSERT_EQUAL(word.state, PAGE_OWNED);
}

/* Heads as a split leaves them: 32, 16, 8, 4, 2, 1, 1. */
static void descend(struct shm_page *map)
{
	pfn_t pfn = 0;

	memset(map, 0, NR_FRAMES * sizeof *map);
	for (order_t order = 5; order > 0; order--) {
		page_set(map, pfn, (struct page_word){.state = PAGE_FREE, .order = order});
		pfn += 1u << order;
	}
	page_set(map, pfn, (struct page_word){.state = PAGE_FREE});
	page_set(map, pfn + 1, (struct page_word){.state = PAGE_OWNED, .owner = 1});
}

static void the_head_of_every_frame_is_found(void)
{
	struct shm_page map[NR_FRAMES];

	descend(map);
	for (pfn_t pfn = 0; pfn < NR_FRAMES; pfn++) {
		pfn_t head = page_head(map, pfn);
		order_t order = page_get(map, head).order;

		CU_ASSERT(head <= pfn && pfn < head + (1u << order));
	}
	CU_ASSERT_EQUAL(page_head(map, 31), 0);
	CU_ASSERT_EQUAL(page_head(map, 32), 32);
	CU_ASSERT_EQUAL(page_head(map, 63), 63);
}

/* A merge leaves a stale FREE word behind; the descent does not look inside a block. */
static void a_stale_word_inside_a_block_is_no_head(void)
{
	struct shm_page map[NR_FRAMES];

	descend(map);
	page_set(map, 8, (struct page_word){.state = PAGE_FREE, .order = 3});
	page_set(map, 9, (struct page_word){.state = PAGE_FREE});
	CU_ASSERT_EQUAL(page_head(map, 8), 0);
	CU_ASSERT_EQUAL(page_head(map, 9), 0);
}

static void a_list_gives_back_what_was_pushed_last(void)
{
	struct shm_page map[4] = {0};
	pfn_t head = PFN_NONE;

	page_list_push(map, &head, 2);
	page_list_push(map, &head, 0);
	page_list_push(map, &head, 3);
	CU_ASSERT_EQUAL(head, 3);
	page_list_remove(map, &head, 0);
	CU_ASSERT_EQUAL(map[3].next, 2);
	CU_ASSERT_EQUAL(map[2].prev, 3);
	page_list_remove(map, &head, 3);
	CU_ASSERT_EQUAL(head, 2);
	CU_ASSERT_EQUAL(map[2].prev, PFN_NONE);
	page_list_remove(map, &head, 2);
	CU_ASSERT_EQUAL(head, PFN_NONE);
}

CU_TestInfo test_page[] = {
	{"a word comes back as it was packed", a_word_comes_back_as_it_was_packed},
	{"a word has its fields where the layout says",
	 a_word_has_its_fields_where_the_layout_says},
	{"a damaged word comes out as it is", a_damaged_word_comes_out_as_it_is},
	{"becoming owned is what raises the generation",
	 becoming_owned_is_what_raises_the_generation},
	{"the generation wraps and touches nothing else",
	 the_generation_wraps_and_touches_nothing_else},
	{"the head of every frame is found", the_head_of_every_frame_is_found},
	{"a stale word inside a block is no head", a_stale_word_inside_a_block_is_no_head},
	{"a list gives back what was pushed last", a_list_gives_back_what_was_pushed_last},
	CU_TEST_INFO_NULL,
};
