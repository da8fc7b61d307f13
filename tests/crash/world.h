/* tests/crash/world.h - a small pool in shared memory that can be photographed, and put back.
 *
 * 64 frames or a few more, two clients with one thread each. The daemon's code runs in a forked
 * child on the shared mappings; what a crash would leave at any instant is what a photograph of
 * them shows, so recovery runs over a copy, in the parent. */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H
#include "daemon/core/pool_private.h"

#define WORLD_CLIENTS 2u
#define WORLD_FRAMES_MAX 1024u
#define WORLD_SLOTS 64u /* of the purge table of each client */

struct world {
	struct pool_options options;
	struct pool *pool;  /* the server's, private: a forked child has its own */
	struct pool *other; /* the successor's, for recovery over the copy */
	char *meta, *state; /* shared mappings */
	char *copy_meta, *copy_state;
	uint64_t meta_bytes, state_bytes;
	char *ctl[WORLD_CLIENTS + 1];
	uint64_t seq[WORLD_CLIENTS + 1]; /* last of lane 0 */
	pfn_t shared;                    /* the block that the share scenarios are about */
};

/* All frames committed, both clients attached with magazines. */
void world_open(struct world *w, uint32_t nr_frames);
void world_close(struct world *w);

/* A photograph: all words that the scenarios can change. */
struct photo {
	uint64_t bytes;
	char *data;
};
struct photo photo_new(const struct world *w);
void photo_free(struct photo *photo);
void photo_take(const struct world *w, struct photo *photo);
/* The shared mappings become what they were. */
void photo_restore(struct world *w, const struct photo *photo);
bool photo_differs(const struct world *w, const struct photo *photo);

/* What clients may rely on: for each frame its OWNED or SHARED word, or 0. */
void world_ownership(const struct world *w, const char *meta, uint64_t owned[WORLD_FRAMES_MAX]);

/* The server is dead with memory as it is now: copies it, recovers the copy, audits. NULL, or what
 * is wrong. The copy stays for world_ownership(); the purge tables are put back. */
const char *world_recover(struct world *w, char *text, uint32_t text_bytes);

/* The owner's end of a magazine. */
uint64_t *world_bottom(const struct world *w, client_id client, uint32_t magazine);
pfn_t world_pop(struct world *w, client_id client, uint32_t magazine);

/* An entry of a client's purge table. */
uint64_t *world_entry(const struct world *w, client_id client, uint32_t slot);
/* A block of order of its own, unpinned, in a slot. */
void world_arm(struct world *w, client_id client, uint32_t slot, order_t order);

/* Every frame in the magazines of the copy is OWNED by its client and there once; NULL, or what is
 * wrong. */
const char *world_check_magazines(const struct world *w);

#endif
