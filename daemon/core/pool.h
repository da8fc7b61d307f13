/* daemon/core/pool.h - the pool: zones, clients, magazines and the journal as one object over META
 * and STATE.
 *
 * This is all that session knows of the core. The pool owns no memory: META, STATE and each CTL are
 * mappings of the shell's, and struct pool holds what is private to the server and derived (list
 * heads, counts), which recovery rebuilds.
 *
 * Who writes what, and in which order (I3, I7):
 *   split     upper heads, then the lower head                    buddy.c
 *   Alloc     split; journal {word = OWNED, lane}                 alloc.c
 *   Free      journal {word = FREE, lane}; merge                  alloc.c
 *   grant     split; slots below top; journal {words = OWNED, top}  magazine.c
 *   steal     claim: saved_top, top; barrier; settle: journal {words = FREE, saved_top | top};
 * merge   magazine.c Share     journal {edge, word = SHARED, lane}                 share.c death
 * record = DYING; word = FREE one by one; merge; record = FREE   client.c
 *
 * Conditions. Every function returns 0 or a positive enum pool_condition, and sets its ret_
 * arguments only with 0. The session turns conditions into wire codes (condition.c). Nothing is
 * undone anywhere: a function finds all it needs first and then commits what cannot fail.
 *
 * Not thread-safe; one loop thread. Nothing here depends on a byte of CTL or of a message being
 * sane. */
#ifndef DAEMON_CORE_POOL_H
#define DAEMON_CORE_POOL_H
#include "shm/access.h"
#include "shm/counters.h"
#include "shm/layout.h"

#include <stdbool.h>

#define POOL_CONDITIONS(X)                                                                         \
	X(OK, "ok")                                                                                \
	X(NO_FRAMES, "no free block of that order")                                                \
	X(NO_COMMIT, "free, but not committed yet")                                                \
	X(OVER_QUOTA, "over the client's max")                                                     \
	X(BAD_PFN, "pfn outside the segment")                                                      \
	X(BAD_ORDER, "no such order")                                                              \
	X(NOT_HEAD, "not the head of a block")                                                     \
	X(NOT_OWNED, "not owned by this client")                                                   \
	X(WRONG_ORDER, "the block has another order")                                              \
	X(IS_SHARED, "the block is shared: put it, do not free it")                                \
	X(STALE, "the handle is of a frame that was freed since")                                  \
	X(TABLE_FULL, "the table is full")                                                         \
	X(OVER_SHARE, "of a full table the rest is for those who have less")                       \
	X(GIFTS_WAIT, "the receiver has not imported what it was given before")                    \
	X(BAD_THREAD, "no such thread")                                                            \
	X(BAD_MAGAZINE, "no such magazine")                                                        \
	X(BAD_LANE, "no such lane")                                                                \
	X(NO_CLIENT, "no such client is attached")                                                 \
	X(BAD_SIZE, "no such size")                                                                \
	X(OLD_SEQ, "a sequence number of the past")                                                \
	X(HOSTILE, "the client's CTL lies")                                                        \
	X(BUSY, "under way already")                                                               \
	X(MISMATCH, "not a segment of this layout")                                                \
	X(CORRUPT, "the segment is damaged")
enum pool_condition {
#define X(name, text) POOL_##name,
	POOL_CONDITIONS(X)
#undef X
		POOL_NR_CONDITIONS
};
const char *pool_condition_text(enum pool_condition condition);

/* --- start
 * -------------------------------------------------------------------------------------------------------
 */

struct pool_zone_options {
	char name[SHM_NAME_BYTES];
	uint32_t nr_frames; /* zones lie one after the other, from pfn 0 */
	/* At its end, not in use with the configured size: they wait for a resize. */
	uint32_t nr_offline;
	bool has_node;
	uint32_t node;          /* NUMA node */
	uint32_t reserve_ratio; /* 1/n is kept from those who fall back to it; 0: nothing */
	bool own_fallback;      /* else all zones after it */
	uint8_t fallback[SHM_MAX_ZONES]; /* zones to try after it, in order: number + 1, 0: end */
};

