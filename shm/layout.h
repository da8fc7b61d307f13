/* shm/layout.h - what lies where in META, STATE and CTL.
 *
 * Split by writer, because a writer is the unit of trust:
 *   META    the daemon writes, everybody reads      header, zones, clients, caches, counters,
 * pageblocks, heads, mem_map STATE   the daemon writes, nobody else sees it  client records, lanes,
 * saved tops, the redo journal, edges CTL     one per client, both write              bottoms and
 * slots of its magazines; to the daemon hostile input DATA    the clients write the frames; the
 * daemon never dereferences it
 *
 * All is offsets, pfns and fixed-width integers; a field that two processes may touch at once is
 * one aligned 4- or 8-byte word and goes through shm/access.h. What is read from META by a client
 * is trusted, what is read from CTL by the daemon is copied once, checked, then used (I10).
 *
 *   META  +----------------------+ 0
 *         | header               | 4 KiB
 *         | zones     8 x 1 KiB  |
 *         | counters             | one page of 64-bit words, in the order of counters.def
 *         | clients 1024 x 512 B | public half of a client: who, how much
 *         | caches  1024 x 512 B |
 *         | pageblocks           | one byte each: enum migratetype, HOLE until committed
 *         | heads                | per client 48 KiB: 64 threads x 11 magazines x 64 B and padding
 *         | mem_map              | 16 bytes per frame
 *         +----------------------+
 *
 * META and STATE are sparse: a page is given memory (fallocate, so that a full tmpfs is an error
 * and no signal) before its first store. The parts that are small or needed by all are committed at
 * creation, a client's heads and STATE when it attaches, the mem_map of a maximum-order block when
 * that block is first split (META_MAP in daemon/core/pool.h).
 *
 * A change of any struct here is a new SHM_LAYOUT_VERSION; tests/abi holds the offsets. */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H
#include "shm/page.h"

#include <stddef.h>

#define SHM_META_MAGIC UINT64_C(0x4154454d44454750)  /* "PGEDMETA" */
#define SHM_STATE_MAGIC UINT64_C(0x5453454454415453) /* "STATEDST" */
#define SHM_CTL_MAGIC UINT64_C(0x4c54434445474150)   /* "PAGEDCTL" */
#define SHM_LAYOUT_VERSION 2u

/* Each a bound on a table in shared memory: lower refuses users earlier, higher costs address space
 * (not memory). */
#define SHM_MAX_CLIENTS 1024u
#define SHM_MAX_CACHES 1024u
#define SHM_MAX_ZONES 8u
#define SHM_MAX_THREADS 64u
#define SHM_MAX_LANES 64u
#define SHM_MAX_EDGES 65536u
#define SHM_EDGES_STEP 4096u /* given memory at a time, 64 KiB: lower asks more often */
#define SHM_NAME_BYTES 32u   /* of a client, a cache, a zone, an instance: 31 bytes and a NUL */
#define SHM_TEXT_BYTES 256u
#define SHM_PAGE 4096u /* alignment of the parts; not the frame size */

/* A pageblock's type; also the free lists. HOLE is not committed: its frames are free, but not
 * before a commit. */
#define MIGRATETYPES(X)                                                                            \
	X(HOLE, "Hole")                                                                            \
	X(UNMOVABLE, "Unmovable")                                                                  \
	X(RECLAIMABLE, "Reclaimable")
enum migratetype {
#define X(name, text) MIGRATE_##name,
	MIGRATETYPES(X)
#undef X
		MIGRATE_TYPES
};
const char *migratetype_name(enum migratetype type);

enum shm_backing { SHM_BACKING_POSIX = 1, SHM_BACKING_MEMFD = 2 };
enum shm_hugepages { SHM_HUGEPAGES_NEVER = 0, SHM_HUGEPAGES_AUTO = 1, SHM_HUGEPAGES_ALWAYS = 2 };

