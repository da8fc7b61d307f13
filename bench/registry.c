/* bench/registry.c - every benchmark, once: --list, the run and the results follow this table. */
#include "bench/bench_attach.h"
#include "bench/bench_compact.h"
#include "bench/bench_core.h"
#include "bench/bench_death.h"
#include "bench/bench_fault.h"
#include "bench/bench_growth.h"
#include "bench/bench_metadata.h"
#include "bench/bench_pressure.h"
#include "bench/bench_purge.h"
#include "bench/bench_refill.h"
#include "bench/bench_restart.h"
#include "bench/bench_rpc.h"
#include "bench/bench_startup.h"
#include "bench/heap.h"

#include <string.h>

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

#define PRESSURE(name, thousandths, text)                                                          \
	{                                                                                          \
		name, "ns/call", text " that ask a daemon whose frames are all in caches",         \
			thousandths, BURST_LIFO, pressure_setup, pressure_run_percentile,          \
			pressure_teardown                                                          \
	}

#define GROWTH_OF(run, unit, axis, value, text)                                                    \
	{                                                                                          \
		GROWTH_PREFIX #run "_" #axis "_" #value, unit, text, value, BURST_LIFO,            \
			growth_setup_##axis, growth_run_##run, growth_teardown                     \
	}
#define GROWTH(axis, value, text)                                                                  \
	GROWTH_OF(pair, "ns/pair", axis, value, "processor time of a pair, " text),                \
		GROWTH_OF(refill, "ns/block", axis, value, "refill of 64 frames, " text)

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
	{"refill_new", "ns/frame", "the same for a new client, whose magazine grows six times", 64,
	 BURST_LIFO, refill_setup, refill_run_new, refill_teardown},
	{"core_refill", "ns/frame", "refills of 64 frames, in the core alone; processor time",
	 16384, BURST_LIFO, core_setup, core_run_refill, core_teardown},
	{"core_drain", "ns/frame", "frames in random order out of a magazine, in the core alone",
	 16384, BURST_LIFO, core_setup, core_run_drain, core_teardown},
	{"core_sweep", "ns/frame", "a dead client's 65536 frames, in the core alone", 65536,
	 BURST_LIFO, core_setup, core_run_sweep, core_teardown},
	{"rpc_roundtrip", "ns/call", "one Status request", 0, BURST_LIFO, rpc_setup, rpc_run,
	 rpc_teardown},
	{"raw_seqpacket_roundtrip", "ns/call", "packets of the same sizes between two processes", 0,
	 BURST_LIFO, raw_setup, raw_run, raw_teardown},
	{"attach", "ns/call", "pageclient_open and pageclient_close", 0, BURST_LIFO, attach_setup,
	 attach_run, attach_teardown},
	{"attach_1000th_ratio", "x", "the last 25 of 1000 clients that stay over the first 25",
	 1000, BURST_LIFO, attach_setup, attach_run_many, attach_teardown},
	{"startup_1G", "ns/start", "from exec of paged with size = 1G to its first Hello", 1,
	 BURST_LIFO, startup_setup, startup_run, startup_teardown},
	{"startup_1T", "ns/start", "the same with size = 1T", 1024, BURST_LIFO, startup_setup,
	 startup_run, startup_teardown},
	{"startup_ratio", "x", "1T over 1G, started in turns", 1024, BURST_LIFO, startup_setup,
	 startup_run_ratio, startup_teardown},
	{"metadata_1G", "B/frame", "META, STATE and CTL in use, all frames of 1 GiB held", 1,
	 BURST_LIFO, metadata_setup, metadata_run, metadata_teardown},
	{"metadata_16G", "B/frame", "the same of 16 GiB", 16, BURST_LIFO, metadata_setup,
	 metadata_run, metadata_teardown},
	{"metadata_map_16G", "B/frame", "mem_map alone", 16, BURST_LIFO, metadata_setup,
	 metadata_run_map, metadata_teardown},
	{"death_65536", "ns/frame", "from SIGKILL of an owner of 65536 frames until all are free",
	 65536, BURST_LIFO, death_setup, death_run, death_teardown},
	{"recovery_4Mi", "ns/recovery", "4 Mi frames in a million blocks, from cold to all lists",
	 0, BURST_LIFO, restart_setup, restart_run_recovery, restart_teardown},
	{"audit_4Mi", "ns/audit", "pagectl check of 4 Mi frames in a million blocks", 0, BURST_LIFO,
	 restart_setup, restart_run_audit, restart_teardown},
	{"restart_4Mi", "ns/restart",
	 "the same from SIGKILL of the server to its answer to a Hello", 0, BURST_LIFO,
	 restart_setup, restart_run_all, restart_teardown},
	{"pin_unpin", "ns/pair", "pin a purgeable frame that is there, unpin it", 1, BURST_LIFO,
	 pin_setup, pin_run, pin_teardown},
	{"fault_memfd", "ns/fault", "touch a page of a memfd after MADV_DONTNEED", 0, BURST_LIFO,
	 fault_setup, fault_run_unmapped, fault_teardown},
	{"fault_punched", "ns/fault", "touch a page of a memfd that was punched", 0, BURST_LIFO,
	 fault_setup, fault_run_punched, fault_teardown},
	{"fault_userfaultfd", "ns/fault", "touch a page that a thread then brings by UFFDIO_COPY",
	 0, BURST_LIFO, userfault_setup, userfault_run, userfault_teardown},
	{"purge", "ns/frame", "Reclaim of 65536 purgeable frames", 65536, BURST_LIFO, purge_setup,
	 purge_run_frames, purge_teardown},
	{"purge_1G", "ns/GiB", "Reclaim of 262144 purgeable frames", 262144, BURST_LIFO,
	 purge_setup, purge_run_all, purge_teardown},
	{"compact_order9", "ns/block", "a block of order 9 for which a run has to be purged", 0,
	 BURST_LIFO, compact_setup, compact_run_blocks, compact_teardown},
	{"compact_frame", "ns/frame", "the same for each frame that was purged", 0, BURST_LIFO,
	 compact_setup, compact_run_frames, compact_teardown},
	{"compact_success", "%", "of these requests those that got a block", 0, BURST_LIFO,
	 compact_setup, compact_run_success, compact_teardown},
	PRESSURE("alloc_under_pressure_p50", 500, "median of allocations"),
	PRESSURE("alloc_under_pressure_p99", 990, "99th percentile of allocations"),
	PRESSURE("alloc_under_pressure_p999", 999, "99.9th percentile of allocations"),
	{"status_p99", "ns/call", "99th percentile of Status requests to that daemon", 990,
	 BURST_LIFO, pressure_setup, pressure_run_status, pressure_teardown},
	{"alloc_under_pressure_ratio", "x", "that p99 in rpc_roundtrips of the same run", 990,
	 BURST_LIFO, pressure_setup, pressure_run_ratio, pressure_teardown},
	GROWTH(threads, 1, "one thread"),
	GROWTH(threads, 2, "2 threads"),
	GROWTH(threads, 4, "4 threads"),
	GROWTH(threads, 8, "8 threads"),
	GROWTH(clients, 1, "one client attached"),
	GROWTH(clients, 10, "10 clients attached"),
	GROWTH(clients, 100, "100 clients attached"),
	GROWTH(clients, 1000, "1000 clients attached"),
	GROWTH(segment, 1, "a segment of 1 GiB"),
	GROWTH(segment, 16, "a segment of 16 GiB"),
	GROWTH(segment, 1024, "a segment of 1 TiB"),
	GROWTH(order, 0, "blocks of one frame"),
	GROWTH(order, 1, "blocks of 2 frames"),
	GROWTH(order, 3, "blocks of 8 frames"),
	GROWTH(order, 6, "blocks of 64 frames"),
	GROWTH(order, 9, "blocks of 512 frames"),
};

const struct benchmark *registry_find(size_t index)
{
	return index < sizeof(benchmarks) / sizeof(benchmarks[0]) ? &benchmarks[index] : NULL;
}

bool registry_match(size_t index, const char *filter)
{
	const char *name = benchmarks[index].name;

	if (strncmp(name, GROWTH_PREFIX, strlen(GROWTH_PREFIX)) == 0 &&
	    strncmp(filter, GROWTH_PREFIX, strlen("growth")) != 0)
		return false;
	return strstr(name, filter) != NULL;
}
