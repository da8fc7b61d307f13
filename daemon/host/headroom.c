/* daemon/host/headroom.c - see headroom.h. */
#include "daemon/host/headroom.h"

#include "paged/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* HEADROOM_AUTO: so much, and no larger part of a cgroup's limit. Lower: what the daemon and the
 * kernel need beside the frames may meet the limit, which kills; higher: less for frames. */
#define AUTO_BYTES (UINT64_C(64) << 20)
#define AUTO_PART 8u
#define NO_LIMIT (UINT64_C(1) << 62) /* v1 writes "none" as a number close to 2^63 */

struct hierarchy { /* v1's memory controller, or v2 */
	bool v2;
	char path[PATH_MAX];  /* ours, from /proc/self/cgroup */
	char root[PATH_MAX];  /* what of the hierarchy is mounted */
	char mount[PATH_MAX]; /* and where; "" if it is not */
};

/* --- reading -------------------------------------------------------------------------------- */

static int open_file(const char *folder, const char *name)
{
	char path[2 * PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The whole of a small file as text; "" if it cannot be read. */
static void read_text(int fd, char *buffer, size_t bytes)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, buffer, bytes - 1, 0);

	buffer[n > 0 ? n : 0] = '\0';
}

static uint64_t read_number(int fd, uint64_t missing)
{
	char text[64];
	char *end;
	unsigned long long n;

	read_text(fd, text, sizeof(text));
	n = strtoull(text, &end, 10); /* "max" is no number */
	return end == text ? missing : n;
}

/* The number behind `name` at the start of a line, times unit. */
static uint64_t read_line_number(int fd, const char *name, uint64_t unit, uint64_t missing)
{
	char text[8192];
	size_t n = strlen(name);

	read_text(fd, text, sizeof(text));
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0)
			return strtoull(line + n, NULL, 10) * unit;
	}
	return missing;
}

/* --- finding the cgroup --------------------------------------------------------------------- */

/* Is `word` one of the words of list, separated by commas? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; *at; at += *at == ',') {
		size_t length = strcspn(at, ",\n");

		if (length == n && strncmp(at, word, n) == 0)
			return true;
		at += length;
		if (*at == '\n')
			return false;
	}
	return false;
}

/* A line of /proc/self/cgroup: "4:memory:/path" or "0::/path". */
static void find_path(FILE *file, struct hierarchy *hierarchy)
{
	char *line = NULL;
	size_t bytes = 0;

	while (getline(&line, &bytes, file) > 0) {
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		controllers++;
		path[strcspn(path, "\n")] = '\0';
		if (hierarchy->v2 ? *controllers == '\0' : has_word(controllers, "memory"))
			(void)snprintf(hierarchy->path, sizeof(hierarchy->path), "%s", path);
	}
	free(line);
}

/* mountinfo writes blanks, newlines and backslashes of a name as \ooo. In place. */
static void unescape(char *name)
{
	char *to = name;

	for (const char *at = name; *at; to++) {
		bool is_octal = at[0] == '\\' && strspn(at + 1, "01234567") >= 3;

		*to = *at;
		if (is_octal)
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
		at += is_octal ? 4 : 1;
	}
	*to = '\0';
}