/* Magazines of a thread: hot and cold for order 0, then one for each order 1 to 9. */
enum {
	MAGAZINE_HOT = 0,
	MAGAZINE_COLD = 1,
	MAGAZINE_ORDER_1 = 2,
	MAGAZINE_COUNT = 11,
	MAGAZINE_ORDER_MAX = 9,
};

/* Pressure stall information, as the kernel's: how much of the time somebody (some), or everybody
 * who wanted frames (full), waited for frames. daemon/core/psi.h fills it. */
enum shm_psi_kind { SHM_PSI_SOME, SHM_PSI_FULL, SHM_PSI_KINDS };
struct shm_psi {
	uint64_t total_us[SHM_PSI_KINDS]; /*  0 */
	uint16_t avg[SHM_PSI_KINDS][3];   /* 16 hundredths of a percent over 10, 60 and 300 s */
	uint32_t reserved;                /* 28 */
};
static_assert(sizeof(struct shm_psi) == 32, "layout");

/* How often a number was in [2^i, 2^(i+1)), i from 0; the first also counts 0, the last all above.
 */
#define SHM_HISTOGRAM_BUCKETS 16u
struct shm_histogram {
	uint32_t n[SHM_HISTOGRAM_BUCKETS];
};

struct shm_meta_header {
	uint64_t magic;             /*   0 */
	uint32_t version;           /*   8 SHM_LAYOUT_VERSION */
	uint32_t page_shift;        /*  12 log2 of the frame size: 12, 14 or 16 */
	uint64_t instance_id;       /*  16 random; the same in STATE and in every CTL */
	uint64_t epoch;             /*  24 raised by each server that takes the segment over */
	uint64_t meta_bytes;        /*  32 */
	uint64_t state_bytes;       /*  40 */
	uint64_t data_bytes;        /*  48 nr_frames << page_shift */
	uint32_t nr_frames;         /*  56 */
	uint32_t nr_zones;          /*  60 */
	uint32_t max_clients;       /*  64 SHM_MAX_CLIENTS and so on, as the creator was built */
	uint32_t max_threads;       /*  68 */
	uint32_t max_caches;        /*  72 */
	uint32_t nr_counters;       /*  76 */
	uint64_t zones_offset;      /*  80 */
	uint64_t counters_offset;   /*  88 */
	uint64_t clients_offset;    /*  96 */
	uint64_t caches_offset;     /* 104 */
	uint64_t pageblocks_offset; /* 112 */
	uint64_t heads_offset;      /* 120 */
	uint64_t map_offset;        /* 128 */
	uint32_t backing;           /* 136 enum shm_backing, in force */
	uint32_t hugepages;         /* 140 enum shm_hugepages, as configured */
	uint32_t daemon_pid;        /* 144 */
	uint32_t daemon_version;    /* 148 PAGECLIENT_VERSION of the server */
	uint64_t started_ns;        /* 152 CLOCK_REALTIME */
	uint32_t generation;       /* 160 the generation clock: one a tick and one a reclaim pass */
	uint32_t online_frames;    /* 164 frames in use of nr_frames; the rest waits for a resize */
	uint64_t meta_used_bytes;  /* 168 memory given to META, STATE and all CTLs so far */
	uint64_t state_used_bytes; /* 176 */
	uint64_t ctl_used_bytes;   /* 184 */
	uint64_t map_used_bytes;   /* 192 the part of meta_used_bytes that is mem_map */
	uint64_t committed_frames; /* 200 */
	char instance[SHM_NAME_BYTES]; /* 208 */
	char limit[SHM_TEXT_BYTES];    /* 240 why the last commit failed, "" if none did */
	char cgroup[SHM_TEXT_BYTES];   /* 496 the cgroup that pays, "" where there is none */
	struct shm_psi psi;            /* 752 of all zones together */
	uint32_t level;                /* 784 enum pageclient_level: the higher of the next two */
	uint32_t own_level;            /* 788 of the segment's own watermarks */
	uint32_t machine_level;        /* 792 of the machine, the cgroup, the administrator */
	uint32_t hugetlb;              /* 796 1: DATA is a file of hugetlb */
	uint64_t largest_free;         /* 800 frames of the largest free block */
	uint64_t nr_purgeable;         /* 808 unpinned entries of all tables when last looked at */
	uint32_t wanted_frames;        /* 816 what online_frames is on its way to */
	uint32_t configured_frames;    /* 820 the configuration's size when wanted was last its */
	uint64_t huge_bytes;           /* 824 committed since the server began: of huge pages, */
	uint32_t awake; /* 832 while the server looks at doorbells: 1 + the processor that it is on;
			 * else 0. A line that is seldom written else: who waits looks at it all the
			 * time */
	uint32_t busy_poll_us; /* 836 how long the server spins at most; 0: it never does, or
				* knows no doorbells */
	uint64_t small_bytes; /* 840 of small pages; 0 and huge_bytes 0: the kernel does not tell */
	uint64_t reserved2[4]; /* 848 */
};
static_assert(sizeof(struct shm_meta_header) == 880, "layout");
static_assert(offsetof(struct shm_meta_header, instance) == 208, "layout");
static_assert(offsetof(struct shm_meta_header, awake) == 832, "layout");

