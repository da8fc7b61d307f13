/* daemon/core/page.h - mem_map as the daemon uses it: words, heads and the links between them.
 *
 * A block is on at most one list: a free list (buddy.c) or its owner's (owner_list below), both
 * through the same two links. Lists are derived from the words, so their stores need no order;
 * words go through shm_store(). */
#ifndef DAEMON_CORE_PAGE_H
#define DAEMON_CORE_PAGE_H
#include "paged/check.h"
#include "shm/access.h"
#include "shm/layout.h"

#include <stdbool.h>

static inline struct page_word page_get(const struct shm_page *map, pfn_t pfn)
{
	return page_word_unpack(shm_load(&map[pfn].word));
}

/* The map is walked from its first word to its last: fetches the line that the walk comes to in a
 * while. Nearer would be too late, farther is thrown out again. Any pfn will do. */
#define PAGE_AHEAD 64u /* 1 KiB of map */
static inline void page_fetch_ahead(const struct shm_page *map, pfn_t pfn)
{
	__builtin_prefetch(&map[(size_t)pfn + PAGE_AHEAD], 1);
}

static inline void page_set(struct shm_page *map, pfn_t pfn, struct page_word word)
{
	shm_store(&map[pfn].word, page_word_pack(word));
}

/* The word of a FREE head of order `order` at pfn; the generation stays the frame's own. */
static inline struct page_word page_free_word(const struct shm_page *map, pfn_t pfn, order_t order)
{
	return (struct page_word){
		.state = PAGE_FREE, .order = order, .gen = page_get(map, pfn).gen};
}

/* The word of the FREE head at pfn once client owns it: FREE -> OWNED is what increments gen. */
static inline struct page_word page_owned_word(const struct shm_page *map, pfn_t pfn,
					       client_id client)
{
	struct page_word word = page_get(map, pfn);

	return (struct page_word){
		.state = PAGE_OWNED, .order = word.order, .owner = client, .gen = word.gen + 1};
}

/* Head of the block that holds pfn, which must be below nr_frames: a descent from the 1 <<
 * ORDER_MAX boundary, which is always a head, in at most ORDER_COUNT loads. Never reads an interior
 * word: while the candidate's block does not reach pfn, the next smaller aligned candidate lies
 * behind that block and is a head itself. */
pfn_t page_head(const struct shm_page *map, pfn_t pfn);

/* --- lists ------------------------------------------------------------------------------------ */

static inline void page_list_push(struct shm_page *map, pfn_t *head, pfn_t pfn)
{
	map[pfn].prev = PFN_NONE;
	map[pfn].next = *head;
	if (*head != PFN_NONE)
		map[*head].prev = pfn;
	*head = pfn;
}

static inline void page_list_remove(struct shm_page *map, pfn_t *head, pfn_t pfn)
{
	pfn_t prev = map[pfn].prev, next = map[pfn].next;

	if (prev == PFN_NONE) {
		PAGED_CHECK(*head == pfn);
		*head = next;
	} else {
		map[prev].next = next;
	}
	if (next != PFN_NONE)
		map[next].prev = prev;
}

#endif
