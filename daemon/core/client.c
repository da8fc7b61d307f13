/* daemon/core/client.c - a client comes, and goes at any instruction.
 *
 *   UNUSED -> RESERVED -> ATTACHED -> DYING -> UNUSED
 *
 * Its record in STATE commits each step: ATTACHED once all else is written, DYING before the first
 * frame is freed, FREE once nothing names the id any more. Death consults nothing in the client's
 * memory: every block on its list becomes FREE, in slices; then its edges go. A server that dies in
 * the middle leaves DYING, and its successor goes on. */
#include "daemon/core/pcp.h"
#include "daemon/core/pfn_sort.h"
#include "daemon/core/pool_private.h"
#include "daemon/core/purge.h"
#include "paged/bits.h"

#include <string.h>

int pool_client_reserve(struct pool *pool, client_id *ret_client)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool->client[id].state == CLIENT_UNUSED) {
			pool->client[id].state = CLIENT_RESERVED;
			*ret_client = id;
			return 0;
		}
	return POOL_TABLE_FULL;
}

void pool_client_unreserve(struct pool *pool, client_id client)
{
	PAGED_CHECK(pool->client[client].state == CLIENT_RESERVED);
	pool->client[client].state = CLIENT_UNUSED;
}

static void write_record(struct shm_state_client *state, const struct pool_client_options *options,
			 uint64_t ctl_dev, uint64_t ctl_ino, const uint64_t token[2])
{
	memset(state, 0, sizeof *state);
	state->record = (struct shm_record){.hello_nonce = options->hello_nonce,
					    .token = {token[0], token[1]},
					    .pid = options->pid,
					    .uid = options->uid,
					    .gid = options->gid,
					    .max_threads = options->max_threads,
					    .pid_start = options->pid_start,
					    .ctl_dev = ctl_dev,
					    .ctl_ino = ctl_ino,
					    .max_frames = options->max_frames,
					    .flags = options->flags};
	memcpy(state->record.name, options->name, sizeof state->record.name);
}

void pool_client_attach(struct pool *pool, client_id client,
			const struct pool_client_options *options, void *ctl, uint64_t ctl_dev,
			uint64_t ctl_ino, const uint64_t token[2])
{
	struct pool_client *slot = &pool->client[client];
	struct shm_client *shown = pool_meta_client(pool, client);

	PAGED_CHECK(slot->state == CLIENT_RESERVED && options->max_threads <= SHM_MAX_THREADS);
	write_record(pool_state_client(pool, client), options, ctl_dev, ctl_ino, token);
	*shown = (struct shm_client){.id = client,
				     .pid = options->pid,
				     .uid = options->uid,
				     .gid = options->gid,
				     .attached_ns = options->real_ns,
				     .max_threads = options->max_threads,
				     .flags = options->flags,
				     .high = pool->nr_managed};
	memcpy(shown->name, options->name, sizeof shown->name);
	pool_client_set_max(pool, client, options->max_frames);
	shm_store(&pool->status[client - 1], SHM_RECORD_ATTACHED);
	shm_store32(&shown->state, SHM_CLIENT_ATTACHED);
	*slot = (struct pool_client){.state = CLIENT_ATTACHED,
				     .max_threads = options->max_threads,
				     .ctl = ctl,
				     .owned = PFN_NONE};
	cost_begin(pool, client);
	quota_sum_weights(pool);
	pool_add(pool, COUNTER_client_attach, 1);
}

/* Those of the record whose heads are sound. Nothing is granted to the others or taken from them:
 * what lies in them stays the client's until it ends. */
static uint64_t sound_threads(const struct pool *pool, client_id client)
{
	uint32_t max_threads = pool->client[client].max_threads;
	uint64_t threads = pool_state_client(pool, client)->record.threads;

	if (max_threads < SHM_MAX_THREADS)
		threads &= (UINT64_C(1) << max_threads) - 1;
	for (uint64_t left = threads; left; left &= left - 1)
		for (uint32_t m = 0; m < MAGAZINE_COUNT; m++) {
			uint32_t thread = (uint32_t)__builtin_ctzll(left);

			if (!pcp_head_is_sane(pool_head(pool, client, thread, m), m))
				threads &= ~(UINT64_C(1) << thread);
		}
	return threads;
}