#define SHM_NODE_NONE UINT32_MAX

struct shm_zone {
	char name[SHM_NAME_BYTES]; /*  0 */
	uint32_t start_pfn;        /* 32 */
	uint32_t end_pfn;          /* 36 one past the last */
	uint64_t managed;          /* 40 frames, all but RESERVED and BAD */
	uint64_t nr_free;          /* 48 frames in FREE blocks, holes included */
	uint64_t nr_hole;          /* 56 the part of nr_free that is not committed */
	uint64_t watermark_min;    /* 64 frames */
	uint64_t watermark_low;    /* 72 */
	uint64_t watermark_high;   /* 80 */
	struct shm_psi psi;        /* 88 of requests that this zone could have met */
	uint32_t node;             /* 120 NUMA node, SHM_NODE_NONE: any */
	uint32_t reserve_ratio; /* 124 1/n of it is kept from requests that fall back to it; 0: none
				 */
	uint32_t nr_blocks[ORDER_COUNT][MIGRATE_TYPES]; /* 128 FREE blocks per order and list */
	uint32_t base_frames; /* 356 frames of it that are in use with the configured size */
	uint8_t fallback[SHM_MAX_ZONES]; /* 360 zones to try after it, in order: number + 1, 0: end
					  */
	uint8_t pad[1024 - 140 - 4 * ORDER_COUNT * MIGRATE_TYPES];
};
static_assert(sizeof(struct shm_zone) == 1024, "layout");

enum shm_client_state { SHM_CLIENT_FREE, SHM_CLIENT_ATTACHED, SHM_CLIENT_AWAY, SHM_CLIENT_DYING };

