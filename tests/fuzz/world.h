/* tests/fuzz/world.h - a world that is built once and costs microseconds to have again.
 *
 * A daemon's tables are 60 MiB of address space of which a run touches some hundred pages. So the
 * fixtures are opened once per process, in memory that is a private mapping of nameless files:
 * whatever a run stores goes to copies of pages, and dropping the copies (MADV_DONTNEED) brings the
 * start back. Nothing is built again and nothing is compared; the cost is one page fault for each
 * page that a run writes.
 *
 * All memory of the fixtures comes from here (fixture_memory_new). It ends where its mapping ends,
 * with more behind it than a wrong pfn reaches, none of which may be touched: the sanitizers see
 * what is wrong inside of an object, the hardware sees the rest. What a run frees may not be
 * touched again either.
 *
 * One world per process: libFuzzer's entry has no argument that could carry it. */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H
#include <stddef.h>

/* All that was taken until now, with what is in it, is the start. Once. */
void world_keep(void);
/* Back to the start: kept memory holds what it held, what a run took is gone. */
void world_reset(void);

/* The file behind kept memory whose size is a multiple of a page; it stays the world's. Bytes that
 * are written to it are seen in the memory wherever the run has not stored to that page yet. */
int world_file(const void *memory);

#endif
