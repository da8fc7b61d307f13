/* paged/message.h - the messages of the protocol as plain structs.
 *
 * proto/codec.h turns them into bytes and back; session and library speak only of these. A request
 * goes from client to daemon on the call socket and is answered by one REPLY with the same id. An
 * upcall goes from daemon to client on the event socket; SHRINK is answered there by SHRINK_DONE
 * with the same id.
 *
 * A status is 0 or a negative errno number of Linux; with a negative one the text is a sentence
 * that says what was wrong and what would be right. All strings are NUL-terminated and cut to their
 * arrays by the codec, never longer. */
#ifndef PAGED_MESSAGE_H
#define PAGED_MESSAGE_H
#include <stdint.h>

#define MESSAGE_BYTES_MAX                                                                          \
	65536u /* of one message on the wire; lower would cut replies of Check, higher costs each  \
		  connection */
#define MESSAGE_NAME_BYTES 32u
#define MESSAGE_TEXT_BYTES 512u
#define MESSAGE_FDS_MAX 4u

/* The wire version of this tree. A daemon serves clients of this version and the two before it. */
#define PROTOCOL_VERSION 1u
#define PROTOCOL_VERSION_MIN 1u

/* X(name, text): the kind, and its name in logs and errors. The order is that of the oneof in
 * proto/paged.proto. */
#define MESSAGE_KINDS(X)                                                                           \
	X(NONE, "none")                                                                            \
	X(HELLO, "Hello")                                                                          \
	X(RESUME, "Resume")                                                                        \
	X(PCP_CREATE, "PcpCreate")                                                                 \
	X(PCP_REFILL, "PcpRefill")                                                                 \
	X(PCP_DRAIN, "PcpDrain")                                                                   \
	X(ALLOC, "Alloc")                                                                          \
	X(FREE, "Free")                                                                            \
	X(CACHE_REGISTER, "CacheRegister")                                                         \
	X(CACHE_UNREGISTER, "CacheUnregister")                                                     \
	X(SHARE, "Share")                                                                          \
	X(IMPORT, "Import")                                                                        \
	X(PUT, "Put")                                                                              \
	X(STATUS, "Status")                                                                        \
	X(GOODBYE, "Goodbye")                                                                      \
	X(RECLAIM, "Reclaim")                                                                      \
	X(DRAIN, "Drain")                                                                          \
	X(CHECK, "Check")                                                                          \
	X(REPLY, "Reply")                                                                          \
	X(SHRINK, "Shrink")                                                                        \
	X(PRESSURE, "Pressure")                                                                    \
	X(SHRINK_DONE, "ShrinkDone")                                                               \
	X(PURGE_TABLE, "PurgeTable")                                                               \
	X(SET, "Set")                                                                              \
	X(WHY, "Why")                                                                              \
	X(CONFIG, "Config")                                                                        \
	X(LOOK, "Look")
enum message_kind {
#define X(name, text) MESSAGE_##name,
	MESSAGE_KINDS(X)
#undef X
		MESSAGE_NR_KINDS
};

enum {                            /* hello.flags */
       HELLO_OBSERVER = 1u << 0,  /* META read-only and nothing else; no client id. May send Status,
				     Config and, if the administrator's, Reclaim, Drain, Check,
				     Set, Why, Look */
       HELLO_READ_ONLY = 1u << 1, /* DATA read-only: may import and put, not allocate */
};

struct message_hello {
	uint32_t version_min;
	uint32_t version_max;
	uint32_t flags;
	uint32_t max_threads; /* 0: 64; at most 64 */
	uint64_t max_frames;  /* own limit; 0: none */
	char name[MESSAGE_NAME_BYTES];
	uint64_t nonce; /* of the attempt: repeated with a Hello that was not answered; 0: none */
};

struct message_resume {
	uint32_t version_min;
	uint32_t version_max;
	uint32_t client;
	uint64_t token[2];
};

