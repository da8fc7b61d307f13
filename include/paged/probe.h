/* paged/probe.h - static tracepoints: places in daemon and library where a tracer can look.
 *
 * A probe is a nop and a note in the ELF file (USDT, as SystemTap defined it), which bpftrace, perf
 * and gdb know. Nobody traces: the nop and what it takes to have its arguments at hand, which are
 * numbers that the code around it has anyway. No symbol, no call, no branch, so that the core stays
 * pure. Without sys/sdt.h (Debian: systemtap-sdt-dev) a build has none.
 *
 *	PAGED_PROBE(mm_page_free, client, pfn, order);
 *
 * Names and arguments are those of paged/probes.def, which a test compares with the built files.
 * Where the kernel has a tracepoint for the same thing it has that name; frames are pfns of the
 * segment, and clients their numbers. */
#ifndef PAGED_PROBE_H
#define PAGED_PROBE_H

#ifdef PAGED_USDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#ifdef __clang__ /* which finds fault with the macros of sys/sdt.h where they are used */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define PAGED_PROBE(name, ...) STAP_PROBEV(paged, name, __VA_ARGS__)
#define PAGECLIENT_PROBE(name, ...) STAP_PROBEV(pageclient, name, __VA_ARGS__)
#else
static inline void probe_ignore(int n, ...)
{
	(void)n;
}

#define PAGED_PROBE(name, ...) PROBE_NONE(__VA_ARGS__)
#define PAGECLIENT_PROBE(name, ...) PROBE_NONE(__VA_ARGS__)
#define PROBE_NONE(...)                                                                            \
	do {                                                                                       \
		if (0)                                                                             \
			probe_ignore(0, __VA_ARGS__);                                              \
	} while (0)
#endif

#endif