struct pool_options {
	struct pool_zone_options zone[SHM_MAX_ZONES];
	uint32_t nr_zones;
	uint32_t batch;            /* pcp batch; 0: zone_batchsize() */
	uint64_t min_free_frames;  /* 0: the kernel's formula */
	uint32_t min_free_percent; /* of what is in use, instead of that; 0: not given */
	uint32_t watermark_scale;  /* of 10000; the kernel's 10 */
	bool commit_full;          /* commit all frames ahead of need */
	uint64_t max_high_divisor; /* high_max = managed / this / threads; 8 */
	uint32_t edges_given;      /* of a new segment: edges that have memory; 0: all */
};

/* What the shell is asked to do before frames can be granted. MAP: give memory to the mem_map of
 * the 1 << ORDER_MAX frames at pfn. DATA: give memory to the 1 << order frames at pfn. PUNCH: take
 * their memory back, which cannot do harm if it fails. The block is off the lists until
 * pool_commit_done(). */
enum pool_commit_kind { POOL_COMMIT_MAP, POOL_COMMIT_DATA, POOL_COMMIT_PUNCH };
struct pool_commit {
	enum pool_commit_kind kind;
	pfn_t pfn;
	order_t order;
	enum migratetype type; /* of the pageblocks once committed */
};

struct pool;

/* Bytes of a struct pool, for callers that allocate it; its fields are in pool_private.h. */
size_t pool_bytes(void);

/* Writes a new segment into META and STATE, which are zero, at least as long as shm_meta_plan() and
 * shm_state_plan() say for the options, and have memory behind all but the mem_map (of which the
 * page of each 1 << ORDER_MAX boundary and of the last ORDER_COUNT heads of each zone, and the
 * whole map of the first 1 << ORDER_MAX frames). header gives page_shift, instance_id, instance and
 * the modes. O(frames / 2^18). */
void pool_format(void *meta, void *state, const struct shm_meta_header *header,
		 const struct pool_options *options);

/* Why META and STATE are nothing that pool_attach() takes over, as a sentence; NULL if they are.
 * Looks at the headers and zones only: what they say of sizes and offsets holds afterwards. */
const char *pool_mismatch(const void *meta, uint64_t meta_bytes, const void *state,
			  uint64_t state_bytes);

/* Takes over a segment that pool_format() made: checks the headers against each other and the
 * options, fills pool. Builds the lists by walking heads, so O(blocks); a crash of the server
 * before is repaired on the way: the journal is replayed, saved tops go back, clients that were
 * DYING stay so (sweep them with pool_client_sweep()). MISMATCH: not ours. CORRUPT: the walk met
 * what no crash leaves behind; those frames are BAD and the rest is usable
 * (*ret_bad says how many frames). Without a frame that is usable, or with a damaged journal, it
 * is CORRUPT as a whole. */
int pool_attach(struct pool *pool, void *meta, uint64_t meta_bytes, void *state,
		uint64_t state_bytes, const struct pool_options *options, uint64_t *ret_bad);

/* What pool_attach() met that no crash leaves behind. pfn: of the first, if n is not 0. */
struct pool_damage_count {
	uint64_t n;
	pfn_t pfn;
};
struct pool_damage {
	struct pool_damage_count bad;     /* frames that became BAD */
	struct pool_damage_count orphans; /* frames owned by a client that does not exist: FREE */
	struct pool_damage_count types;   /* pageblocks of no type: holes now */
};
const struct pool_damage *pool_damage(const struct pool *pool);

/* --- clients
 * -----------------------------------------------------------------------------------------------------
 */

struct pool_client_options {
	uint32_t pid, uid, gid, max_threads, flags;
	uint64_t pid_start, max_frames /* quota; 0: none */, real_ns, hello_nonce;
	char name[SHM_NAME_BYTES];
};

/* Reserves a client id: find a free slot. TABLE_FULL. The caller commits memory for it, then
 * pool_client_attach(). */
int pool_client_reserve(struct pool *pool, client_id *ret_client);
void pool_client_unreserve(struct pool *pool, client_id client);
void pool_client_attach(struct pool *pool, client_id client,
			const struct pool_client_options *options, void *ctl, uint64_t ctl_dev,
			uint64_t ctl_ino, const uint64_t token[2]);
/* A client of an earlier server, whose process still lives, is served again: its magazines are in
 * ctl, the CTL that it was attached with. Until then it keeps its frames and nothing looks at its
 * magazines. */
