/* daemon/core/pool_private.h - struct pool, for the files of daemon/core only.
 *
 * Everything here is derived and private to the server: lost at a crash, rebuilt by pool_attach().
 * What must survive is in META and STATE, through the pointers. */
#ifndef DAEMON_CORE_POOL_PRIVATE_H
#define DAEMON_CORE_POOL_PRIVATE_H
#include "daemon/core/buddy.h"
#include "daemon/core/cost.h"
#include "daemon/core/journal.h"
#include "daemon/core/pool.h"
#include "daemon/core/victim.h"

/* Magazines under one claim. Lower: an emergency steal of all takes more barriers; higher: 8 bytes
 * each. */
#define POOL_MAX_CLAIMS 65536u
#define POOL_MAX_CHUNKS 16384u /* 1 << ORDER_MAX frames each: 16 TiB at 4 KiB */
#define POOL_EDGE_BUCKETS 65536u
#define EDGE_NONE UINT32_MAX
#define EDGE_GIVEN 0x8000u /* in edge_payer: by a transfer, and not imported yet */

enum pool_client_state { CLIENT_UNUSED, CLIENT_RESERVED, CLIENT_ATTACHED, CLIENT_DYING };

struct pool_client {
	enum pool_client_state state;
	bool hostile; /* found lying, not yet told by pool_next_hostile() */
	uint32_t max_threads;
	uint64_t threads;  /* bit t: thread t has magazines */
	uint32_t nr_edges; /* entries of the table that count for it (share.c) */
	uint64_t nr_given; /* frames that others gave it and it has not imported yet */
	char *ctl;
	pfn_t owned;          /* its blocks */
	uint32_t purge_slots; /* as its record says, once it has a CTL */
	bool lied;            /* an entry of its purge table named no frame of its own */
	struct cost cost;
};

#define CLAIM_ASKED (1u << 31) /* by the owner, whose magazine was full: no reclaim */

struct pool_claim {
	uint32_t magazine; /* client << 16 | thread << 8 | magazine, and CLAIM_ASKED */
	uint32_t n_wanted;
};

/* The walk over what changes with the size. */
struct resize {
	bool walking;
	bool waits_for_map; /* of the chunk that holds `at` */
	bool mapping;       /* that MAP is under way */
	uint32_t zone;
	pfn_t at;
	uint64_t nr_bad, nr_bad_so_far; /* frames that can never go out of use: of the last walk */
};

/* A run that is looked for and emptied: compact.c. */
#define COMPACT_RUNS 65536u /* 128 GiB of runs of order 9; higher: 24 bytes each */
enum compact_phase { COMPACT_IDLE, COMPACT_COUNT, COMPACT_CHOOSE, COMPACT_PURGE };
struct compact_run {
	uint32_t n_frames; /* that could be purged */
	uint32_t marks;    /* of which: a sum over their pfns */
	uint64_t cost_ns;
	uint32_t client;  /* counted last; the pass goes from one to the next and never back */
	uint32_t n_of_it; /* of n_frames */
};
struct compact {
	enum compact_phase phase;
	order_t order;
	pfn_t from, next; /* of this window and the next */
	pfn_t at;         /* of the walk */
	uint32_t n_free;  /* frames of the run that it is in */
	uint32_t marks;   /* of the blocks there that are not free */
	bool has_counted; /* a frame of this window that can be purged */
	struct pool_range range;
	pfn_t best;
	uint64_t best_cost, n_purged;
	bool success;
};

struct pool {
	struct shm_meta_header *meta;
	uint64_t *counters;
	struct shm_client *meta_clients;
	struct shm_cache *caches;
	char *heads;
	struct shm_state_header *state;
	uint64_t *status; /* enum shm_record_status of each client */
	struct shm_journal *journal;
	struct shm_edge *edges;
	struct shm_state_client *state_clients;