/* A line of mountinfo: "id parent dev root mount options [tags] - type source super-options". */
static void find_mount_in_line(char *line, struct hierarchy *hierarchy)
{
	char *rest = strstr(line, " - ");
	char *root, *mount, *type, *save = NULL;

	if (!rest)
		return;
	*rest = '\0';
	(void)strtok_r(line, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	root = strtok_r(NULL, " ", &save);
	mount = strtok_r(NULL, " ", &save);
	type = strtok_r(rest + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	rest = strtok_r(NULL, " ", &save);
	if (!mount || !type || !rest)
		return;
	if (hierarchy->v2 ? strcmp(type, "cgroup2") == 0
			  : strcmp(type, "cgroup") == 0 && has_word(rest, "memory")) {
		unescape(root);
		unescape(mount);
		(void)snprintf(hierarchy->root, sizeof(hierarchy->root), "%s", root);
		(void)snprintf(hierarchy->mount, sizeof(hierarchy->mount), "%s", mount);
	}
}

static void find_mount(FILE *file, struct hierarchy *hierarchy)
{
	char *line = NULL;
	size_t bytes = 0;

	while (getline(&line, &bytes, file) > 0)
		find_mount_in_line(line, hierarchy);
	free(line);
}

/* Opens the level of the hierarchy at `path` below its mount, if it has limits. */
static void add_level(struct headroom *headroom, const struct hierarchy *hierarchy,
		      const char *path)
{
	struct headroom_level *level = &headroom->level[headroom->nr_levels];
	char folder[2 * PATH_MAX];

	if (headroom->nr_levels == HEADROOM_MAX_LEVELS)
		return;
	(void)snprintf(folder, sizeof(folder), "%s%s", hierarchy->mount, path);
	level->limit_name = hierarchy->v2 ? "memory.max" : "memory.limit_in_bytes";
	level->cache_name = hierarchy->v2 ? "inactive_file " : "total_inactive_file ";
	level->limit_fd = open_file(folder, level->limit_name);
	if (level->limit_fd < 0)
		return;
	level->usage_fd =
		open_file(folder, hierarchy->v2 ? "memory.current" : "memory.usage_in_bytes");
	level->stat_fd = open_file(folder, "memory.stat");
	level->high_fd = hierarchy->v2 ? open_file(folder, "memory.high") : -1;
	/* Shown in a sentence; a path that is too long is cut there. */
	(void)snprintf(level->path, sizeof(level->path), "%.*s", (int)sizeof(level->path) - 1,
		       *path ? path : "/");
	headroom->nr_levels++;
}

/* PSI is there without the memory controller, too. */
static void find_pressure(struct headroom *headroom, const struct hierarchy *hierarchy,
			  const char *path)
{
	int n = snprintf(headroom->pressure_path, sizeof(headroom->pressure_path),
			 "%s%s/memory.pressure", hierarchy->mount, path);

	if (n >= (int)sizeof(headroom->pressure_path))
		headroom->pressure_path[0] = '\0';
}

/* Our cgroup and all above it, the innermost first. */
static void add_levels(struct headroom *headroom, struct hierarchy *hierarchy)
{
	char *path = hierarchy->path;
	size_t n = strlen(hierarchy->root);

	/* Only a part of the hierarchy is mounted: that part is what we can see. */
	if (strcmp(hierarchy->root, "/") != 0 && strncmp(path, hierarchy->root, n) == 0 &&
	    (path[n] == '/' || path[n] == '\0'))
		path += n;
	else if (strcmp(hierarchy->root, "/") != 0)
		*path = '\0';
	if (strcmp(path, "/") == 0 || strcmp(path, "/..") == 0 || strncmp(path, "/../", 4) == 0)
		*path = '\0';
	if (hierarchy->v2)
		find_pressure(headroom, hierarchy, path);
	for (;;) {
		char *slash = strrchr(path, '/');

		add_level(headroom, hierarchy, path);
		if (!slash)
			return;
		*slash = '\0';
	}
}

static void open_hierarchy(struct headroom *headroom, const char *proc, bool v2)
{
	struct hierarchy hierarchy = {.v2 = v2};
	char name[PATH_MAX];
	FILE *file;

	(void)snprintf(name, sizeof(name), "%s/self/cgroup", proc);
	file = fopen(name, "re");
	if (file) {
		find_path(file, &hierarchy);
		(void)fclose(file);
	}
	(void)snprintf(name, sizeof(name), "%s/self/mountinfo", proc);
	file = fopen(name, "re");
	if (file) {
		find_mount(file, &hierarchy);
		(void)fclose(file);
	}
	if (hierarchy.path[0] && hierarchy.mount[0])
		add_levels(headroom, &hierarchy);
}

static void set_bytes(struct headroom *headroom, uint64_t bytes)
{
	headroom->is_auto = bytes == HEADROOM_AUTO;
	headroom->bytes = headroom->is_auto ? AUTO_BYTES : bytes;
}

void headroom_open(struct headroom *headroom, const char *proc, uint64_t bytes)
{
	memset(headroom, 0, sizeof(*headroom));
	set_bytes(headroom, bytes);
	headroom->meminfo_fd = open_file(proc, "meminfo");
	open_hierarchy(headroom, proc, false);
	open_hierarchy(headroom, proc, true);
}

void headroom_open_at(struct headroom *headroom, const char *proc, const char *folder,
		      uint64_t bytes)
{
	struct hierarchy hierarchy = {.v2 = true};
	int fd = open_file(folder, "memory.max");

	memset(headroom, 0, sizeof(*headroom));
	set_bytes(headroom, bytes);
	headroom->meminfo_fd = open_file(proc, "meminfo");
	hierarchy.v2 = fd >= 0;
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(hierarchy.mount, sizeof(hierarchy.mount), "%s", folder);
	add_level(headroom, &hierarchy, "");
	find_pressure(headroom, &hierarchy, "");
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void headroom_close(struct headroom *headroom)
{
	for (uint32_t i = 0; i < headroom->nr_levels; i++) {
		close_fd(headroom->level[i].limit_fd);
		close_fd(headroom->level[i].usage_fd);
		close_fd(headroom->level[i].stat_fd);
		close_fd(headroom->level[i].high_fd);
	}
	close_fd(headroom->meminfo_fd);
	headroom->nr_levels = 0;
	headroom->meminfo_fd = -1;
}

/* --- asking --------------------------------------------------------------------------------- */

static bool has_room(uint64_t limit, uint64_t used, uint64_t wanted)
{
	return used <= limit && wanted <= limit - used;
}

/* What is left free below a limit. */
static uint64_t kept_of(const struct headroom *headroom, uint64_t limit)
{
	return headroom->is_auto ? bits_min(headroom->bytes, limit / AUTO_PART) : headroom->bytes;
}

/* divisor: 1 for frames, 2 for what may take half of what they leave. */
static int check_level(const struct headroom *headroom, const struct headroom_level *level,
		       uint64_t bytes, uint64_t divisor, char *text, size_t text_bytes)
{
	uint64_t limit = read_number(level->limit_fd, NO_LIMIT);
	uint64_t kept = kept_of(headroom, limit) / divisor;
	uint64_t used, cache;

	if (limit >= NO_LIMIT)
		return 0;
	used = read_number(level->usage_fd, 0);
	if (has_room(limit, used, bytes + kept))
		return 0;
	cache = read_line_number(level->stat_fd, level->cache_name, 1, 0);
	used -= bits_min(used, cache);
	if (has_room(limit, used, bytes + kept))
		return 0;
	(void)snprintf(
		text, text_bytes,
		"no room for %lluK more: cgroup %.160s: %s %lluM, %lluM used, headroom %lluM",
		(unsigned long long)(bytes >> 10), level->path, level->limit_name,
		(unsigned long long)(limit >> 20), (unsigned long long)(used >> 20),
		(unsigned long long)(kept >> 20));
	return -ENOMEM;
}

static int check(const struct headroom *headroom, uint64_t bytes, uint64_t divisor, char *text,
		 size_t text_bytes)
{
	uint64_t available;

	for (uint32_t i = 0; i < headroom->nr_levels; i++) {
		int r = check_level(headroom, &headroom->level[i], bytes, divisor, text,
				    text_bytes);

		if (r)
			return r;
	}
	available = read_line_number(headroom->meminfo_fd, "MemAvailable:", 1024, NO_LIMIT);
	if (has_room(available, headroom->bytes / divisor, bytes))
		return 0;
	(void)snprintf(text, text_bytes,
		       "no room for %lluK more: machine: %lluM available, headroom %lluM",
		       (unsigned long long)(bytes >> 10), (unsigned long long)(available >> 20),
		       (unsigned long long)(headroom->bytes >> 20));
	return -ENOMEM;
}

int headroom_check(const struct headroom *headroom, uint64_t bytes, char *text, size_t text_bytes)
{
	return check(headroom, bytes, 1, text, text_bytes);
}

int headroom_check_own(const struct headroom *headroom, uint64_t bytes, char *text,
		       size_t text_bytes)
{
	return check(headroom, bytes, 2, text, text_bytes);
}

/* --- how close it is ------------------------------------------------------------------------ */

static uint64_t unit_of(const struct headroom *headroom, uint64_t limit)
{
	return bits_max(bits_min(headroom->bytes, limit / 16), 1);
}

/* Units that are left below the limit, at most 4; without asking for what the kernel would drop
 * first if there is enough without it. */
static uint64_t units_left(const struct headroom *headroom, const struct headroom_level *level,
			   uint64_t limit)
{
	uint64_t used = read_number(level->usage_fd, 0), unit = unit_of(headroom, limit);

	if (!has_room(limit, used, 4 * unit))
		used -= bits_min(used, read_line_number(level->stat_fd, level->cache_name, 1, 0));
	return limit > used ? bits_min((limit - used) / unit, 4) : 0;
}

/* As of enum session_level: 0 to 3. */
static uint32_t level_shortage(const struct headroom *headroom, const struct headroom_level *level,
			       uint64_t *ret_limit, const char **ret_name)
{
	static const uint32_t of_units[5] = {3, 2, 1, 1, 0};
	uint64_t max = read_number(level->limit_fd, NO_LIMIT);
	uint64_t high = read_number(level->high_fd, NO_LIMIT);
	uint32_t of_max = max < NO_LIMIT ? of_units[units_left(headroom, level, max)] : 0;
	uint32_t of_high = 0;

	if (high < NO_LIMIT) {
		uint64_t used = read_number(level->usage_fd, 0);

		of_high = used >= high ? 2 : has_room(high, used, unit_of(headroom, high)) ? 0 : 1;
	}
	*ret_limit = of_high > of_max ? high : max;
	*ret_name = of_high > of_max ? "memory.high" : level->limit_name;
	return (uint32_t)bits_max(of_max, of_high);
}

uint32_t headroom_shortage(const struct headroom *headroom, char *text, size_t text_bytes)
{
	static const char *const words[] = {"", "low", "medium", "critical"};
	uint32_t worst = 0;

	for (uint32_t i = 0; i < headroom->nr_levels; i++) {
		const struct headroom_level *level = &headroom->level[i];
		const char *name;
		uint64_t limit;
		uint32_t n = level_shortage(headroom, level, &limit, &name);

		if (n <= worst)
			continue;
		worst = n;
		(void)snprintf(text, text_bytes,
			       "memory pressure is %s: cgroup %.160s is close to "
			       "its %s of %lluM",
			       words[n], level->path, name, (unsigned long long)(limit >> 20));
	}
	return worst;
}

uint64_t headroom_machine_bytes(const struct headroom *headroom)
{
	uint64_t bytes = read_line_number(headroom->meminfo_fd, "MemTotal:", 1024, 0);

	if (bytes == 0)
		bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	for (uint32_t i = 0; i < headroom->nr_levels; i++)
		bytes = bits_min(bytes, read_number(headroom->level[i].limit_fd, NO_LIMIT));
	return bytes;
}

const char *headroom_cgroup(const struct headroom *headroom)
{
	return headroom->nr_levels ? headroom->level[0].path : "";
}