struct shm_client {                /* in META: what everybody may know of a client */
	uint32_t state;            /*   0 enum shm_client_state */
	uint32_t id;               /*   4 */
	uint32_t pid;              /*   8 as the daemon sees it */
	uint32_t uid;              /*  12 */
	uint32_t gid;              /*  16 */
	uint32_t nr_threads;       /*  20 threads with magazines */
	char name[SHM_NAME_BYTES]; /*  24 */
	uint64_t attached_ns;      /*  56 CLOCK_REALTIME */
	uint64_t nr_owned;         /*  64 frames OWNED by it, magazines included */
	uint64_t nr_shared;        /*  72 frames it has an edge of */
	uint64_t nr_magazine;  /*  80 the part of nr_owned that lay in magazines when last looked */
	uint64_t nr_bad_free;  /*  88 frees refused: twice, foreign, wrong order */
	uint64_t nr_hostile;   /*  96 lies found in its CTL */
	uint64_t min;          /* 104 frames */
	uint64_t low;          /* 112 */
	uint64_t high;         /* 120 */
	uint64_t max;          /* 128 */
	uint64_t nr_stall;     /* 136 requests that had to wait for reclaim */
	uint64_t nr_oom;       /* 144 requests that failed for want of frames */
	uint64_t nr_reclaimed; /* 152 frames taken back: drained or shrunk */
	uint32_t level;        /* 160 enum pageclient_level */
	uint32_t nr_caches;    /* 164 */
	uint32_t flags;        /* 168 HELLO_* */
	uint32_t max_threads;  /* 172 */
	struct shm_psi psi;    /* 176 */
	uint32_t weight;       /* 208 of its share; 0: none configured */
	uint32_t purge_slots;  /* 212 of its purge table */
	uint64_t nr_purgeable; /* 216 frames in its purge table, when last looked at */
	uint64_t nr_pinned;    /* 224 the part of nr_purgeable that was pinned */
	uint64_t nr_purged;    /* 232 frames purged, ever */
	uint64_t nr_refault;   /* 240 purged frames that it rebuilt, ever, as it says */
	uint64_t rebuild_ns;   /* 248 per purgeable frame: the cost in force */
	uint64_t purged_ns;    /* 256 CLOCK_REALTIME of the last purge, 0: none */
	char limits_from[SHM_NAME_BYTES]; /* 264 what set min to weight: a [client MATCH], "set" */
	uint32_t zone;         /* 296 where its requests start: number + 1; 0: the first */
	uint32_t reserved1;    /* 300 */
	uint64_t reserved[26]; /* 304 */
};
static_assert(sizeof(struct shm_client) == 512, "layout");

enum shm_cache_state {
	SHM_CACHE_FREE,
	SHM_CACHE_READY,
	SHM_CACHE_BUSY,
	SHM_CACHE_OPEN /* breaker */
};

struct shm_cache {
	uint32_t state;            /*   0 enum shm_cache_state */
	uint32_t client;           /*   4 */
	uint32_t id;               /*   8 the client's own number */
	uint32_t seeks;            /*  12 */
	uint32_t batch;            /*  16 objects */
	uint32_t nr_missed;        /*  20 deadlines missed in a row */
	char name[SHM_NAME_BYTES]; /*  24 */
	uint64_t nr_objects;       /*  56 freeable, as count() said last */
	uint64_t nr_frames;   /*  64 estimate: nr_objects times frames that came back per object so
				 far (1 at first) */
	uint64_t nr_scanned;  /*  72 objects */
	uint64_t nr_freed;    /*  80 objects that scan() said it freed */
	uint64_t nr_returned; /*  88 frames that really came back */
	uint64_t nr_deferred; /*  96 objects not scanned yet that should have been */
	uint64_t nr_upcalls;  /* 104 */
	uint64_t nr_timeouts; /* 112 */
	uint64_t latency_ns;  /* 120 of the last upcall */
	uint64_t latency_max_ns;         /* 128 */
	uint64_t rebuild_ns;             /* 136 per frame, declared */
	uint64_t breaker_until_ns;       /* 144 CLOCK_MONOTONIC */
	uint64_t registered_ns;          /* 152 CLOCK_REALTIME */
	struct shm_histogram latency_us; /* 160 of upcalls */
	struct shm_histogram scanned;    /* 224 objects of one upcall */
	struct shm_histogram freed;      /* 288 frames that one upcall brought back */
	uint64_t cost_ns;                /* 352 per frame: rebuild_ns, or by seeks where it is 0 */
	uint64_t asked_ns;               /* 360 CLOCK_REALTIME of the last upcall, 0: none */
	uint64_t nr_stopped;             /* 368 scans that said SHRINK_STOP */
	uint64_t reserved[17];           /* 376 */
};
static_assert(sizeof(struct shm_cache) == 512, "layout");

/* The half of a magazine that the client can read but not forge. Its first 16 bytes are struct
 * pageclient_head_v1. */