	struct buddy buddy;
	uint64_t nr_frames;
	uint64_t nr_managed;
	uint32_t batch;
	uint64_t max_high_divisor;
	uint32_t n_journal; /* items added, not committed */
	uint32_t nr_commits;
	uint32_t nr_hostile;   /* clients noted, not yet told */
	uint32_t commit_zone;  /* the last request that waits for a commit wants it there */
	uint64_t stock;        /* committed free frames to keep */
	uint64_t stock_wanted; /* the same when the machine is not short */
	bool commit_full;
	bool commit_failed; /* until the next tick holes do not count as free */
	/* A walk found no run that commits could make a block of this order: who wants one waits
	 * for frames. ORDER_COUNT again once frames came back. */
	order_t no_run;
	struct resize resize;
	/* Of the options, for when the size has changed. */
	uint64_t min_free_frames;
	uint32_t min_free_percent, watermark_scale, batch_wanted;
	uint32_t nr_threads;
	uint32_t nr_edges;
	uint32_t edges_end;   /* edges that have memory */
	client_id claim_from; /* the next pass over all magazines begins there; 0: at the first */
	uint64_t cache_used[SHM_MAX_CACHES / 64]; /* bit i: row i of caches is not FREE */
	struct pool_damage damage;                /* that the last pool_attach() met */

	client_id last_table; /* no client behind it has a purge table */
	uint64_t weights;     /* sum over the clients that have one */
	uint64_t real_ns;     /* CLOCK_REALTIME of the event that is served, for what people read */

	uint32_t n_claims;
	struct pool_claim claim[POOL_MAX_CLAIMS];
	pfn_t batch_pfn[SHM_GRANT_MAX]; /* the heads of one grant, chunk or slice of a sweep */
	pfn_t spare_pfn[SHM_GRANT_MAX]; /* for sorting them */

	uint32_t edge_bucket[POOL_EDGE_BUCKETS];
	uint32_t edge_next[SHM_MAX_EDGES];
	uint16_t edge_payer[SHM_MAX_EDGES]; /* whom the entry counts for, and EDGE_GIVEN */
	uint32_t edge_free;                 /* chain through edge_next */
	uint32_t edge_fresh;                /* entries from here on were never used */

	uint8_t map_ready[POOL_MAX_CHUNKS]; /* its mem_map has memory */
	struct pool_client client[SHM_MAX_CLIENTS + 1];

	struct compact compact;
	uint32_t compact_runs; /* that a try looks at: COMPACT_RUNS, fewer in tests */
	struct compact_run compact_run[COMPACT_RUNS];
	struct victims victims, victims_one; /* of all, and of the client that was asked for */
	struct victim_cursor count_cursor;
	struct victim victim_room[VICTIM_ROOM]; /* address space until used */
};

/* --- where things lie ---------------------------------------------------------------------------
 */

static inline struct shm_client *pool_meta_client(const struct pool *pool, client_id client)
{
	return &pool->meta_clients[client - 1];
}

static inline struct shm_state_client *pool_state_client(const struct pool *pool, client_id client)
{
	return &pool->state_clients[client - 1];
}

static inline struct shm_head *pool_head(const struct pool *pool, client_id client, uint32_t thread,
					 uint32_t magazine)
{
	return (struct shm_head *)(void *)(pool->heads +
					   (uint64_t)(client - 1) * SHM_CLIENT_HEADS_BYTES +
					   shm_head_offset(thread, magazine));
}

static inline uint64_t *pool_saved_top(const struct pool *pool, client_id client, uint32_t thread,
				       uint32_t magazine)
{
	return &pool_state_client(pool, client)->saved_top[thread * MAGAZINE_COUNT + magazine];
}

/* The word of pfn, a number below nr_frames that comes from a client. A chunk that was never split
 * is one block, and its mem_map has memory for the first word alone: a look at another would give
 * it some, or be a SIGBUS where the file system is full. Nothing in it is a head. */
static inline struct page_word pool_word(const struct pool *pool, pfn_t pfn)
{
	if (!pool->map_ready[pfn >> ORDER_MAX] && (pfn & ((1u << ORDER_MAX) - 1)))
		return (struct page_word){.state = PAGE_TAIL};
	return page_get(pool->buddy.map, pfn);
}

static inline void pool_add(struct pool *pool, enum counter counter, uint64_t n)
{
	shm_add(&pool->counters[counter], n);
}

static inline void pool_note_damage(struct pool_damage_count *count, pfn_t pfn, uint64_t n)
{
	if (count->n == 0)
		count->pfn = pfn;
	count->n += n;
}

/* --- shared by the files of the core ------------------------------------------------------------
 */