void pool_client_adopt(struct pool *pool, client_id client, void *ctl);
/* What STATE says of an ATTACHED client: whose process it is and what a Resume must show. */
const struct shm_record *pool_client_record(const struct pool *pool, client_id client);
/* Its process is known to have the answer to its Hello: the nonce of that counts no more. */
void pool_client_is_known(struct pool *pool, client_id client);
/* Any number is allowed as client in these two. */
bool pool_client_is_attached(const struct pool *pool, client_id client);
bool pool_client_is_dying(const struct pool *pool, client_id client);

/* Begins a client's end: from here on it is DYING, and nothing is granted to it. Idempotent. */
void pool_client_kill(struct pool *pool, client_id client);
/* Frees up to n_blocks of a DYING client's blocks and edges; true once all is gone and the id may
 * be used again. */
bool pool_client_sweep(struct pool *pool, client_id client, uint32_t n_blocks);

/* zonelist.c: its requests start from the zone of that name; "" or one that is not there: from the
 * first. */
void pool_client_set_zone(struct pool *pool, client_id client, const char *name);
bool pool_find_zone(const struct pool *pool, const char *name, uint32_t *ret_zone);
void pool_client_set_max(struct pool *pool, client_id client, uint64_t max_frames);
/* The CTL mapping that the client was attached with, for the shell's ACTION_RELEASE. */
void *pool_client_ctl(const struct pool *pool, client_id client);

/* --- blocks
 * ------------------------------------------------------------------------------------------------------
 */

/* What frames of others cannot change, for requests that may have to wait: 0 if the request waits
 * for frames alone; BUSY if it was answered before (pool_alloc() gives the answer again) or its
 * magazine holds something (pool_refill() answers with that); else why it cannot be met as it is.
 */
int pool_judge_alloc(const struct pool *pool, client_id client, order_t order, uint32_t lane,
		     uint64_t seq);
int pool_judge_refill(const struct pool *pool, client_id client, uint32_t thread,
		      uint32_t magazine);

/* One block. lane and seq make it happen once: a repeated seq is answered from STATE. *ret_result
 * is pfn << 32 | gen. */
int pool_alloc(struct pool *pool, client_id client, order_t order, enum migratetype type,
	       uint32_t lane, uint64_t seq, uint64_t *ret_result);
int pool_free(struct pool *pool, client_id client, pfn_t pfn, order_t order, uint32_t lane,
	      uint64_t seq);

/* The first reference of a block becomes an edge of the client (to == CLIENT_NONE), or of the
 * client `to`: then the caller has none any more. *ret_handle is pfn << 32 | gen. */
int pool_share(struct pool *pool, client_id client, pfn_t pfn, client_id to, uint32_t lane,
	       uint64_t seq, uint64_t *ret_handle);
/* Another edge for client; *ret_result is pfn << 32 | order. A client that has one keeps it: the
 * library counts. */
int pool_import(struct pool *pool, client_id client, uint64_t handle, uint32_t lane, uint64_t seq,
		uint64_t *ret_result);
int pool_put(struct pool *pool, client_id client, pfn_t pfn, uint32_t lane, uint64_t seq);
/* The edges [*ret_from, *ret_to) are to be given memory: few of those that have it are unused.
 * false: nothing is wanted. Who does not hear of it sees TABLE_FULL early. */
bool pool_wants_edges(const struct pool *pool, uint32_t *ret_from, uint32_t *ret_to);
/* Those below `to` have memory. */
void pool_edges_given(struct pool *pool, uint32_t to);

/* --- magazines
 * ---------------------------------------------------------------------------------------------------
 */

/* Start values for the magazines of a thread; its heads have memory by now. Repeating it changes
 * nothing. */
int pool_pcp_create(struct pool *pool, client_id client, uint32_t thread);

/* Fills a magazine up to its bulk (batch << scale), at least want. *ret_count: frames in it
 * afterwards. NO_FRAMES or NO_COMMIT only if it is empty and nothing could be granted. */
int pool_refill(struct pool *pool, client_id client, uint32_t thread, uint32_t magazine,
		uint32_t want, uint64_t *ret_count);

/* Refills without a request. What a PcpRefill would grant, but nothing to a magazine that holds
 * half of that already, nor to an empty one whose ring has to grow. Quota, watermarks and fairness
 * are a PcpRefill's. 0 and the number of blocks granted, at least 1, or why none was: BUSY if it
 * has enough or has to grow; all else as pool_refill(). Low is one that holds less than half,
 * because its owner took from it since we looked last, while no zone is short. */
