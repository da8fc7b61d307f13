/* daemon/host/config.h - every key of the configuration, once.
 *
 * CONFIG_KEYS is the only list: it makes the enum, the table that the parser follows, the output of
 * --check-config and packaging/paged.conf, which a test compares with it. A value is kept as the
 * text that was written and as what it means.
 *
 * Files. The system instance reads /etc/paged/paged.conf, or if there is none the shipped
 * /usr/lib/paged/paged.conf; then the *.conf of the folders paged.conf.d beside both, sorted by
 * name. What is read later wins. Of two drop-ins with one name only that of /etc counts, and an
 * empty one, or a link to /dev/null, masks the other. Between the two stands /usr/local/lib/paged,
 * where what is shipped lies after an installation from source. `--config FILE` reads FILE and
 * FILE.d/ *.conf instead. A user's or private instance reads none without --config: what an
 * administrator says of the system's socket is not theirs.
 *
 * Errors are collected, not just the first: `file:line: section.key: what is wrong; what would be
 * right`. A key that the design names and this version has no effect for is an error too: nobody
 * shall believe that it works. */
#ifndef DAEMON_HOST_CONFIG_H
#define DAEMON_HOST_CONFIG_H
#include "daemon/session/session.h"
#include "shm/layout.h"

#include <stdbool.h>
#include <stdio.h>

#define CONFIG_TEXT_BYTES 128u /* of a value; a socket path has at most 107 */
#define CONFIG_FILE_BYTES 256u
#define CONFIG_ERROR_BYTES 512u
#define CONFIG_MAX_ERRORS 32u /* more are only counted */
#define CONFIG_MAX_FILES 64u  /* drop-ins of one folder; more are an error */

enum config_type {
	CONFIG_SIZE,   /* 512M, 1G, 4096; n in bytes */
	CONFIG_NUMBER, /* low to high */
	CONFIG_MS,     /* 1000, 500ms, 2s; n in ms, low to high */
	CONFIG_US,     /* 20, 20us, 1ms; n in us, low to high */
	CONFIG_CHOICE, /* one of choices, separated by '|'; n is its place */
	CONFIG_MODE,   /* octal */
	CONFIG_PATH,   /* absolute, at most high bytes */
	CONFIG_TEXT,
};

enum {                               /* what a key takes beside its type */
       CONFIG_MAY_AUTO = 1u << 0,    /* "auto" */
       CONFIG_MAY_NONE = 1u << 1,    /* "none", which is 0 */
       CONFIG_MAY_PERCENT = 1u << 2, /* 25%, of what its help says */
       CONFIG_MAY_ZERO = 1u << 3,    /* a size of 0 */
       CONFIG_MAY_NEVER = 1u << 5,   /* "never", which is 0 */
       CONFIG_LIVE = 1u << 4,        /* SIGHUP changes it in a running daemon */
};