struct shm_head {
	uint64_t top;         /*  0 the daemon's end */
	uint64_t high;        /*  8 the owner pushes no further; follows demand */
	uint64_t bottom_seen; /* 16 the owner's end when the daemon last looked; for display */
	uint32_t capacity;    /* 24 slots in the ring in force, a power of two */
	uint32_t batch;       /* 28 frames of a first refill */
	uint32_t high_base;   /* 32 high before it follows demand */
	uint16_t scale;       /* 36 the next refill is batch << scale, 0 to 5 */
	uint16_t idle;        /* 38 ticks that neither end has moved */
	uint64_t nr_granted;  /* 40 frames, ever */
	uint64_t nr_stolen;   /* 48 frames, ever: drained or stolen */
	uint64_t streak;      /* 56 frames granted since the last drain: what high grows towards */
};
static_assert(sizeof(struct shm_head) == 64, "layout");

#define SHM_THREAD_HEADS_BYTES 768u /* 11 heads of 64 bytes, padded to a multiple of 256 */
#define SHM_CLIENT_HEADS_BYTES (SHM_MAX_THREADS * SHM_THREAD_HEADS_BYTES)
static_assert(SHM_THREAD_HEADS_BYTES >= MAGAZINE_COUNT * sizeof(struct shm_head), "layout");
static_assert(SHM_CLIENT_HEADS_BYTES % SHM_PAGE == 0, "heads are committed by pages");

/* Where top and bottom start, so that neither ever meets 0 or wraps. Compared by signed difference
 * only. */
#define MAGAZINE_INDEX_START (UINT64_C(1) << 63)

/* --- STATE
 * -------------------------------------------------------------------------------------------------------
 */

enum shm_record_status { SHM_RECORD_FREE, SHM_RECORD_ATTACHED, SHM_RECORD_DYING };

struct shm_record {
	uint64_t hello_nonce;      /*  0 of a Hello whose answer may have been lost; 0: none */
	uint64_t token[2];         /*  8 what a Resume must show */
	uint32_t pid;              /* 24 */
	uint32_t uid;              /* 28 */
	uint32_t gid;              /* 32 */
	uint32_t max_threads;      /* 36 */
	uint64_t pid_start;        /* 40 start time in clock ticks, from /proc/PID/stat */
	uint64_t ctl_dev;          /* 48 of the CTL, checked when a Resume carries it */
	uint64_t ctl_ino;          /* 56 */
	uint64_t max_frames;       /* 64 the client's own limit, 0 for none */
	uint64_t threads;          /* 72 bit t: thread t has magazines */
	uint32_t flags;            /* 80 HELLO_* */
	uint32_t purge_slots;      /* 84 of the purge table in its CTL; all are initialised */
	char name[SHM_NAME_BYTES]; /* 88 */
	uint32_t set;              /* 120 bit SHM_SET_*: the administrator said so, below */
	uint32_t set_weight;       /* 124 */
	uint64_t set_min;          /* 128 frames */
	uint64_t set_low;          /* 136 */
	uint64_t set_high;         /* 144 */
	uint64_t set_max;          /* 152 */
	uint64_t reserved[12];     /* 160 */
};
enum {
	SHM_SET_MIN = 1u << 0,
	SHM_SET_LOW = 1u << 1,
	SHM_SET_HIGH = 1u << 2,
	SHM_SET_MAX = 1u << 3,
	SHM_SET_WEIGHT = 1u << 4,
	SHM_SET_ZONE = 1u << 5, /* of a [client MATCH] only */
};
static_assert(sizeof(struct shm_record) == 256, "layout");

struct shm_lane { /* the last request of one lane that changed something, and what was answered */
	uint64_t seq;    /* 0 */
	uint64_t result; /* 8 */
};

struct shm_state_client {
	struct shm_record record;
	struct shm_lane lanes[SHM_MAX_LANES];                 /*  256 */
	uint64_t saved_top[SHM_MAX_THREADS * MAGAZINE_COUNT]; /* 1280 0: no claim is under way */
	uint8_t pad[8192 - 1280 - 8 * SHM_MAX_THREADS * MAGAZINE_COUNT];
};
static_assert(sizeof(struct shm_state_client) == 8192, "layout");

