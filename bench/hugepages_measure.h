/* bench/hugepages_measure.h - what the pages behind the frames cost a process that comes to them.
 *
 *   parent                                        child
 *   a daemon of the mode
 *   takes all frames, writes a word of each  -->  attaches, reads a word of each: the first touch
 *                                                 once more, in the same order:   all is mapped
 *                                                 VmPTE before and after:         its page tables
 *
 * The child's mapping is its own: it is forked before the parent has one. Frames are touched in
 * random order, as programs meet them. */
#ifndef BENCH_HUGEPAGES_MEASURE_H
#define BENCH_HUGEPAGES_MEASURE_H
#include "bench/fixture.h"

#include <stdbool.h>

struct hugepages_mode {
	const char *name;
	const char *what;
	const char *configuration; /* behind the size */
};

struct hugepages_result {
	uint64_t nr_frames;   /* touched */
	uint64_t table_bytes; /* page tables that the child needed more */
	double own_ns;        /* per frame: the first process takes it and writes a word of it */
	double first_ns;      /* per frame: the second process's first touch */
	double again_ns;      /* per frame: its second */
	bool is_huge;         /* all that the daemon committed was */
	bool is_reserved;     /* of hugetlb */
	char advice[256];     /* if not: what to set */
};

/* 0, or -errno with a sentence in text. */
int hugepages_measure(const char *paged, const struct hugepages_mode *mode, uint64_t size_bytes,
		      struct hugepages_result *ret_result, char *text, size_t text_bytes);

#endif