/* quota.c: what is charged to a client, and what it may still have, in frames. */
uint64_t quota_charged(const struct pool *pool, client_id client);
uint64_t quota_room(const struct pool *pool, client_id client);
/* The block of order at pfn, just made OWNED by client, joins its list and its charge; or leaves
 * them. */
void quota_charge_block(struct pool *pool, client_id client, pfn_t pfn, order_t order);
void quota_release_block(struct pool *pool, client_id client, pfn_t pfn, order_t order);
/* The same for n of them; the first becomes the first of the list. */
void quota_charge_blocks(struct pool *pool, client_id client, const pfn_t *pfn, uint32_t n,
			 order_t order);
void quota_release_blocks(struct pool *pool, client_id client, const pfn_t *pfn, uint32_t n,
			  order_t order);
/* Of n_frames that are the client's no more: the charge alone, the list is the caller's. */
void quota_release_frames(struct pool *pool, client_id client, uint64_t n_frames);
void quota_charge_shared(struct pool *pool, client_id client, order_t order);
void quota_release_shared(struct pool *pool, client_id client, order_t order);
/* The sum of the weights of those who are attached, after one came, went or was given another. */
void quota_sum_weights(struct pool *pool);
/* May reclaim that has come to this tier take so many frames of the client? */
bool quota_yields(const struct pool *pool, client_id client, enum pool_tier tier,
		  uint64_t n_frames);

/* zonelist.c: the zones that a client's requests may take from, in their order. */
struct zonelist {
	uint32_t n;
	uint8_t zone[SHM_MAX_ZONES];
};
void zonelist_init(struct pool *pool, const struct pool_options *options);
struct zonelist zonelist_of(const struct pool *pool, client_id client);
/* Frames that may be granted from the i-th of them. */
uint64_t zonelist_room(const struct pool *pool, const struct zonelist *list, uint32_t i);

/* pool.c: a FREE block of order for a client, off the lists; its zones in their order, none below
 * min. */
int pool_take_block(struct pool *pool, client_id client, order_t order, enum migratetype type,
		    pfn_t *ret_pfn);
/* What a request that found no block is told: is there a hole that a commit could fill? */
int pool_shortage(struct pool *pool, client_id client, order_t order);
/* Frames that may be granted before some zone's min is reached. */
uint64_t pool_available(const struct pool *pool, uint32_t zone);
void pool_note_hostile(struct pool *pool, client_id client);
void pool_note_bad_free(struct pool *pool, client_id client);

/* alloc.c: is {lane, seq} new? OK: yes. BUSY stands for "answered before": *ret_result is what was.
 */
int lane_check(const struct pool *pool, client_id client, uint32_t lane, uint64_t seq,
	       uint64_t *ret_result);

/* share.c */
void edge_init(struct pool *pool);
void edge_rebuild(struct pool *pool);
/* Ends up to n edges of a client; true if it has no more. */
bool edge_drop_client(struct pool *pool, client_id client, uint32_t n);
/* The edge of client to the SHARED block at pfn with that generation; false: it has none. */
bool edge_find(const struct pool *pool, pfn_t pfn, uint32_t gen, client_id client,
	       uint32_t *ret_index);
/* It ends, outside of any lane; true: it was the last, and the block is free. */
bool edge_end(struct pool *pool, uint32_t index, client_id client);
/* Number of edges of the SHARED block at pfn with that generation. */
uint32_t edge_count(const struct pool *pool, pfn_t pfn, uint32_t gen);

/* pool.c: managed, and what follows from it: watermarks, stock, batch. */
void pool_follow_size(struct pool *pool);

/* resize.c: before recovery, the line in each zone that the wanted size draws; after it, the walk
 * goes on. A MAP that ended may be what it waited for; the punch of the RESERVED block at pfn was
 * its own. */
void resize_draw(struct pool *pool, const struct pool_options *options);
void resize_go_on(struct pool *pool);
void resize_map_ended(struct pool *pool);
void resize_punch_ended(struct pool *pool, pfn_t pfn);

/* The clients that have one, as many of them as there is room for; returns how many there are. */
uint32_t edge_clients(const struct pool *pool, pfn_t pfn, uint32_t gen, client_id *ret_clients,
		      uint32_t n_max);

/* recovery.c: saved tops, the walk, the merges. Returns the number of frames that became BAD. */
uint64_t recovery_run(struct pool *pool);

#endif