struct pool_place {
	client_id client;
	uint32_t thread;
	uint32_t magazine;
};
bool pool_is_low(const struct pool *pool, const struct pool_place *place);
int pool_refill_ahead(struct pool *pool, const struct pool_place *place, uint32_t want,
		      uint32_t *ret_n);

/* Doorbells: a client's word that a magazine is empty, and a hint. Has one of its threads rung? One
 * load. */
bool pool_is_rung(const struct pool *pool, client_id client);
/* The threads that have (bit t), and whose bell is silent from now on. */
uint64_t pool_take_rings(struct pool *pool, client_id client);
/* What the word of the thread names, and how many it wants there. The thread must have magazines.
 */
uint32_t pool_read_ring(const struct pool *pool, client_id client, uint32_t thread,
			struct pool_place *ret_place);
/* Tells the owner that its ring brought nothing, so that it need not watch any longer. */
void pool_refuse_ring(struct pool *pool, const struct pool_place *place);
/* Takes the thread's ring, if it rang, and answers nothing: its request says the same. */
void pool_drop_ring(const struct pool *pool, client_id client, uint32_t thread);

/* The owner found it full. Raises high if demand allows it; *ret_steal says that instead the daemon
 * should take frames: claim, barrier, settle. *ret_count: frames in it. */
int pool_drain_request(struct pool *pool, client_id client, uint32_t thread, uint32_t magazine,
		       uint64_t *ret_count, bool *ret_steal);

/* A steal in two steps with the shell's barrier between them. Claims add up (one barrier for all);
 * settle takes up to the wanted number of each claim and gives the rest back. A client whose bottom
 * is a lie is noted; pool_next_hostile() names it. If the barrier failed, pool_unclaim() puts every
 * top back. */
/* One magazine, because its owner asked for a drain. */
int pool_claim(struct pool *pool, client_id client, uint32_t thread, uint32_t magazine,
	       uint64_t n_wanted);
/* A pass over all magazines of a client, or of all clients with CLIENT_NONE, that seem to hold
 * something; those idle since the tick before last only, if idle_only. It goes on in slices of some
 * thousand frames, about a millisecond: each call claims one, and the barrier and the settle come
 * before the next. Returns how many magazines were claimed; 0 does not mean that the pass is done.
 * Clients may come, go and die between two slices. */
#define POOL_SLICE_WORK                                                                            \
	8192u /* frames, more or less. Lower: more barriers for the same; higher: others wait      \
		 longer */
struct pool_pass {
	client_id client; /* the next to look at, */
	uint32_t thread, magazine;
	uint32_t n_taken;   /* blocks of that magazine so far */
	uint32_t n_clients; /* to look at, with that one; 0: done */
	bool is_all, idle_only;
	bool has_begun; /* it had a slice */
	/* The caller sets it for reclaim: nobody is left with less than its min. */
	bool keeps_min;
	uint64_t n_asked; /* frames of the client in this slice so far */
};
struct pool_pass pool_pass_begin(const struct pool *pool, client_id client, bool idle_only);
uint32_t pool_claim_pass(struct pool *pool, struct pool_pass *pass);
static inline bool pool_pass_is_done(const struct pool_pass *pass)
{
	return pass->n_clients == 0;
}
/* Claims up to n_wanted frames of one thread's magazines, hot first. Returns how many seem to be
 * there, 0 if nothing was claimed, also for a thread or client that does not exist. */
uint64_t pool_claim_thread(struct pool *pool, client_id client, uint32_t thread, uint64_t n_wanted);
uint32_t pool_nr_claims(const struct pool *pool);
uint64_t pool_settle(struct pool *pool); /* frames that came back */
void pool_unclaim(struct pool *pool);
client_id pool_next_hostile(struct pool *pool); /* CLIENT_NONE when there is no more */

/* --- fairness (quota.c)
 * -------------------------------------------------------------------------------------- */

/* How reclaim treats a client that holds what it holds now. Who is OVER (its high, or its share by
 * weight) pays first; PROTECTED (at or below min) is never asked. SPARED (at or below low) comes
 * after all others. */
