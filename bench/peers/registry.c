/* bench/peers/registry.c - see registry.h. */
#include "bench/peers/registry.h"

#include "bench/bench_death.h"
#include "bench/bench_metadata.h"
#include "bench/bench_purge.h"
#include "bench/bench_refill.h"
#include "bench/bench_rpc.h"
#include "bench/bench_startup.h"
#include "bench/peers/contestant.h"
#include "bench/peers/crowd.h"
#include "bench/peers/get.h"
#include "bench/peers/spin.h"
#include "bench/peers/subjects.h"
#include "bench/peers/together.h"

#include <string.h>

#define SUBJECT_INDEX(name, role, program, needs, most, environment, what, ...) SUBJECT_##name,
enum subject_index { SUBJECTS(SUBJECT_INDEX, 0) NR_SUBJECTS };

#define SUBJECT_ROW(name, role, program, needs, most, environment, what, ...)                      \
	{#name, ROLE_##role, program, NEEDS_##needs, most, environment, what},
static const struct subject subjects[] = {SUBJECTS(SUBJECT_ROW, 0)};

/* A row of the heap: an entry for each subject. */
#define HEAP_ENTRY(name, role, program, needs, most, environment, what, row, text, n, kind, order, \
		   touch)                                                                          \
	{{row "/" #name, "ns/pair", text, n, BURST_LIFO, contestant_setup, contestant_run,         \
	  contestant_teardown},                                                                    \
	 &subjects[SUBJECT_##name],                                                                \
	 ROLE_##role,                                                                              \
	 PEER_##kind,                                                                              \
	 WORK_##order,                                                                             \
	 WORK_##touch},
#define HEAP(...) SUBJECTS(HEAP_ENTRY, __VA_ARGS__)

#define BURST(n)                                                                                   \
	HEAP("burst_" #n "_lifo", "alloc " #n ", free the last first", n, BURST, LIFO, PLAIN)      \
	HEAP("burst_" #n "_fifo", "alloc " #n ", free the first first", n, BURST, FIFO, PLAIN)     \
	HEAP("burst_" #n "_random", "alloc " #n ", free in random order", n, BURST, RANDOM, PLAIN) \
	HEAP("burst_" #n "_lifo_touch", "the same, a line of each written", n, BURST, LIFO, TOUCH) \
	HEAP("burst_" #n "_fifo_touch", "the same, a line of each written", n, BURST, FIFO, TOUCH) \
	HEAP("burst_" #n "_random_touch", "the same, a line of each written", n, BURST, RANDOM,    \
	     TOUCH)

/* Two of them at once. */
#define TOGETHER(name, role)                                                                       \
	{{"two_clients/" #name, "x", "hot_pair in two processes: total rate over one's", 1,        \
	  BURST_LIFO, together_setup, together_run, together_teardown},                            \
	 &subjects[SUBJECT_##name],                                                                \
	 ROLE_##role,                                                                              \
	 PEER_PAIR,                                                                                \
	 WORK_LIFO,                                                                                \
	 WORK_PLAIN},

/* Of the system: whoever there is to compare. */
#define SYSTEM(name, unit, role, text, n, setup, run, teardown)                                    \
	{{name, unit, text, n, BURST_LIFO, setup, run, teardown},                                  \
	 NULL,                                                                                     \
	 ROLE_##role,                                                                              \
	 PEER_PAIR,                                                                                \
	 WORK_LIFO,                                                                                \
	 WORK_PLAIN},

/* It takes the rows for a formula. */
/* clang-format off */
static const struct entry entries[] = {
	HEAP("hot_pair", "alloc one frame, free it", 1, PAIR, LIFO, PLAIN)
	BURST(64)
	BURST(512)
	BURST(4096)
	BURST(65536)
	HEAP("burst_4096_random_head", "the same, the first line of each written", 4096, BURST, RANDOM, HEAD)
	HEAP("churn_16384", "hold 16384 frames; free a random one, alloc one", 16384, CHURN, RANDOM, PLAIN)
	HEAP("churn_16384_touch", "the same, a line of each written", 16384, CHURN, RANDOM, TOUCH)
	HEAP("bulk_32", "32 frames per call; time per frame", 32, BULK, FIFO, PLAIN)
	HEAP("order9_pair", "alloc one block of 2 MiB, free it", 1, ORDER9, LIFO, PLAIN)
	HEAP("mixed_0_9", "hold 256 blocks of 4 KiB to 2 MiB; replace a random one", 256, MIXED, RANDOM, PLAIN)
	TOGETHER(paged, OURS)
	TOGETHER(dpdk, PEER)
	TOGETHER(tcmalloc, MALLOC)
	TOGETHER(jemalloc, MALLOC)
	TOGETHER(mimalloc, MALLOC)
	TOGETHER(glibc, MALLOC)
	TOGETHER(boost_pool, PEER)
	TOGETHER(stack, FLOOR)
	SYSTEM("refill_64/paged", "ns/frame", OURS, "64 frames into an empty magazine, the daemon awake", 64,
	       refill_setup, refill_run, refill_teardown)
	SYSTEM("roundtrip_across/paged", "ns/call", OURS, "one Status request, busy_poll = 0", 0,
	       rpc_no_poll_setup, rpc_run, rpc_teardown)
	SYSTEM("roundtrip_across/paged_busy_poll", "ns/call", OURS, "the same, busy_poll as it comes", 0,
	       rpc_setup, rpc_run, rpc_teardown)
	SYSTEM("roundtrip_across/raw_seqpacket", "ns/call", FLOOR, "packets of the same sizes between two processes", 0,
	       raw_setup, raw_run, raw_teardown)
	SYSTEM("roundtrip_across/shared_memory", "ns/call", FLOOR, "a word handed to and fro by two that spin", 0,
	       spin_setup, spin_run, spin_teardown)
	SYSTEM("roundtrip_one_core/paged", "ns/call", OURS, "one Status request, both on one CPU, busy_poll = 0", 0,
	       rpc_one_core_setup, rpc_run, rpc_one_core_teardown)
	SYSTEM("roundtrip_one_core/raw_seqpacket", "ns/call", FLOOR, "packets of the same sizes, both on one CPU", 0,
	       raw_one_core_setup, raw_run, raw_one_core_teardown)
	SYSTEM("cache_get/paged", "ns/get", OURS, "pin a purgeable frame of 4 KiB, unpin it", 1,
	       pin_setup, pin_run, pin_teardown)
	SYSTEM("cache_get/paged_copy", "ns/get", OURS, "pin it, copy it, unpin it", 1,
	       pin_setup, pin_run_copy, pin_teardown)
	SYSTEM("cache_get/redis", "ns/get", PEER, "GET of 4 KiB over a Unix socket, on one CPU", 0,
	       redis_setup, redis_run, redis_teardown)
	SYSTEM("cache_get/memcached", "ns/get", PEER, "get of 4 KiB over a Unix socket, on one CPU", 0,
	       memcached_setup, memcached_run, memcached_teardown)
	SYSTEM("metadata/paged", "bytes", OURS, "META, STATE and CTL per frame, one client holds 1 GiB", 1,
	       metadata_setup, metadata_run, metadata_teardown)
	SYSTEM("metadata/mem_map", "bytes", OURS, "the part of it that is mem_map", 1,
	       metadata_setup, metadata_run_map, metadata_teardown)
	SYSTEM("startup/1T", "ns/start", OURS, "from exec of paged with size = 1T to its first Hello", 1024,
	       startup_setup, startup_run, startup_teardown)
	SYSTEM("startup/1G", "ns/start", OURS, "the same with size = 1G", 1,
	       startup_setup, startup_run, startup_teardown)
	SYSTEM("death_65536/paged", "ns/frame", OURS, "from SIGKILL of an owner of 65536 frames until all are free", 65536,
	       death_setup, death_run, death_teardown)
	SYSTEM("attach/first", "ns/open", OURS, "pageclient_open, nobody else attached", 0,
	       crowd_setup, crowd_run, crowd_teardown)
	SYSTEM("attach/1000th", "ns/open", OURS, "pageclient_open, 999 others attached", 999,
	       crowd_setup, crowd_run, crowd_teardown)
};
/* clang-format on */

const struct subject *subject_find(size_t index)
{
	return index < NR_SUBJECTS ? &subjects[index] : NULL;
}

const struct benchmark *registry_find(size_t index)
{
	return index < sizeof(entries) / sizeof(entries[0]) ? &entries[index].benchmark : NULL;
}

/* Whoever is compared brings the row's own along: a ratio wants both. */
bool registry_match(size_t index, const char *filter)
{
	const char *name = entries[index].benchmark.name;
	size_t row_bytes = strcspn(name, "/") + 1;

	if (strstr(name, filter))
		return true;
	if (entries[index].role != ROLE_OURS)
		return false;
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const char *other = entries[i].benchmark.name;

		if (strncmp(other, name, row_bytes) == 0 && strstr(other, filter))
			return true;
	}
	return false;
}
