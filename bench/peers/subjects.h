/* bench/peers/subjects.h - who runs the workloads of the heap.
 *
 * X(name, role, program, needs, most, environment, what, ...): peer_<program> is started with
 * environment ("" or NAME=VALUE). needs is what has to run beside it. most is the greatest number
 * of frames that it is asked to hold; those of the kernel alone would take minutes for more, and
 * tell nothing that 512 do not. What follows X is handed through.
 *
 * jemalloc_tuned: what its manual has for speed: one arena, nothing goes back to the kernel,
 * caches per thread as large as they get and for all orders that we have. */
#ifndef BENCH_PEERS_SUBJECTS_H
#define BENCH_PEERS_SUBJECTS_H

#define SUBJECTS_TUNED                                                                             \
	"MALLOC_CONF=narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1,tcache_max:4194304,"            \
	"lg_tcache_nslots_mul:16,tcache_nslots_small_min:512,tcache_nslots_small_max:65534,"       \
	"tcache_nslots_large:256"

#define SUBJECTS(X, ...)                                                                           \
	X(paged, OURS, "paged", DAEMON, 65536, "", "libpageclient and its daemon", __VA_ARGS__)    \
	X(dpdk, PEER, "dpdk", NOTHING, 65536, "", "DPDK rte_mempool, a cache of 512", __VA_ARGS__) \
	X(tcmalloc, MALLOC, "tcmalloc", NOTHING, 65536, "", "tcmalloc_minimal", __VA_ARGS__)       \
	X(jemalloc, MALLOC, "jemalloc", NOTHING, 65536, "", "jemalloc", __VA_ARGS__)               \
	X(jemalloc_tuned, MALLOC, "jemalloc", NOTHING, 65536, SUBJECTS_TUNED, "jemalloc, tuned",   \
	  __VA_ARGS__)                                                                             \
	X(mimalloc, MALLOC, "mimalloc", NOTHING, 65536, "", "mimalloc", __VA_ARGS__)               \
	X(glibc, MALLOC, "glibc", NOTHING, 65536, "", "the C library's malloc", __VA_ARGS__)       \
	X(boost_pool, PEER, "boost_pool", NOTHING, 65536, "",                                      \
	  "Boost.Interprocess cached_adaptive_pool", __VA_ARGS__)                                  \
	X(boost_aligned, PEER, "boost", NOTHING, 65536, "", "Boost.Interprocess allocate_aligned", \
	  __VA_ARGS__)                                                                             \
	X(iceoryx, PEER, "iceoryx", ROUDI, 65536, "", "iceoryx loan and release", __VA_ARGS__)     \
	X(mmap, PEER, "mmap", NOTHING, 512, "", "mmap and munmap", __VA_ARGS__)                    \
	X(memfd, PEER, "memfd", NOTHING, 512, "", "a memfd, holes punched", __VA_ARGS__)           \
	X(stack, FLOOR, "stack", NOTHING, 65536, "", "an array with a top, in one process",        \
	  __VA_ARGS__)

#endif
