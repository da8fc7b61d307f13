/* bench/peers/peer.h - a program that runs the workloads over one allocator of pages.
 *
 * Each peer is a program of its own: a malloc replaces everybody's malloc, and DPDK takes the whole
 * process over. All of them are peer.c, loops.h and one file with four hooks and this table:
 *
 *   peer_dpdk burst 512 random touch 1 /socket      kind, frames, order, what is touched, CPU,
 * socket
 *   <- "ready", or "no TEXT": this is not to be had here
 *   -> "1000"                                       so many rounds of the loop
 *   <- "2500000 512000"                             ns and operations; or "no TEXT"
 *   ...                                             until the end of its input
 *
 * The driver starts one in each round anew, so that where its pages lie is drawn anew as well, and
 * tells it how much to do: what is warmed up and for how long is the same for all. Standard output
 * is the driver's alone; what a library prints goes to standard error.
 *
 * For C and C++. */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H
#include "bench/loops.h"

#include <assert.h>

#define PEER_KINDS(X)                                                                              \
	X(PAIR, pair)                                                                              \
	X(BURST, burst)                                                                            \
	X(CHURN, churn)                                                                            \
	X(BULK, bulk)                                                                              \
	X(ORDER9, order9)                                                                          \
	X(MIXED, mixed)

enum peer_kind {
#define X(kind, name) PEER_##kind,
	PEER_KINDS(X)
#undef X
		PEER_NR_KINDS
};

static inline const char *peer_kind_name(enum peer_kind kind)
{
	static const char *const name[] = {
#define X(constant, text) #text,
		PEER_KINDS(X)
#undef X
	};

	return name[kind];
}

/* The hooks for many of a peer that has no call for them: one by one, by hook_alloc and hook_free.
 */
#define PEER_ONE_BY_ONE                                                                            \
	LOOPS_INLINE size_t hook_alloc_bulk(void *heap, void **ret_frames, size_t n_frames)        \
	{                                                                                          \
		for (size_t i = 0; i < n_frames; i++) {                                            \
			ret_frames[i] = hook_alloc(heap, 0);                                       \
			if (!ret_frames[i])                                                        \
				return i;                                                          \
		}                                                                                  \
		return n_frames;                                                                   \
	}                                                                                          \
	LOOPS_INLINE void hook_free_bulk(void *heap, void *const *frames, size_t n_frames)         \
	{                                                                                          \
		for (size_t i = 0; i < n_frames; i++)                                              \
			hook_free(heap, frames[i], 0);                                             \
	}                                                                                          \
	static_assert(true, "a semicolon follows")

/* What a backend has to be ready for. */
struct peer_job {
	enum peer_kind kind;
	enum work_order order;
	enum work_touch touch;
	uint32_t n_frames;  /* held at a time; blocks of orders 0 to 9 with PEER_MIXED */
	int cpu;            /* the process runs there already; PLACE_ANYWHERE: where it likes */
	const char *socket; /* of the daemon, for those that have one */
};

/* Blocks of an order that a job may hold at a time; 0: it has no use for that order. */
static inline uint32_t peer_job_blocks(const struct peer_job *job, unsigned order)
{
	if (job->kind == PEER_MIXED)
		return order <= WORK_ORDER_LAST ? job->n_frames : 0;
	return order == (job->kind == PEER_ORDER9 ? WORK_ORDER_LAST : 0) ? job->n_frames : 0;
}

#ifdef __cplusplus
extern "C" {
#endif
struct peer_backend {
	/* Returns 0, or -1 with a sentence in text. */
	int (*open)(const struct peer_job *job, void **ret_heap, char *text, size_t text_bytes);
	void (*close)(void *heap);
	const struct heap_loops *loops;
};

/* The one of this program. */
const struct peer_backend *peer_backend(void);
#ifdef __cplusplus
}
#endif

#endif