void pool_client_adopt(struct pool *pool, client_id client, void *ctl)
{
	struct pool_client *slot = &pool->client[client];
	const struct shm_record *record = &pool_state_client(pool, client)->record;

	PAGED_CHECK(slot->state == CLIENT_ATTACHED && slot->ctl == NULL);
	slot->ctl = ctl;
	slot->threads = sound_threads(pool, client);
	pool->nr_threads += (uint32_t)__builtin_popcountll(slot->threads);
	purge_open(pool, client, (uint32_t)bits_min(record->purge_slots, pool->nr_frames));
	pool_purge_recover(pool, client);
	cost_begin(pool, client);
}

const struct shm_record *pool_client_record(const struct pool *pool, client_id client)
{
	return &pool_state_client(pool, client)->record;
}

void pool_client_is_known(struct pool *pool, client_id client)
{
	shm_store(&pool_state_client(pool, client)->record.hello_nonce, 0);
}

bool pool_client_is_attached(const struct pool *pool, client_id client)
{
	return client >= 1 && client <= SHM_MAX_CLIENTS &&
	       pool->client[client].state == CLIENT_ATTACHED;
}

bool pool_client_is_dying(const struct pool *pool, client_id client)
{
	return client >= 1 && client <= SHM_MAX_CLIENTS &&
	       pool->client[client].state == CLIENT_DYING;
}

void pool_client_set_max(struct pool *pool, client_id client, uint64_t max_frames)
{
	shm_store(&pool_meta_client(pool, client)->max,
		  max_frames ? bits_min(max_frames, pool->nr_managed) : pool->nr_managed);
}

void *pool_client_ctl(const struct pool *pool, client_id client)
{
	return pool->client[client].ctl;
}

void pool_client_kill(struct pool *pool, client_id client)
{
	struct pool_client *slot = &pool->client[client];

	if (slot->state != CLIENT_ATTACHED)
		return;
	shm_store(&pool->status[client - 1], SHM_RECORD_DYING);
	shm_store32(&pool_meta_client(pool, client)->state, SHM_CLIENT_DYING);
	pool->nr_threads -= (uint32_t)__builtin_popcountll(slot->threads);
	slot->state = CLIENT_DYING;
	slot->threads = 0;
	pool->nr_hostile -= slot->hostile;
	slot->hostile = false;
	victim_forget(pool, client);
	quota_sum_weights(pool);
}

/* Up to n_blocks of its blocks become FREE, one store each, and leave its list; returns how many.
 * Then they are sorted: they merge into few blocks before these are listed. */
static uint32_t sweep_blocks(struct pool *pool, client_id client, uint32_t n_blocks)
{
	struct shm_page *map = pool->buddy.map;
	pfn_t *first = &pool->client[client].owned;
	uint64_t frames = 0;
	uint32_t n = 0;

	for (; n < n_blocks && *first != PFN_NONE; n++) {
		pfn_t pfn = *first;
		order_t order = page_get(map, pfn).order;

		page_set(map, pfn, page_free_word(map, pfn, order));
		*first = map[pfn].next;
		pool->batch_pfn[n] = pfn;
		frames += UINT64_C(1) << order;
	}
	if (*first != PFN_NONE)
		map[*first].prev = PFN_NONE;
	quota_release_frames(pool, client, frames);
	pfn_sort(pool->batch_pfn, pool->spare_pfn, n);
	buddy_give_many(&pool->buddy, pool->batch_pfn, n);
	pool_add(pool, COUNTER_pgfree, frames);
	return n;
}

bool pool_client_sweep(struct pool *pool, client_id client, uint32_t n_blocks)
{
	struct pool_client *slot = &pool->client[client];
	struct shm_state_client *state = pool_state_client(pool, client);
	uint32_t n = (uint32_t)bits_min(n_blocks, SHM_GRANT_MAX);

	PAGED_CHECK(slot->state == CLIENT_DYING);
	n -= sweep_blocks(pool, client, n);
	pool->no_run = ORDER_COUNT;
	if (slot->owned != PFN_NONE || !edge_drop_client(pool, client, n))
		return false;
	memset(state->saved_top, 0, sizeof state->saved_top);
	memset(state->lanes, 0, sizeof state->lanes);
	shm_store(&pool->status[client - 1], SHM_RECORD_FREE);
	shm_store32(&pool_meta_client(pool, client)->state, SHM_CLIENT_FREE);
	*slot = (struct pool_client){.state = CLIENT_UNUSED};
	return true;
}