/* A reference of a client to a SHARED frame. pfn_gen 0 with client 0 is a free entry. */
struct shm_edge {
	uint64_t frame;  /* 0 pfn << 32 | gen */
	uint64_t client; /* 8 0: free */
};

/* One entry of the redo journal: an 8-byte value and the 8-byte word that it goes to. */
struct shm_journal_item {
	uint64_t where; /* 0 kind << 56 | index, see daemon/core/journal.h */
	uint64_t value; /* 8 */
};
/* One grant or one chunk of a steal is one journal: n_max words, and the few items beside them. */
#define SHM_GRANT_MAX 4096u
#define SHM_JOURNAL_ITEMS (SHM_GRANT_MAX + 64u)

struct shm_state_header {
	uint64_t magic;          /*  0 */
	uint32_t version;        /*  8 */
	uint32_t max_clients;    /* 12 */
	uint64_t instance_id;    /* 16 */
	uint64_t state_bytes;    /* 24 */
	uint64_t journal_offset; /* 32 */
	uint64_t edges_offset;   /* 40 */
	uint64_t clients_offset; /* 48 */
	uint64_t status_offset; /* 56 of all clients' enum shm_record_status, a word each: one store
				   commits */
	uint64_t recoveries;  /* 64 begun and not finished; 3 in a row: the segment is put aside */
	uint64_t edges_given; /* 72 edges that have memory, from the first on; 0: all of them */
};
static_assert(sizeof(struct shm_state_header) == 80, "layout");

struct shm_journal {
	uint64_t n; /* 0: idle; the store of n commits */
	uint64_t reserved;
	struct shm_journal_item item[SHM_JOURNAL_ITEMS];
};

/* --- CTL
 * ---------------------------------------------------------------------------------------------------------
 */

struct shm_ctl_header {
	uint64_t magic;
	uint32_t version;
	uint32_t max_threads;
	uint64_t instance_id;
	uint64_t ctl_bytes;
	uint32_t client;
	uint32_t reserved;
};

/* Slots: hot starts at 1 Ki and may double to 256 Ki in place; cold has 4 Ki; order k has max(64,
 * 4096 >> k). */
#define SHM_HOT_SLOTS_FIRST 1024u
#define SHM_HOT_SLOTS_MAX 262144u
#define SHM_COLD_SLOTS 4096u
#define SHM_BOTTOM_STRIDE 64u /* one cache line each: the owner writes it at every pop and push */

#define SHM_CTL_THREADS_OFFSET SHM_PAGE /* the header has the first page */

/* Doorbells, a hint: who wants a magazine filled writes what into its thread's word, then sets its
 * bit in the bell. The server takes all bits by an exchange; who rang in vain finds REFUSED. */
#define SHM_CTL_BELL_OFFSET 64u /* in the header's page, on a line of its own */
#define SHM_CTL_RING_LINE 63u   /* of the bottoms: the word of the thread */
#define SHM_RING_WANT_BITS 32u  /* magazine << 32 | frames or blocks that it should have then */
#define SHM_RING_REFUSED 0u     /* which no ring is: who rings wants 1 at least */
#define SHM_CTL_BOTTOMS_BYTES 4096u
#define SHM_CTL_SMALL_SLOTS_BYTES 20480u /* orders 1 to 9, one after the other */
#define SHM_CTL_COLD_SLOTS_BYTES (SHM_COLD_SLOTS * 4u)
#define SHM_CTL_HOT_SLOTS_BYTES (SHM_HOT_SLOTS_MAX * 4u)
#define SHM_CTL_THREAD_BYTES                                                                       \
	(SHM_CTL_BOTTOMS_BYTES + SHM_CTL_SMALL_SLOTS_BYTES + SHM_CTL_COLD_SLOTS_BYTES +            \
	 SHM_CTL_HOT_SLOTS_BYTES)

/* Behind the threads: one page of what the client tells about its purgeable frames, then the purge
 * table, an entry (shm/purge.h) for each slot. The daemon looks at no entry from purge_slots of the
 * record on, and initialises those before it raises that number. */