enum pool_tier { POOL_TIER_OVER, POOL_TIER_NORMAL, POOL_TIER_SPARED, POOL_TIER_PROTECTED };
#define POOL_NR_TIERS 4u
enum pool_tier pool_client_tier(const struct pool *pool, client_id client);
/* Frames that may be taken from the client before its tier changes for the better; UINT64_MAX: any.
 */
uint64_t pool_client_excess(const struct pool *pool, client_id client);
/* The limits in force, in frames; max 0: none. Bounded by the segment. from: what people are told
 * set them. */
struct pool_limits {
	uint64_t min, low, high, max;
	uint32_t weight; /* 0: no share of its own */
	char from[SHM_NAME_BYTES];
};
void pool_client_set_limits(struct pool *pool, client_id client, const struct pool_limits *limits);
/* An administrator's value of one limit, bit SHM_SET_* of an attached client, in its record until
 * it ends; NULL: none any more. It has no effect before the next pool_client_set_limits(). */
void pool_client_override(struct pool *pool, client_id client, uint32_t bit, const uint64_t *value);

/* --- purgeable frames (purge.c)
 * ---------------------------------------------------------------------------------- */

/* Slots that the client's purge table may have at most: its user's share of what all may have
 * (quota.h), never fewer than it has. O(clients). */
uint32_t pool_purge_slots_most(const struct pool *pool, client_id client);
/* The client's purge table gets at least nr_slots slots, whose memory is there by now; never fewer
 * than it has. TABLE_FULL: more than the segment has frames. The caller has asked
 * pool_purge_slots_most(). */
int pool_purge_table(struct pool *pool, client_id client, uint32_t nr_slots,
		     uint32_t *ret_nr_slots);
/* Purges at least n_frames frames of the client, or, with CLIENT_NONE, of all: tier by tier, in a
 * tier what is oldest for what it costs to rebuild. Takes no more than asked for and one block.
 * Returns how many came back. One slice: *ret_again if another call may find more. Needs no client
 * to run. */
uint64_t pool_purge(struct pool *pool, uint64_t n_frames, client_id client, bool *ret_again);
/* Whoever was to call again for frames of the client, or of all, does not: who calls next is told
 * what there is since then. */
void pool_purge_anew(struct pool *pool, client_id client);
/* Is a pass that looks for the next victims under way? */
bool pool_purge_is_looking(const struct pool *pool);
/* Should it have come farther by now? When it is very late a purge goes on with it itself. */
bool pool_purge_is_behind(const struct pool *pool);
/* Goes on with it for some 5 us. */
void pool_purge_ahead(struct pool *pool);
/* CLOCK_REALTIME, for purged_ns of those whose frames are purged from here on. */
void pool_set_time(struct pool *pool, uint64_t real_ns);
/* purge_range.c: what lies in [from, to), of all clients, in slices: one call each until it is
 * done. Nobody is taken below its min. Returns how many frames came back. */
struct pool_range {
	pfn_t from, to;
	uint32_t client, slot; /* whose turn it is */
};
struct pool_range pool_range_begin(pfn_t from, pfn_t to);
uint64_t pool_purge_range(struct pool *pool, struct pool_range *range);
static inline bool pool_range_is_done(const struct pool_range *range)
{
	return range->client > SHM_MAX_CLIENTS;
}
/* Frames that could be purged, of one client or all, as last looked at: an estimate. */
uint64_t pool_purgeable(const struct pool *pool, client_id client);
/* Finishes what a dead server began in the CTL of a client that is adopted. */
void pool_purge_recover(struct pool *pool, client_id client);

/* --- watermarks and commits
 * -------------------------------------------------------------------------------------- */

uint64_t pool_nr_free(const struct pool *pool);
uint64_t pool_nr_frames(const struct pool *pool);  /* all that the zones have room for */
uint64_t pool_nr_managed(const struct pool *pool); /* in use, but for those that are BAD */
uint64_t pool_watermark_min(const struct pool *pool);
uint64_t pool_watermark_low(const struct pool *pool);
uint64_t pool_watermark_high(const struct pool *pool);

/* Is a commit wanted, to keep the stock of committed frames or for a request that found NO_COMMIT?
 * Then *ret_commit says which, and its block is isolated. `order` is that of the request (0 for the
 * stock). At most POOL_MAX_COMMITS at a time. */
#define POOL_MAX_COMMITS 2u
bool pool_plan_commit(struct pool *pool, order_t order, enum migratetype type,
		      struct pool_commit *ret_commit);
