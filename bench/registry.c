/* bench/registry.c - every benchmark, once: --list, the run and the results follow this table. */
#include "bench/bench_attach.h"
#include "bench/bench_death.h"
#include "bench/bench_refill.h"
#include "bench/bench_rpc.h"
#include "bench/bench_startup.h"
#include "bench/heap.h"

#define HEAP(function) heap_setup, function, heap_teardown
#define BURST(n, suffix, order, text)                                                              \
	{                                                                                          \
		"burst_" #n "_" #suffix, "ns/pair", "alloc " #n " frames, free them " text, n,     \
			order, HEAP(heap_run_burst)                                                \
	}
#define BURSTS(n)                                                                                  \
	BURST(n, lifo, BURST_LIFO, "last first"), BURST(n, fifo, BURST_FIFO, "first first"),       \
		BURST(n, rand, BURST_RAND, "in random order"),                                     \
		BURST(n, rand_touch, BURST_RAND_TOUCH, "in random order; write a line of each")

static const struct benchmark benchmarks[] = {
	{"hot_pair", "ns/pair", "alloc one frame, free it", 1, BURST_LIFO, HEAP(heap_run_pair)},
	BURSTS(64),
	BURSTS(512),
	BURSTS(4096),
	BURSTS(65536),
	{"churn_16384", "ns/pair", "hold 16384 frames; free a random one, alloc one", 16384,
	 BURST_RAND, HEAP(heap_run_churn)},
	{"bulk_32", "ns/pair", "32 frames per call; time per frame", 32, BURST_FIFO,
	 HEAP(heap_run_bulk)},
	{"order9_pair", "ns/pair", "alloc one block of 512 frames, free it", 1, BURST_LIFO,
	 HEAP(heap_run_order9)},
	{"mixed_0_9", "ns/pair", "hold 256 blocks, order k as often as 2^-k; replace a random one",
	 256, BURST_RAND, HEAP(heap_run_mixed)},
	{"refill", "ns/frame", "64 frames into an empty magazine, the daemon awake", 64, BURST_LIFO,
	 refill_setup, refill_run, refill_teardown},
	{"rpc_roundtrip", "ns/call", "one Status request", 0, BURST_LIFO, rpc_setup, rpc_run,
	 rpc_teardown},
	{"raw_seqpacket_roundtrip", "ns/call", "packets of the same sizes between two processes", 0,
	 BURST_LIFO, raw_setup, raw_run, raw_teardown},
	{"attach", "ns/call", "pageclient_open and pageclient_close", 0, BURST_LIFO, attach_setup,
	 attach_run, attach_teardown},
	{"startup_1T", "ns/start", "from exec of paged with size = 1T to its first Hello", 0,
	 BURST_LIFO, startup_setup, startup_run, startup_teardown},
	{"death_65536", "ns/frame", "from SIGKILL of an owner of 65536 frames until all are free",
	 65536, BURST_LIFO, death_setup, death_run, death_teardown},
};

const struct benchmark *registry_find(size_t index)
{
	return index < sizeof(benchmarks) / sizeof(benchmarks[0]) ? &benchmarks[index] : NULL;
}