/* X(section, key, type, default, low, high, choices, flags, help) */
#define CONFIG_KEYS(X)                                                                             \
	X(segment, size, SIZE, "auto", 0, 0, "", CONFIG_MAY_AUTO | CONFIG_MAY_PERCENT,             \
	  "Frames of this instance: 512M, 4G, or a share of the smaller of RAM and the cgroup's "  \
	  "limit. auto is 25%. Used memory grows with what is allocated.")                         \
	X(segment, size_max, SIZE, "none", 0, 0, "", CONFIG_MAY_NONE | CONFIG_MAY_PERCENT,         \
	  "How far pagectl resize may go: a size, or a share as size. It costs address space and " \
	  "no memory. none: as size.")                                                             \
	X(segment, page_size, CHOICE, "4K", 0, 0, "4K|16K|64K", 0, "Size of a frame.")             \
	X(segment, backing, CHOICE, "auto", 0, 0, "auto|posix|memfd", 0,                           \
	  "posix: named files in /dev/shm, which outlive the daemon. memfd: nameless and sealed. " \
	  "auto: posix, and memfd where /dev/shm cannot hold the segment.")                        \
	X(segment, hugepages, CHOICE, "auto", 0, 0, "never|auto|always", 0,                        \
	  "auto: huge pages where the kernel gives them to who asks. always: made huge as they "   \
	  "are committed; with backing = memfd of reserved ones (vm.nr_hugepages) if they "        \
	  "suffice. never: small ones.")                                                           \
	X(segment, commit, CHOICE, "lazy", 0, 0, "lazy|full", 0,                                   \
	  "lazy: memory is taken as frames are used. full: all of it at the start, or no start.")  \
	X(segment, headroom, SIZE, "auto", 0, 0, "", CONFIG_MAY_ZERO | CONFIG_MAY_AUTO,            \
	  "Memory of the cgroup and the machine that is left free at every commit. auto: 64M, "    \
	  "but "                                                                                   \
	  "of a cgroup's limit at most an eighth.")                                                \
	X(socket, path, PATH, "auto", 0, 107, "", CONFIG_MAY_AUTO,                                 \
	  "Where clients connect; at most 107 bytes. auto: paged.sock in the runtime directory.")  \
	X(socket, group, TEXT, "none", 0, 0, "", CONFIG_MAY_NONE,                                  \
	  "Group of the socket, as a name or a number.")                                           \
	X(socket, pressure, PATH, "auto", 0, 107, "", CONFIG_MAY_AUTO | CONFIG_MAY_NONE,           \
	  "Where programs subscribe to the segment's pressure; at most 107 bytes. auto: "          \
	  "pressure.sock in the runtime directory. Group and mode are the socket's.")              \
	X(socket, mode, MODE, "0660", 0, 0777, "", 0,                                              \
	  "Mode of the socket: who may connect. All clients can read and write all frames.")       \
	X(pcp, batch, NUMBER, "auto", 1, 4096, "", CONFIG_MAY_AUTO,                                \
	  "Frames of a first refill. auto: by the kernel's formula, 63 from 1 GiB on.")            \
	X(pcp, busy_poll, US, "auto", 0, 10000, "", CONFIG_MAY_AUTO,                               \
	  "How long the daemon and its clients look for each other before they sleep, at most. "   \
	  "auto: 50us where there is more than one CPU. 0: never, and no refills ahead of need.")  \
	X(reclaim, min_free, SIZE, "auto", 0, 0, "", CONFIG_MAY_AUTO | CONFIG_MAY_PERCENT,         \
	  "Below this free memory allocations wait for reclaim. A size or percent of the "         \
	  "segment, at most half of it. auto: by the kernel's formula.")                           \
	X(reclaim, watermark_scale, NUMBER, "10", 1, 3000, "", 0,                                  \
	  "Distance between the watermarks, in 1/10000 of a zone.")                                \
	X(reclaim, deadline, MS, "1000ms", 1, 600000, "", CONFIG_LIVE,                             \
	  "How long a client's cache may take to answer a request to shrink.")                     \
	X(reclaim, breaker, MS, "1000ms", 1, 60000, "", CONFIG_LIVE,                               \
	  "How long a cache is left alone after three missed deadlines; doubles up to 60s.")       \
	X(reclaim, give_back_after, MS, "5000ms", 100, 3600000, "",                                \
	  CONFIG_MAY_NEVER | CONFIG_LIVE,                                                          \
	  "While the machine is short of memory, free memory that was not needed for so long is "  \
	  "given back to it.")                                                                     \
	X(reclaim, cgroup_root, PATH, "auto", 0, 107, "", CONFIG_MAY_AUTO,                         \
	  "Folder with the files of the cgroup whose limits and pressure count. auto: our own, "   \
	  "all above it, and the machine.")                                                        \
	X(limits, connections, NUMBER, "none", 1, 2048, "", CONFIG_MAY_NONE | CONFIG_LIVE,         \
	  "Connections of one user at a time, whoever it is. none: as many as leave some to "      \
	  "others, 1993 for one that is alone.")                                                   \
	X(limits, handshakes, NUMBER, "64", 1, 2048, "", CONFIG_LIVE,                              \
	  "Connections that have not said Hello yet.")                                             \
	X(limits, queue, SIZE, "256K", 65536, UINT64_C(1) << 30, "", 0,                            \
	  "Bytes queued for a client that does not read; then its connection ends.")               \
	X(limits, client_max, SIZE, "none", 0, 0, "",                                              \
	  CONFIG_MAY_NONE | CONFIG_MAY_PERCENT | CONFIG_LIVE,                                      \
	  "What one client may hold: a size or percent of the segment.")

