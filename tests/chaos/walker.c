/* tests/chaos/walker.c - see walker.h. */
#include "tests/chaos/walker.h"

#include "paged/bits.h"
#include "tests/chaos/tag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLAIMS_MAX                                                                                 \
	(CHAOS_KEEPERS *                                                                           \
	 (CHAOS_THREADS * (CHAOS_BLOCKS + CHAOS_LOANS) + CHAOS_STORE + CHAOS_PURGEABLE))

/* --- mapping -------------------------------------------------------------------------------- */

static int open_part(const char *instance, const char *part)
{
	char name[96];
	int fd;

	(void)snprintf(name, sizeof(name), "/paged-%s-%s", instance, part);
	fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		(void)fprintf(stderr, "chaos: %s: %s\n", name, strerror(errno));
	return fd;
}

static bool map_meta(struct walker *walker, const char *instance)
{
	char text[256];
	int fd = open_part(instance, "meta");
	bool mapped;

	if (fd < 0)
		return false;
	mapped = shm_view_attach(&walker->view, fd, text, sizeof(text)) == 0;
	if (!mapped)
		(void)fprintf(stderr, "chaos: META: %s\n", text);
	(void)close(fd);
	return mapped;
}

static bool map_data(struct walker *walker, const char *instance)
{
	void *map;
	int fd = open_part(instance, "data");

	if (fd < 0)
		return false;
	walker->data_bytes = walker->view.header->data_bytes;
	map = mmap(NULL, walker->data_bytes, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map == MAP_FAILED)
		return false;
	walker->data = map;
	return true;
}

static bool map_state(struct walker *walker, const char *instance)
{
	int fd = open_part(instance, "state");
	void *map;

	if (fd < 0)
		return false;
	walker->state_bytes = walker->view.header->state_bytes;
	map = mmap(NULL, walker->state_bytes, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map == MAP_FAILED)
		return false;
	walker->state = map;
	return true;
}

void walker_await_purge(const struct walker *walker, uint32_t ms)
{
	uint64_t until = chaos_now_ns() + ms * UINT64_C(1000000);
	uint64_t before = walker_purged(walker);

	while (walker_purged(walker) == before && chaos_now_ns() < until)
		for (uint32_t i = 0; i < 100 && walker_purged(walker) == before; i++)
			continue;
}

uint64_t walker_purged(const struct walker *walker)
{
	return shm_view_counter(&walker->view, COUNTER_pgpurge);
}

void walker_await_commit(const struct walker *walker, uint32_t ms)
{
	const struct shm_state_header *header = (const void *)walker->state;
	const struct shm_journal *journal = (const void *)(walker->state + header->journal_offset);
	uint64_t until = chaos_now_ns() + ms * UINT64_C(1000000);

	while (shm_load(&journal->n) == 0 && chaos_now_ns() < until)
		for (uint32_t i = 0; i < 100 && shm_load(&journal->n) == 0; i++)
			continue;
}

bool walker_open(struct walker *walker, const char *instance)
{
	*walker = (struct walker){0};
	if (!map_meta(walker, instance) || !map_data(walker, instance) ||
	    !map_state(walker, instance))
		return false;
	walker->page_size = (size_t)1 << walker->view.header->page_shift;
	walker->instance_id = walker->view.header->instance_id;
	walker->claimed = calloc(walker->view.header->nr_frames, sizeof(*walker->claimed));
	walker->claim = calloc(CLAIMS_MAX, sizeof(struct claim *));
	return walker->claimed && walker->claim;
}

void walker_close(struct walker *walker)
{
	free(walker->claimed);
	free(walker->claim);
	if (walker->data)
		(void)munmap((void *)(uintptr_t)walker->data, walker->data_bytes);
	if (walker->state)
		(void)munmap((void *)(uintptr_t)walker->state, walker->state_bytes);
	if (walker->view.header)
		shm_view_detach(&walker->view);
	*walker = (struct walker){0};
}

/* --- claims --------------------------------------------------------------------------------- */