struct shm_purge_header {
	uint64_t declared_ns; /*  0 per frame, 0: unknown */
	uint64_t rebuilt_ns;  /*  8 time spent on rebuilding so far */
	uint64_t nr_rebuilt;  /* 16 frames rebuilt in that time */
	uint64_t nr_refault;  /* 24 pins that found PURGED */
	uint64_t refault_age; /* 32 sum over them of the generations since the purge */
	uint64_t reserved[3]; /* 40 */
};
static_assert(sizeof(struct shm_purge_header) == 64, "layout");

/* --- sizes
 * -------------------------------------------------------------------------------------------------------
 */

/* Fills the sizes and offsets of a header for nr_frames frames and nr_counters counters. Everything
 * else is left. */
void shm_meta_plan(struct shm_meta_header *header, uint32_t nr_frames, uint32_t page_shift);
void shm_state_plan(struct shm_state_header *header);

/* Slots that the ring of magazine starts with, and the most that it may have. */
uint32_t magazine_slots_first(uint32_t magazine);
uint32_t magazine_slots_max(uint32_t magazine);

/* Order of the blocks in a magazine: 0 for hot and cold. */
static inline order_t magazine_order(uint32_t magazine)
{
	return magazine <= MAGAZINE_COLD ? 0 : magazine - MAGAZINE_COLD;
}

/* The most frames of one grant or one chunk of a steal, and the most that high may become: with
 * 2 * (high_max + n_max) + 2 <= capacity a whole claim and a grant never meet. */
static inline uint32_t magazine_n_max(uint32_t capacity)
{
	return capacity / 8 < SHM_GRANT_MAX ? capacity / 8 : SHM_GRANT_MAX;
}

static inline uint32_t magazine_high_max(uint32_t capacity)
{
	return capacity / 8 * 3 - 1;
}

/* Byte offsets: of a magazine's head in META from the client's heads, of its bottom and slots in
 * CTL from the start. */
static inline uint64_t shm_head_offset(uint32_t thread, uint32_t magazine)
{
	return (uint64_t)thread * SHM_THREAD_HEADS_BYTES + magazine * sizeof(struct shm_head);
}

static inline uint64_t shm_ctl_purge_offset(uint32_t max_threads)
{
	return SHM_CTL_THREADS_OFFSET + (uint64_t)max_threads * SHM_CTL_THREAD_BYTES;
}

/* The entry of slot 0. */
static inline uint64_t shm_ctl_table_offset(uint32_t max_threads)
{
	return shm_ctl_purge_offset(max_threads) + SHM_PAGE;
}

/* Of a CTL whose purge table may get nr_slots: a multiple of SHM_PAGE. */
static inline uint64_t shm_ctl_bytes(uint32_t max_threads, uint32_t nr_slots)
{
	return shm_ctl_table_offset(max_threads) +
	       (((uint64_t)nr_slots * 8 + SHM_PAGE - 1) & ~(uint64_t)(SHM_PAGE - 1));
}

static inline uint64_t shm_ctl_bottom_offset(uint32_t thread, uint32_t magazine)
{
	return SHM_CTL_THREADS_OFFSET + (uint64_t)thread * SHM_CTL_THREAD_BYTES +
	       magazine * SHM_BOTTOM_STRIDE;
}
static inline uint64_t shm_ctl_ring_offset(uint32_t thread)
{
	return shm_ctl_bottom_offset(thread, SHM_CTL_RING_LINE);
}
uint64_t shm_ctl_slots_offset(uint32_t thread, uint32_t magazine);

static_assert(sizeof(struct shm_ctl_header) <= SHM_CTL_BELL_OFFSET, "layout");
static_assert(MAGAZINE_COUNT <= SHM_CTL_RING_LINE &&
		      (SHM_CTL_RING_LINE + 1) * SHM_BOTTOM_STRIDE <= SHM_CTL_BOTTOMS_BYTES,
	      "layout");

#endif