enum config_key {
#define X(section, key, type, text, low, high, choices, flags, help) CONFIG_##section##_##key,
	CONFIG_KEYS(X)
#undef X
		CONFIG_NR_KEYS
};

enum config_kind { CONFIG_IS_NUMBER, CONFIG_IS_AUTO, CONFIG_IS_NONE, CONFIG_IS_PERCENT };

struct config_value {
	enum config_kind kind;
	uint64_t n;
	char text[CONFIG_TEXT_BYTES];
	char file[CONFIG_FILE_BYTES]; /* "" for a default */
	uint32_t line;
};

/* [zone NAME] size: zones in the order of the files; what is left behind the last is a zone
 * "normal". */
struct config_zone {
	char name[SHM_NAME_BYTES];
	struct config_value size; /* a number or percent of the segment */
	struct config_value node, fallback, reserve;
};
#define CONFIG_MAX_ZONES (SHM_MAX_ZONES - 1u)

/* X(key, bit of limits_rule.given, type, high, flags): keys of [client MATCH]. */
#define CONFIG_CLIENT_KEYS(X)                                                                      \
	X(min, SHM_SET_MIN, SIZE, 0, CONFIG_MAY_PERCENT | CONFIG_MAY_NONE | CONFIG_MAY_ZERO)       \
	X(low, SHM_SET_LOW, SIZE, 0, CONFIG_MAY_PERCENT | CONFIG_MAY_NONE | CONFIG_MAY_ZERO)       \
	X(high, SHM_SET_HIGH, SIZE, 0, CONFIG_MAY_PERCENT | CONFIG_MAY_NONE)                       \
	X(max, SHM_SET_MAX, SIZE, 0, CONFIG_MAY_PERCENT | CONFIG_MAY_NONE)                         \
	X(weight, SHM_SET_WEIGHT, NUMBER, 10000, CONFIG_MAY_NONE)                                  \
	X(zone, SHM_SET_ZONE, TEXT, 0, 0)                                                          \
	X(access, RULE_GIVES_ACCESS, CHOICE, 0, 0)
enum config_client_key {
#define X(key, bit, type, high, flags) CONFIG_CLIENT_##key,
	CONFIG_CLIENT_KEYS(X)
#undef X
		CONFIG_NR_CLIENT_KEYS
};
struct config_client {
	char match[CONFIG_TEXT_BYTES];
	char file[CONFIG_FILE_BYTES];
	uint32_t line;
	struct limits_rule rule; /* its criteria; the rest is config_rules()' */
	struct config_value value[CONFIG_NR_CLIENT_KEYS];
};
#define CONFIG_MAX_CLIENTS SESSION_MAX_RULES

struct config {
	struct config_client client[CONFIG_MAX_CLIENTS];
	uint32_t nr_clients;
	bool client_is_open; /* keys belong to the last of them */
	struct config_value value[CONFIG_NR_KEYS];
	/* Of a running daemon: what was read since for the next start; text "": the same. */
	struct config_value next[CONFIG_NR_KEYS];
	struct config_zone zone[CONFIG_MAX_ZONES];
	uint32_t nr_zones;
	uint32_t nr_files; /* that were read */
};

struct config_errors {
	uint32_t n; /* may be more than are kept */
	char text[CONFIG_MAX_ERRORS][CONFIG_ERROR_BYTES];
};

struct config_info {
	const char *section, *key, *text, *choices, *help;
	enum config_type type;
	uint64_t low, high;
	uint32_t flags;
};
const struct config_info *config_info(enum config_key key);

/* Fills config with the defaults. */
void config_init(struct config *config);

/* Reads one file (it has to exist), or the system's files below root ("" but in tests) where they
 * exist. Errors are added; the rest is read all the same. config is fit for use only if errors->n
 * is 0 afterwards. */
void config_read(struct config *config, const char *file, struct config_errors *errors);
void config_read_system(struct config *config, const char *root, struct config_errors *errors);
/* /etc/paged/NAME.conf and NAME.conf.d/ *.conf, where they exist: what one of several instances of
 * the system has beside that. */
void config_read_instance(struct config *config, const char *name, struct config_errors *errors);

/* The segment's size in bytes, whole pageblocks, of a machine or cgroup with machine_bytes. Adds to
 * errors if what was asked for is less than a pageblock, or 2^32 frames or more. */
