/* daemon/host/segments.h - META, STATE and DATA of this instance: made or taken over, mapped, and
 * what has been given memory of them.
 *
 *   named (posix)                                    nameless (memfd)
 *   adopt META or create it                          create all three
 *   flock(LOCK_EX) on our own open of META, 5 s
 *   is it still the file of that name? else again
 *   does it match what is configured?
 *     yes: adopt STATE and DATA too
 *     never finished (no magic): remove, create
 *     no: put all three aside, with a log line, create
 *
 * The lock is what makes one writer: the kernel drops it with the last thread of an old server.
 * Neither META nor STATE is touched before it is held. memfd needs none, nobody else can have it.
 *
 * New parts get memory (fallocate) for exactly what pool_format() and a first start store to, so a
 * 1 TiB segment costs 10 MiB; the rest comes when it is first needed: heads with a thread, STATE
 * with a client, mem_map with a chunk of 1 << ORDER_MAX frames, DATA with a commit. */
#ifndef DAEMON_HOST_SEGMENTS_H
#define DAEMON_HOST_SEGMENTS_H
#include "daemon/core/pool.h"
#include "daemon/host/headroom.h"
#include "daemon/host/log.h"
#include "shm/segment.h"

enum segments_backing { SEGMENTS_AUTO, SEGMENTS_POSIX, SEGMENTS_MEMFD }; /* as in config.h */

struct segments_options {
	const char *instance;
	enum segments_backing backing;
	enum shm_hugepages hugepages;
	uint32_t page_shift;
	bool commit_full; /* DATA gets all its memory at once, or nothing starts */
	struct pool_options pool;
	const struct log *log;
	const struct headroom *headroom;
};

struct segments {
	struct segments_options options;
	enum shm_backing backing;
	int meta_fd;      /* holds the lock */
	int meta_read_fd; /* read-only, what clients get */
	int state_fd;
	int data_fd;
	int data_read_fd; /* read-only, for clients that only read */
	struct shm_meta_header *meta;
	struct shm_state_header *state;
	uint64_t meta_bytes, state_bytes, data_bytes;
	bool adopted;
	uint64_t heads_used_bytes; /* the part of META's memory that is heads */
	struct shm_meta_header plan;
	struct shm_state_header state_plan;
};

/* Opens and maps all of it; new parts are formatted. Returns 0, or -errno with a sentence in text,
 * and then nothing is open. -EBUSY: the instance is running. */
int segments_open(struct segments *ret_segments, const struct segments_options *options, char *text,
		  size_t text_bytes);

/* An adopted segment turned out to be of no use: puts it aside and makes a new one. */
int segments_renew(struct segments *segments, char *text, size_t text_bytes);

/* Unmaps and closes. Named parts stay. Idempotent. */
void segments_close(struct segments *segments);

/* The three names in /dev/shm as a sentence, "" for memfd. */
void segments_names(const struct segments *segments, char *text, size_t text_bytes);

/* --- segments_layout.c: sizes and memory ---------------------------------------------------- */

/* Fills plan, state_plan and the three sizes from options. */
void segments_plan(struct segments *segments);
/* Is META, its header read from meta_fd, what the options ask for? Else text says what differs.
 * *ret_unfinished: it never had a magic. */
bool segments_match(const struct segments *segments, uint64_t meta_bytes, bool *ret_unfinished,
		    char *text, size_t text_bytes);
/* Gives new parts, mapped and all zero, their first memory and formats them. */
int segments_format(struct segments *segments, char *text, size_t text_bytes);
/* The same for old ones that match, mapped. Counts a start that is not known to end well. */
int segments_take_over(struct segments *segments, char *text, size_t text_bytes);

/* Memory for what a step of a client is about to store to. Loop thread; -errno with a text. */
int segments_give_heads(struct segments *segments, client_id client, uint32_t thread, char *text,
			size_t text_bytes);
int segments_give_state(struct segments *segments, client_id client, char *text, size_t text_bytes);
/* A commit, as the pool asks for it. Any thread: touches only descriptors. */
int segments_commit(const struct segments *segments, const struct pool_commit *commit, char *text,
		    size_t text_bytes);
/* Brings the header's used bytes of META, mem_map and STATE up to date. Loop thread. */
void segments_account(struct segments *segments);

#endif