struct look {
	struct walker *walker;
	struct board *board;
	uint32_t number; /* of the keeper */
	uint32_t client;
	struct walk walk;
};

static void tell(struct look *look, const struct claim *claim, const char *what, uint32_t pfn)
{
	struct page_word word = shm_view_word(&look->walker->view, pfn);

	if (board_read(&look->board->nr_complaints) >= CHAOS_COMPLAINTS)
		return;
	board_add(&look->board->nr_complaints, 1);
	(void)fprintf(
		stderr,
		"chaos: frame %u %s: client %u (id %u) claims %s order %u tag %llx:%llu; META "
		"says %s order %u owner %u gen %u\n",
		pfn, what, look->number, look->client,
		claim && claim->kind == CLAIM_SHARED ? "shared" : "owned", claim ? claim->order : 0,
		claim ? (unsigned long long)claim->owner : 0,
		claim ? (unsigned long long)claim->serial : 0, page_state_name(word.state),
		word.order, word.owner, word.gen);
}

static bool is_as_claimed(const struct look *look, const struct claim *claim)
{
	struct page_word word = shm_view_word(&look->walker->view, claim->pfn);

	if (word.order != claim->order)
		return false;
	if (claim->kind == CLAIM_SHARED)
		return word.state == PAGE_SHARED && word.gen == claim->gen;
	return word.state == PAGE_OWNED && word.owner == look->client;
}

static void look_at(struct look *look, const struct claim *claim)
{
	struct walker *walker = look->walker;
	uint32_t n = 1u << claim->order;

	if (claim->pfn >= walker->view.header->nr_frames ||
	    n > walker->view.header->nr_frames - claim->pfn) {
		look->walk.doubled++;
		return;
	}
	walker->claim[walker->n_claims++] = claim;
	if (!is_as_claimed(look, claim)) {
		look->walk.doubled += n;
		tell(look, claim, "is used and not its user's", claim->pfn);
	}
	for (uint32_t pfn = claim->pfn; pfn < claim->pfn + n; pfn++) {
		uint32_t before = walker->claimed[pfn];

		if (before && (claim->kind != CLAIM_SHARED ||
			       walker->claim[before - 1]->kind != CLAIM_SHARED ||
			       walker->claim[before - 1]->gen != claim->gen)) {
			look->walk.doubled++;
			tell(look, claim, "is used twice", pfn);
		}
		walker->claimed[pfn] = walker->n_claims;
	}
	look->walk.claimed += n;
	(void)tag_check(look->board, walker->data + (size_t)claim->pfn * walker->page_size,
			walker->page_size, claim, "at rest");
}

/* An honest client gives back only what it got: a frame that the daemon refused was another's by
 * then. So a frame that was doubled for some nanoseconds is noticed too. */
static void look_at_refused(struct look *look)
{
	const struct shm_client *shown;

	if (look->client < 1 || look->client > SHM_MAX_CLIENTS)
		return;
	shown = shm_view_client(&look->walker->view, look->client);
	if (shm_load(&shown->nr_bad_free) == 0 && shm_load(&shown->nr_hostile) == 0)
		return;
	look->walk.doubled += shown->nr_bad_free + shown->nr_hostile;
	(void)fprintf(stderr,
		      "chaos: of client %u (id %u) %llu frees were refused, %llu lies noted\n",
		      look->number, look->client, (unsigned long long)shown->nr_bad_free,
		      (unsigned long long)shown->nr_hostile);
}

static uint64_t count_lent(const struct keeper *keeper)
{
	uint64_t n = 0;

	for (uint32_t t = 0; t < CHAOS_THREADS; t++)
		for (uint32_t i = 0; i < CHAOS_LOANS; i++)
			if (keeper->thread[t].loan[i].kind != CLAIM_NONE)
				n += UINT64_C(1) << keeper->thread[t].loan[i].order;
	return n;
}

/* Of what entered a purge slot and is not there the daemon purged what did not leave. Dropped slots
 * may have been purged or not; each restart may have cost the count of one purge. */
