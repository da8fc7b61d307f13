/* daemon/host/machine.h - how short of memory the machine is, as seen from outside of the segment.
 *
 * Sources, all optional; one that is not there is logged once (debug) and never asked again:
 *
 *   /proc/pressure/memory       PSI of the machine, by two triggers in windows of 2 s, which need
 * no privilege: some 150 ms: MEDIUM; full 100 ms: CRITICAL memory.pressure             the same of
 * our own cgroup (v2); where it takes no trigger, and /proc where it takes none, it is read every 2
 * s memory.max, memory.high,    of our cgroup and all above it (headroom.h), every 2 s
 *   memory.limit_in_bytes
 *   $MEMORY_PRESSURE_WATCH      what the service manager wants watched in the place of our cgroup's
 *                               memory.pressure, as systemd's MEMORY_PRESSURE protocol has it: a
 * PSI file (POLLPRI), a FIFO or a socket (POLLIN; what comes is read and thrown away), into which
 * the bytes of $MEMORY_PRESSURE_WRITE (base64) are written first. An event means MEDIUM.
 * "/dev/null": no source is watched at all.
 *
 * An event counts for HOLD_NS from its arrival: triggers come at most once per window, and a level
 * that flickers between two windows tells nothing. The level is the highest of all sources.
 * One thread: the loop's. */
#ifndef DAEMON_HOST_MACHINE_H
#define DAEMON_HOST_MACHINE_H
#include "daemon/host/headroom.h"
#include "daemon/host/log.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

struct machine;

struct machine_options {
	const struct log *log;
	const char *proc;                /* "/proc" (a test gives another); NULL: not watched */
	const struct headroom *headroom; /* outlives the machine */
	const char *watch, *write;       /* of the environment, or NULL */
	/* The level has changed: enum session_level. Not from within machine_open(). */
	void (*on_level)(void *arg, uint32_t level);
	void *arg;
};

/* 0 or -errno. What cannot be watched is no error. */
int machine_open(uv_loop_t *loop, const struct machine_options *options,
		 struct machine **ret_machine);
/* on_level is not called any more; the memory goes when the loop has closed the handles. */
void machine_close(struct machine *machine);

/* --- machine_watch.c: what the service manager wants
 * ----------------------------------------------
 */

struct machine_watch {
	int fd;      /* -1: none */
	bool is_psi; /* a PSI file: wait for POLLPRI; else for POLLIN */
};
enum machine_watch_result { WATCH_NONE, WATCH_OFF, WATCH_OPEN, WATCH_FAILED };
/* FAILED: text says why. The descriptor is the caller's. */
enum machine_watch_result machine_watch_open(const char *watch, const char *write,
					     struct machine_watch *ret_watch, char *text,
					     size_t text_bytes);
/* Decodes base64 with padding into buffer. The number of bytes, or -EINVAL. */
ssize_t machine_decode(const char *text, unsigned char *buffer, size_t bytes);
/* "some avg10=... total=N\nfull ...": the totals in us. false: that is no PSI. */
bool machine_parse_psi(const char *text, uint64_t *ret_some_us, uint64_t *ret_full_us);

#endif