/* PcpCreate: the magazines of thread index `thread` get their start values; repeating it changes
 * nothing. */
struct message_pcp_create {
	uint32_t thread;
};

enum {                                /* pcp_refill.flags, alloc.flags */
       REQUEST_NOWAIT = 1u << 0,      /* answer -EAGAIN rather than wait for reclaim */
       REQUEST_MAY_SHRINK = 1u << 1,  /* the client can run its own shrinkers when told -EAGAIN */
       REQUEST_RECLAIMABLE = 1u << 2, /* from RECLAIMABLE pageblocks */
};

/* PcpRefill: fills the magazine up to at least `want` frames (0: the daemon's choice alone). */
struct message_pcp_refill {
	uint32_t thread;
	uint32_t magazine;
	uint32_t want;
	uint32_t flags;
	uint32_t timeout_ms;
};

/* PcpDrain: the owner found the magazine full. The daemon takes frames out of it or raises high. */
struct message_pcp_drain {
	uint32_t thread;
	uint32_t magazine;
};

struct message_alloc {
	uint32_t lane;
	uint64_t seq; /* of the lane; grows by 1 with each new request, the same when repeated */
	uint32_t order;
	uint32_t flags;
	uint32_t timeout_ms;
};

struct message_free {
	uint32_t lane;
	uint64_t seq;
	uint32_t pfn;
	uint32_t order;
};

struct message_cache_register {
	uint32_t cache; /* the client's own number, 1 and up; repeating it changes nothing */
	uint32_t seeks;
	uint32_t batch;
	uint64_t rebuild_ns;
	char name[MESSAGE_NAME_BYTES];
};

struct message_cache_unregister {
	uint32_t cache;
};

struct message_share {
	uint32_t lane;
	uint64_t seq;
	uint32_t pfn;
	uint32_t to_client; /* 0: a share; else a transfer: the reference moves to that client */
};

struct message_import {
	uint32_t lane;
	uint64_t seq;
	uint64_t handle; /* pfn << 32 | gen */
};

struct message_put {
	uint32_t lane;
	uint64_t seq;
	uint32_t pfn;
};

/* Frames of all clients, of one, or of one cache of one. With dry_run nothing is taken: count says
 * how much could be, and text from whom. */
struct message_reclaim {
	uint64_t nr_frames;
	uint32_t client; /* 0: all */
	uint32_t cache;  /* of that client, its own number; 0: all */
	uint32_t dry_run;
};

/* PurgeTable: memory for so many slots of the client's purge table, none of which it may use before
 * the reply, whose count says how many there are: as many as were asked for, or as many more than
 * before as the daemon adds at once. Never shrinks; may be repeated. */
struct message_purge_table {
	uint32_t nr_slots;
};

/* What Set may change while the daemon runs. The first five are of a client, the others of the
 * segment (client 0). X(key, name, unit) */
#define SET_KEYS(X)                                                                                \
	X(MIN, "min", "frames")                                                                    \
	X(LOW, "low", "frames")                                                                    \
	X(HIGH, "high", "frames")                                                                  \
	X(MAX, "max", "frames")                                                                    \
	X(WEIGHT, "weight", "")                                                                    \
	X(SIZE, "size", "frames")                                                                  \
	X(PRESSURE, "pressure", "level")
enum set_key {
#define X(key, name, unit) SET_##key,
	SET_KEYS(X)
#undef X
		SET_NR_KEYS
};

/* value SET_DEFAULT: as the configuration has it; of PRESSURE: as the machine is. */
#define SET_DEFAULT UINT64_MAX
struct message_set {
	uint32_t client;
	uint32_t key; /* enum set_key */
	uint64_t value;
};

/* Why is this held, and why was it not reclaimed? Answered in text, a line for each fact. */
enum why_kind { WHY_CLIENT, WHY_CACHE, WHY_PFN, WHY_NR_KINDS };
struct message_why {
	uint32_t kind;   /* enum why_kind */
	uint32_t number; /* client id, the cache's own number, or pfn */
	uint32_t client; /* CACHE: whose */
};