static void look_at_purged(const struct look *look)
{
	const struct keeper *keeper = &look->board->keeper[look->number];
	const struct keeper_purge *purge = &keeper->purge;
	uint64_t gone = purge->entered - purge->left - purge->present - count_lent(keeper);
	uint64_t uncounted = (uint64_t)(look->board->restarts - purge->restarts)
			     << CHAOS_PURGEABLE_ORDER_MAX;
	uint64_t shown;

	if (look->client < 1 || look->client > SHM_MAX_CLIENTS)
		return;
	shown = shm_load(&shm_view_client(&look->walker->view, look->client)->nr_purged);
	if (shown > gone || shown + uncounted + purge->unsure < gone)
		board_complain(look->board,
			       "client %u (id %u) lost %llu to %llu frames to purges, %llu of them "
			       "perhaps uncounted, and META counts %llu",
			       look->number, look->client,
			       (unsigned long long)(gone - bits_min(gone, purge->unsure)),
			       (unsigned long long)gone, (unsigned long long)uncounted,
			       (unsigned long long)shown);
}

static void look_at_all(struct look *look, const struct claim *claims, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (claims[i].kind != CLAIM_NONE)
			look_at(look, &claims[i]);
}

static void look_at_keeper(struct look *look)
{
	const struct keeper *keeper = &look->board->keeper[look->number];

	for (uint32_t t = 0; t < CHAOS_THREADS; t++) {
		look_at_all(look, keeper->thread[t].claim, CHAOS_BLOCKS);
		look_at_all(look, keeper->thread[t].loan, CHAOS_LOANS);
	}
	look_at_all(look, keeper->store, keeper->store_n);
	look_at_all(look, keeper->purgeable, CHAOS_PURGEABLE);
}

/* --- the other way round -------------------------------------------------------------------- */

/* An interior word is never OWNED, so all words can be looked at, while others change theirs. */
static void look_for_lost(struct look *look)
{
	const struct walker *walker = look->walker;

	for (uint32_t pfn = 0; pfn < walker->view.header->nr_frames; pfn++) {
		struct page_word word = shm_view_word(&walker->view, pfn);

		if (word.state != PAGE_OWNED || word.owner != look->client || walker->claimed[pfn])
			continue;
		if (look->walk.lost == 0)
			tell(look, NULL, "is its client's and not used", pfn);
		look->walk.lost += UINT64_C(1) << word.order;
	}
}

struct walk walker_walk(struct walker *walker, struct board *board)
{
	struct look look = {.walker = walker, .board = board};

	memset(walker->claimed, 0, walker->view.header->nr_frames * sizeof(*walker->claimed));
	walker->n_claims = 0;
	for (look.number = 0; look.number < CHAOS_KEEPERS; look.number++) {
		look.client = board->keeper[look.number].client_id;
		look_at_refused(&look);
		look_at_purged(&look);
		look_at_keeper(&look);
	}
	for (look.number = 0; look.number < CHAOS_KEEPERS; look.number++) {
		look.client = board->keeper[look.number].client_id;
		look_for_lost(&look);
	}
	return look.walk;
}

uint64_t walker_not_free(const struct walker *walker)
{
	const struct shm_view *view = &walker->view;
	uint64_t n = 0;

	for (uint64_t pfn = 0; pfn < view->header->nr_frames;) {
		struct page_word word = shm_view_word(view, (pfn_t)pfn);
		uint64_t size = UINT64_C(1) << word.order;

		if (word.order > ORDER_MAX || pfn % size != 0) {
			n += view->header->nr_frames - pfn; /* no heads from here on */
			break;
		}
		if (word.state != PAGE_FREE && word.state != PAGE_RESERVED)
			n += size;
		pfn += size;
	}
	return n;
}

uint32_t walker_clients(const struct walker *walker)
{
	uint32_t n = 0;

	for (uint32_t id = 1; id <= SHM_MAX_CLIENTS; id++)
		n += shm_load32(&shm_view_client(&walker->view, id)->state) != SHM_CLIENT_FREE;
	return n;
}
