/* daemon/host/headroom.h - may we take that much memory without somebody being killed for it?
 *
 * A tmpfs that is full says so. A cgroup that is full kills a process, most likely us: whoever
 * commits frames is charged for all of them. So before a commit the limits of our cgroup and of all
 * above it are compared with what they use, and `headroom` bytes are left free; the machine's
 * MemAvailable likewise. Page cache that the kernel would drop first (inactive_file) does not count
 * as used; it is only looked up when the rest says no.
 *
 * v1 (memory.limit_in_bytes) and v2 (memory.max) are found through /proc/self/cgroup and mountinfo
 * once; their files stay open, so that a check costs a few pread()s. headroom_check() writes
 * nothing and may run on several threads. */
#ifndef DAEMON_HOST_HEADROOM_H
#define DAEMON_HOST_HEADROOM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cgroups above each other. Deeper than any known nesting; more are not looked at. */
#define HEADROOM_MAX_LEVELS 32u
#define HEADROOM_PATH_BYTES 256u

struct headroom_level {
	int limit_fd, usage_fd, stat_fd;
	int high_fd;                    /* memory.high, -1: none */
	char path[HEADROOM_PATH_BYTES]; /* of the cgroup, from its hierarchy's root */
	const char *limit_name;         /* "memory.max" */
	const char *cache_name;         /* the line of memory.stat that counts as free */
};

/* For bytes below: 64 MiB, but of a cgroup's limit at most an eighth, so that a small cgroup has
 * room for frames, too. */
#define HEADROOM_AUTO UINT64_MAX

struct headroom {
	uint64_t bytes; /* to leave free */
	bool is_auto;
	int meminfo_fd;
	uint32_t nr_levels;
	struct headroom_level level[HEADROOM_MAX_LEVELS];
	char pressure_path[2 * HEADROOM_PATH_BYTES]; /* memory.pressure of ours (v2); "": none */
};

/* proc is "/proc" (a test gives another). What cannot be read is not a limit. */
void headroom_open(struct headroom *headroom, const char *proc, uint64_t bytes);
/* The same with one cgroup, whose files are in folder, in the place of ours: what a test, or an
 * administrator who knows better, shows us. v2 if it has a memory.max. */
void headroom_open_at(struct headroom *headroom, const char *proc, const char *folder,
		      uint64_t bytes);
void headroom_close(struct headroom *headroom);

/* Returns 0, or -ENOMEM with a text that names the limit that has no room for `bytes` more. */
int headroom_check(const struct headroom *headroom, uint64_t bytes, char *text, size_t text_bytes);
/* The same for what the daemon needs beside the frames, for which half of what they leave is. */
int headroom_check_own(const struct headroom *headroom, uint64_t bytes, char *text,
		       size_t text_bytes);

/* How close the cgroups are to their limits, as enum session_level. What is left below a memory.max
 * is measured in units of `headroom`, or of a sixteenth of the limit if that is less: below one
 * unit it is critical, below two medium, below four low. At memory.high, where the kernel begins
 * to slow us down, it is medium, within a unit of it low. text names the limit, if it is not 0. */
uint32_t headroom_shortage(const struct headroom *headroom, char *text, size_t text_bytes);

/* The smaller of RAM and the cgroups' limits: what `size = 25%` is a share of. */
uint64_t headroom_machine_bytes(const struct headroom *headroom);

/* The cgroup that pays; "" where there is none. */
const char *headroom_cgroup(const struct headroom *headroom);

#endif