/* Config: line `number` of the configuration in force, from 0. text: section, key, value, what it
 * means here ("" if it says so itself) and where it stands, a line each; count: how many there are;
 * result: another number after each change. -ENOENT behind the last. */
struct message_config {
	uint32_t number;
};

/* Look: which frames of a client are of that kind, from `at` on, 0 at first. text: runs of frames
 * as "pfn n" in hexadecimal, one a line; result: the next at, LOOK_END behind the last. Frames that
 * move meanwhile may be missed or told twice. */
enum look_kind { LOOK_MAGAZINES, LOOK_PURGEABLE, LOOK_NR_KINDS };
#define LOOK_END UINT64_MAX
struct message_look {
	uint32_t client;
	uint32_t kind; /* enum look_kind */
	uint64_t at;
};

struct message_drain {
	uint32_t client; /* 0: all */
};

/* What a REPLY carries beside id, status and text; which fields count is told by the request that
 * it answers. */
struct message_reply {
	uint64_t id;
	int32_t status;
	char text[MESSAGE_TEXT_BYTES];
	uint32_t version;  /* Hello: chosen. descriptors: META; for a client also DATA, CTL and its
			      event socket */
	uint32_t client;   /* Hello */
	uint64_t token[2]; /* Hello */
	uint32_t daemon_version; /* Hello, PAGECLIENT_VERSION */
	uint32_t max_threads;    /* Hello */
	uint32_t shrink_self; /* with -EAGAIN: only the caller's own shrinkers could help; this many
				 frames are wanted */
	uint64_t count;  /* PcpRefill, PcpDrain: frames in the magazine. Reclaim, Drain: frames that
			    came back. Config: lines */
	uint64_t result; /* Alloc: pfn << 32 | gen. Share: handle. Import: pfn << 32 | order.
			    Config: its serial. Look: the next at */
	uint64_t nr_owned, nr_shared, nr_bad_free, nr_magazine; /* Status */
	uint64_t min, low, high, max;                           /* Status */
	uint64_t nr_purged;                                     /* Status */
	uint32_t level;                                         /* Status, Hello */
};

/* Shrink: ask cache to look at nr_to_scan objects, in batches. nr_to_scan 0: only count. */
struct message_shrink {
	uint32_t cache;
	uint32_t priority;
	uint64_t nr_to_scan;
	uint64_t nr_frames;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
};

struct message_shrink_done {
	uint32_t cache;
	uint32_t stopped;    /* scan() said SHRINK_STOP */
	uint64_t nr_objects; /* count() afterwards; SHRINK_EMPTY comes as 0 */
	uint64_t nr_scanned;
	uint64_t nr_freed;
	uint64_t nr_frames; /* that the callbacks freed; only what comes back counts, up to this */
	uint32_t thread;    /* index of the thread that ran them: the frames lie in its magazines */
};

struct message_pressure {
	uint32_t level; /* enum pageclient_level */
};

struct message {
	enum message_kind kind;
	uint64_t id; /* of the request or upcall; a reply repeats it in reply.id */
	union {
		struct message_hello hello;
		struct message_resume resume;
		struct message_pcp_create pcp_create;
		struct message_pcp_refill pcp_refill;
		struct message_pcp_drain pcp_drain;
		struct message_alloc alloc;
		struct message_free free;
		struct message_cache_register cache_register;
		struct message_cache_unregister cache_unregister;
		struct message_share share;
		struct message_import import;
		struct message_put put;
		struct message_reclaim reclaim;
		struct message_drain drain;
		struct message_reply reply;
		struct message_shrink shrink;
		struct message_pressure pressure;
		struct message_shrink_done shrink_done;
		struct message_purge_table purge_table;
		struct message_set set;
		struct message_why why;
		struct message_config config;
		struct message_look look;
	};
};

#endif
