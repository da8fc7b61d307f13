/* daemon/host/segments.h - META, STATE and DATA of this instance: made or taken over, mapped, and
 * what has been given memory of them.
 *
 *   segments_open(), in the supervisor: descriptors, and not a byte of what they hold
 *     named (posix)   adopt each part or create it
 *     nameless        take those that the service manager held (store.h), or create all three
 *                     (memfd) and have it hold them
 *   segments_attach(), in the server that inherited them:
 *     flock(LOCK_EX) on our own open of META, 5 s
 *     are they still the files of these names? else AGAIN
 *     META has no magic: nobody was ever served from it
 *       STATE is another META's, or a size is wrong: put them away, AGAIN
 *       else format
 *     it matches what is configured: take it over
 *     it is sound and of another size: put all three aside, CHANGED
 *     it does not match, or three starts on it failed: put all three aside, AGAIN
 *   AGAIN, CHANGED: the server ends, and the supervisor opens anew and starts another.
 *
 * The lock is what makes one writer: the kernel drops it with the last thread of an old server. The
 * supervisor never has it. Nothing is read before it is held, and what is put aside is put aside
 * under it, so that no other daemon of that name takes over what is on its way out. Once a server
 * has served (settled), the descriptors count, whatever becomes of the names: its clients live
 * there.
 *
 * New parts get memory (fallocate) for exactly what pool_format() and a first start store to, so a
 * 1 TiB segment costs 10 MiB; the rest comes when it is first needed: heads with a thread, STATE
 * with a client, mem_map with a chunk of 1 << ORDER_MAX frames, DATA with a commit. */
#ifndef DAEMON_HOST_SEGMENTS_H
#define DAEMON_HOST_SEGMENTS_H
#include "daemon/core/pool.h"
#include "daemon/host/headroom.h"
#include "daemon/host/log.h"
#include "daemon/host/store.h"
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
	struct store *store; /* a memfd segment in it is taken over; NULL: none */
};

struct segments {
	struct segments_options options;
	enum shm_backing backing;
	bool settled;     /* a server has served from it */
	int meta_fd;      /* once attached: holds the lock */
	int meta_read_fd; /* read-only, what clients get; from segments_attach() on */
	int state_fd;
	int data_fd;
	int data_read_fd; /* read-only, for clients that only read */
	struct shm_meta_header *meta;
	struct shm_state_header *state;
	uint64_t meta_bytes, state_bytes, data_bytes;
	bool adopted;
	bool hugetlb; /* DATA is of reserved huge pages */
	/* What was committed is made of, as far as the kernel tells; the thread pool adds to them:
	 * atomic. */
	uint64_t huge_bytes, small_bytes;
	bool punched;              /* memory was given back: atomic */
	uint64_t heads_used_bytes; /* the part of META's memory that is heads */
	struct shm_meta_header plan;
	struct shm_state_header state_plan;
};

/* Opens or makes the descriptors. Returns 0, or -errno with a sentence in text, and then nothing is
 * open. */
int segments_open(struct segments *ret_segments, const struct segments_options *options, char *text,
		  size_t text_bytes);
/* Closes and opens again, as backing says (SEGMENTS_AUTO as it was configured). The options stay
 * those that were given first. */
int segments_reopen(struct segments *segments, enum segments_backing backing, char *text,
		    size_t text_bytes);

enum segments_verdict {
	SEGMENTS_AGAIN = 1,   /* they are to be opened anew: put away, or the names changed */
	SEGMENTS_NO_ROOM = 2, /* as that, nameless: /dev/shm has no room and backing is auto */
	SEGMENTS_CHANGED = 3, /* as AGAIN: what is configured is not what it was */
};

/* Locks and maps them; a new segment is formatted, an old one taken over. Returns 0; a verdict,
 * with the reason in text; -errno with a sentence in text. -EBUSY: the instance is running. */
int segments_attach(struct segments *segments, char *text, size_t text_bytes);
/* What was attached is of no use. Returns verdict (AGAIN or CHANGED), text says why and what the
 * old one is called now; or -errno with a text. */
int segments_put_aside(struct segments *segments, enum segments_verdict verdict, const char *why,
		       char *text, size_t text_bytes);

/* Unmaps and closes. Named parts stay. Idempotent. */
void segments_close(struct segments *segments);

/* The three names in /dev/shm as a sentence, "" for memfd. */
void segments_names(const struct segments *segments, char *text, size_t text_bytes);

/* --- segments_backing.c: which one ---------------------------------------------------------- */

/* Can /dev/shm hold it all? Else a log line says why not. */
bool segments_shm_is_large_enough(const struct segments *segments);
/* Files of a start with another backing hold memory that nobody finds: says so, unless somebody is
 * at them. */
void segments_warn_of_files(const struct segments *segments);
/* Takes what the service manager held for us; false: there is nothing of use. */
bool segments_take_stored(struct segments *segments);

/* --- segments_layout.c ---------------------------------------------------------------------- */

/* What is in use of a new segment; and what is to be, once attached. */
uint64_t segments_bytes_at_start(const struct segments *segments);
uint64_t segments_bytes_wanted(const struct segments *segments);
/* Fills plan, state_plan and the three sizes from options. */
void segments_plan(struct segments *segments);
/* Is what META's header says what the options ask for, and are the parts as large? 0, or else text
 * says what differs: SEGMENTS_CHANGED if they are as its own header says, which is of another size,
 * else SEGMENTS_AGAIN; -errno if they cannot be read. Reads by pread(): nothing is mapped yet. */
int segments_match(const struct segments *segments, char *text, size_t text_bytes);
/* All n_bytes at offset. -ENODATA: the file ends before; -errno. */
int segments_read(int fd, void *ret_bytes, size_t n_bytes, uint64_t offset);
/* META and STATE begin with a magic, which is written last. 1, 0, or -errno: it may have one. */
int segments_has_magic(int fd);
/* META has no magic: has STATE none, or META's own instance_id, as a start that was cut short
 * leaves them? 1, 0, or -errno. */
int segments_state_is_free(const struct segments *segments);
/* Returns r, with a text. What cannot be read now may be as good as ever: nobody may put it aside
 * or write over it. */
int segments_unread(int r, char *text, size_t text_bytes);
/* --- segments_memory.c ---------------------------------------------------------------------- */

/* Gives new parts, mapped and all zero, their first memory and formats them. */
int segments_format(struct segments *segments, char *text, size_t text_bytes);
/* The same for old ones that match, mapped. Counts a start that is not known to end well. */
int segments_take_over(struct segments *segments, char *text, size_t text_bytes);

/* Memory for what a step of a client is about to store to. Loop thread; -errno with a text. */
int segments_give_heads(struct segments *segments, client_id client, uint32_t thread, char *text,
			size_t text_bytes);
int segments_give_state(struct segments *segments, client_id client, char *text, size_t text_bytes);
int segments_give_edges(struct segments *segments, uint32_t from, uint32_t to, char *text,
			size_t text_bytes);
/* A commit or punch, as the pool asks for it. Any thread: touches only descriptors. */
int segments_commit(struct segments *segments, const struct pool_commit *commit, char *text,
		    size_t text_bytes);
/* Brings the header's used bytes of META, mem_map and STATE up to date. Loop thread. */
void segments_account(struct segments *segments);

#endif