bool pool_stock_is_low(const struct pool *pool);
/* punch.c: a run of free committed pageblocks to give back, at most n_pageblocks of them, and none
 * that the stock needs; its block is isolated. false: there is none, or enough is under way. */
bool pool_plan_punch(struct pool *pool, uint64_t n_pageblocks, struct pool_commit *ret_commit);
/* How many whole pageblocks are free, committed and not needed for the stock. */
uint64_t pool_idle_pageblocks(const struct pool *pool);
/* Is the machine short of memory? Then the stock of committed frames is kept small. */
void pool_squeeze(struct pool *pool, bool is_short);
void pool_commit_done(struct pool *pool, const struct pool_commit *commit, bool ok);
uint32_t pool_nr_commits(const struct pool *pool);

/* --- size (resize.c)
 * -------------------------------------------------------------------------------------- */

/* The zones have room for nr_frames of META's header, [segment] size_max. Of these some are in use
 * (online_frames), and a size is wanted (wanted_frames), which survives a crash. What is to go out
 * of use is taken where it is free, and where it is not, in the moment it is freed. Zones change
 * from the last to the first, in whole pageblocks. */

/* From now on so many frames are wanted, a little more for whole pageblocks. BAD_SIZE: fewer than
 * pool_size_min() or more than there is room for. */
int pool_resize(struct pool *pool, uint64_t n_frames);
uint64_t pool_size_min(const struct pool *pool);
uint64_t pool_size_wanted(const struct pool *pool);
uint64_t pool_size_online(const struct pool *pool);
/* One slice of what there is to do at once; true: call it again. */
bool pool_resize_step(struct pool *pool);
/* A MAP or PUNCH that the resize needs, at most POOL_MAX_COMMITS together with all others. */
bool pool_plan_resize(struct pool *pool, struct pool_commit *ret_commit);
/* It is not complete. */
bool pool_resize_is_under_way(const struct pool *pool);
/* Frames that are somebody's and are to go out of use: somebody has to free them. */
uint64_t pool_resize_left(const struct pool *pool);
/* [*ret_from, *ret_to) of zone is to go out of use; false: nothing of it is. */
bool pool_resize_range(const struct pool *pool, uint32_t zone, pfn_t *ret_from, pfn_t *ret_to);

/* --- large blocks (compact.c)
 * -------------------------------------------------------------------------------------- */

/* Begins to look for the run of that order that is cheapest to empty, and empties it, in slices.
 * true: call it again. *ret_purged: frames that it took so far. */
void pool_compact_begin(struct pool *pool, order_t order);
bool pool_compact_step(struct pool *pool, uint64_t *ret_purged);
/* Tries that look at the whole segment, one window each; and was the last one's the last window? */
uint32_t pool_compact_tries(const struct pool *pool, order_t order);
bool pool_compact_is_through(const struct pool *pool);

/* --- upkeep and reading
 * ------------------------------------------------------------------------------------------ */

/* Once a second: the generation clock, what magazines hold (bottom_seen), decay of high. */
void pool_tick(struct pool *pool);
/* What META says of the frames in the client's magazines is brought up to date, as a tick does. */
void pool_count_magazines(struct pool *pool, client_id client);
/* Writes the gauges of counters.def; the session does it after each step. */
void pool_publish(struct pool *pool);
void pool_count(struct pool *pool, enum counter counter, uint64_t n);
struct shm_meta_header *pool_meta(struct pool *pool);
struct shm_client *pool_client(struct pool *pool, client_id client);
struct shm_zone *pool_zone(struct pool *pool, uint32_t zone); /* below nr_zones of META */
struct shm_cache *
pool_caches(struct pool *pool); /* SHM_MAX_CACHES of them; shrinker.c keeps them */

/* Recounts everything from zero and compares: invariants I1 to I8 of docs/INVARIANTS.md. Returns 0,
 * or CORRUPT with a sentence in text that starts with the id of the broken invariant; HOSTILE with
 * one if a bottom is a lie and all else that was looked at holds. Reads only; O(frames held) and
 * CTLs once. */
int pool_check(const struct pool *pool, char *text, uint32_t text_bytes);
/* Notes each client whose bottoms lie, as a steal would, and returns how many: after HOSTILE. */
uint32_t pool_note_liars(struct pool *pool);

#endif