uint64_t config_segment_bytes(const struct config *config, uint64_t machine_bytes,
			      struct config_errors *errors);

/* The same for size_max: the size itself if there is none. Adds to errors if it is less. */
uint64_t config_segment_max_bytes(const struct config *config, uint64_t machine_bytes,
				  uint64_t segment_bytes, struct config_errors *errors);

/* Checks what can be told only once all is read and the segment's size is known: that the zones and
 * shares fit into it. Adds to errors. */
void config_check_sizes(const struct config *config, uint64_t segment_bytes,
			struct config_errors *errors);

#define CONFIG_RANGE_BYTES 64u
/* "64K to 1G": what a number, a time or a size may be, in the largest units that fit; "" where
 * there is no limit. */
void config_range(const struct config_info *info, char ret_range[CONFIG_RANGE_BYTES]);

/* A size or share of `whole`, in bytes; 0 for auto and none. */
uint64_t config_bytes(const struct config_value *value, uint64_t whole);

/* Bytes of a frame. */
uint64_t config_page_size(const struct config *config);

/* What values mean here: the segment as it is, and the files in use. */
struct config_facts {
	uint64_t segment_bytes, max_bytes;
	uint32_t batch, busy_poll_us;
	const char *backing, *socket, *pressure; /* NULL: not known */
};

/* config_lines.c: config as lines for Config (message.h), in *ret_config->line, which is the
 * caller's to free(). Without memory there are none. */
void config_lines(const struct config *config, const struct config_facts *facts, uint32_t serial,
		  struct session_config *ret_config);
void config_free_lines(struct session_config *config);
/* A key of a zone or a client section by its number, NULL behind the last; *ret_value is its value
 * there. */
const struct config_info *config_zone_key(const struct config *config, uint32_t zone, uint32_t key,
					  const struct config_value **ret_value);
const struct config_info *config_client_key(const struct config *config, uint32_t client,
					    uint32_t key, const struct config_value **ret_value);

/* Writes config as a file that says the same: each key with its meaning, defaults commented out. */
void config_print(const struct config *config, FILE *file);

/* Adds `file:line: what.name: problem`; parts that are "" or 0 are left out. */
__attribute__((format(printf, 6, 7))) void config_error(struct config_errors *errors,
							const char *file, uint32_t line,
							const char *section, const char *key,
							const char *format, ...);

/* config_value.c: reads text as `info` says. Returns 0, or 1 with a sentence in problem. */
int config_parse(const struct config_info *info, const char *text, struct config_value *ret_value,
		 char *problem, size_t problem_bytes);

/* The same into a value of a section, with where it stands; what is wrong is an error. */
void config_set_value(const struct config_info *info, struct config_value *value, const char *file,
		      uint32_t line, const char *section, const char *text,
		      struct config_errors *errors);

/* config_zone.c: the same for sections [zone NAME]; checks; what the pool is told of zone i beside
 * its size; do both say the same of zones? */
void config_set_zone(struct config *config, const char *file, uint32_t line, const char *section,
		     const char *key, const char *text, struct config_errors *errors);
void config_check_zones(const struct config *config, uint64_t segment_bytes,
			struct config_errors *errors);
void config_plan_zone(const struct config *config, uint32_t i, struct pool_zone_options *ret_zone);
bool config_same_zones(const struct config *a, const struct config *b);
void config_print_zones(const struct config *config, FILE *file);

/* config_client.c: as config_set() for sections [client MATCH]; checks; what the session is told;
 * what changed with a reload. */
void config_set_client(struct config *config, const char *file, uint32_t line, const char *section,
		       const char *key, const char *text, struct config_errors *errors);
void config_check_clients(const struct config *config, uint64_t segment_bytes,
			  struct config_errors *errors);
void config_rules(const struct config *config, uint64_t segment_bytes, uint32_t page_shift,
		  struct session_limits *limits);
bool config_same_clients(const struct config *a, const struct config *b);
void config_take_clients(struct config *config, const struct config *from);
void config_print_clients(const struct config *config, FILE *file);

/* config.c: one `key = value` of a file; a section without keys is announced with key NULL. */
void config_set(struct config *config, const char *file, uint32_t line, const char *section,
		const char *key, const char *text, struct config_errors *errors);

#endif
