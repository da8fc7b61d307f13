/* bench/bench_metadata.c - see bench_metadata.h.
 *
 * The files are found among the server's descriptors and asked for their blocks, so that the figure
 * is the kernel's and not the daemon's own. */
#include "bench/bench_metadata.h"

#include "bench/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Beside the segment itself. Lower: the machine swaps or kills. */
#define SPARE_BYTES (UINT64_C(2) << 30)
/* So that one run is as long as a run has to be: the result is a quotient. */
#define SCALE UINT64_C(1000)

/* --- is there room? ------------------------------------------------------------------------- */

static uint64_t available_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		(void)fclose(file);
	return (uint64_t)kib << 10;
}

static int check_room(struct bench *bench, uint64_t bytes)
{
	struct statvfs fs;
	uint64_t room = available_bytes();

	if (statvfs("/dev/shm", &fs) == 0 && fs.f_bavail && fs.f_bavail * fs.f_frsize < room)
		room = fs.f_bavail * fs.f_frsize;
	return room >= bytes + SPARE_BYTES
		       ? 0
		       : bench_fail(bench, -EOPNOTSUPP, "%llu MiB of memory are not to be had",
				    (unsigned long long)((bytes + SPARE_BYTES) >> 20));
}

/* --- measuring ------------------------------------------------------------------------------ */

/* Is it META, STATE or a CTL? META is there twice. */
static bool is_metadata(int folder, const char *name, bool *meta_seen)
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(folder, name, link, sizeof(link) - 1);
	bool is_meta;

	link[n > 0 ? n : 0] = '\0';
	if (!strstr(link, "paged-"))
		return false;
	is_meta = strstr(link, "-meta") != NULL;
	if (is_meta && *meta_seen)
		return false;
	*meta_seen |= is_meta;
	return is_meta || strstr(link, "-state") || strstr(link, "paged-ctl-");
}

static int count_bytes(struct bench *bench, uint32_t server, uint64_t *ret_bytes)
{
	char path[64];
	struct dirent *entry;
	bool meta_seen = false;
	uint64_t bytes = 0;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%u/fd", server);
	directory = opendir(path);
	if (!directory)
		return bench_fail(bench, -errno, "the server's descriptors: %s", strerror(errno));
	while ((entry = readdir(directory)) != NULL) {
		struct stat st;

		if (is_metadata(dirfd(directory), entry->d_name, &meta_seen) &&
		    fstatat(dirfd(directory), entry->d_name, &st, 0) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	(void)closedir(directory);
	*ret_bytes = bytes;
	return bytes ? 0 : bench_fail(bench, -ENOENT, "the server has no segment");
}

/* All frames that the daemon gives; what it keeps below its watermark is not to be had. */
static int hold_all(struct bench *bench, const struct fixture *fixture, const struct shm_view *view,
		    struct metadata_seen *seen)
{
	uint64_t n = 0;
	pageclient *client;
	int r = bench_open_client(bench, fixture, &client);

	if (r < 0)
		return r;
	while (pageclient_alloc(client, 0, 0))
		n++;
	if (n + view->zones[0].watermark_high < view->header->nr_frames)
		r = bench_fail(bench, -ENOMEM, "only %llu of %u frames were to be had: %s",
			       (unsigned long long)n, view->header->nr_frames, pageclient_error());
	if (r == 0)
		r = count_bytes(bench, view->header->daemon_pid, &seen->bytes);
	seen->frames = view->header->nr_frames;
	seen->map_bytes = view->header->map_used_bytes;
	pageclient_close(client);
	return r;
}

static int measure(struct bench *bench, uint32_t gibibytes, struct metadata_seen *ret_seen)
{
	struct metadata_seen seen = {.gibibytes = gibibytes};
	char configuration[64];
	struct fixture fixture;
	struct shm_view view;
	int r = check_room(bench, (uint64_t)gibibytes << 30);

	(void)snprintf(configuration, sizeof(configuration), "[segment]\nsize = %uG\n", gibibytes);
	if (r == 0)
		r = bench_start_daemon(bench, configuration, &fixture);
	if (r < 0)
		return r;
	r = meta_attach(bench, &fixture, &view);
	if (r == 0) {
		r = hold_all(bench, &fixture, &view, &seen);
		shm_view_detach(&view);
	}
	fixture_stop(&fixture);
	if (r == 0)
		*ret_seen = seen;
	return r;
}

/* --- the hooks ------------------------------------------------------------------------------ */

int metadata_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct metadata_seen *seen = bench->metadata;
	int r = 0;

	while (seen->gibibytes && seen->gibibytes != benchmark->n_frames)
		seen++;
	if (seen == bench->metadata + BENCH_METADATA_SIZES)
		return bench_fail(bench, -ENOSPC, "too many sizes");
	if (seen->gibibytes == 0)
		r = measure(bench, benchmark->n_frames, seen);
	*ret_state = seen;
	return r;
}

int metadata_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		 struct sample *ret_sample)
{
	const struct metadata_seen *seen = state;

	(void)bench;
	(void)benchmark;
	*ret_sample = (struct sample){n * seen->bytes * SCALE, n * seen->frames * SCALE};
	return 0;
}

int metadata_run_map(struct bench *bench, const struct benchmark *benchmark, void *state,
		     uint64_t n, struct sample *ret_sample)
{
	const struct metadata_seen *seen = state;

	(void)bench;
	(void)benchmark;
	*ret_sample = (struct sample){n * seen->map_bytes * SCALE, n * seen->frames * SCALE};
	return 0;
}

void metadata_teardown(struct bench *bench, void *state)
{
	(void)bench;
	(void)state;
}
