/* bench/bench_restart.c - see bench_restart.h.
 *
 * Every recovery has a copy of the image that nobody has mapped yet, and every restart a daemon of
 * its own, so that its supervisor has no reason to wait before it starts the next server. */
#include "bench/bench_restart.h"

#include "bench/image.h"
#include "bench/meta.h"
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What image.h has, in the words of a configuration. */
static const char configuration[] = "[segment]\nsize = 16G\npage_size = 4K\nbacking = posix\n";

struct restart_state {
	struct image image;
	struct pool *pool;
};

/* A copy of the image, mapped for the first time. */
struct copy {
	int meta_fd, state_fd;
	void *meta, *state;
};

int restart_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct restart_state *state = calloc(1, sizeof(*state));
	int r = -ENOMEM;

	(void)benchmark;
	if (state)
		state->pool = calloc(1, pool_bytes());
	if (state && state->pool)
		r = image_make(&state->image, bench->text, sizeof(bench->text));
	if (r < 0) {
		if (state)
			free(state->pool);
		free(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

void restart_teardown(struct bench *bench, void *state)
{
	struct restart_state *recovery = state;

	(void)bench;
	image_free(&recovery->image);
	free(recovery->pool);
	free(recovery);
}

/* --- the recovery alone --------------------------------------------------------------------- */

static int copy_part(struct bench *bench, enum shm_part part, int from, uint64_t bytes, int *ret_fd)
{
	int r = segment_create(SHM_BACKING_MEMFD, "bench-copy", part, bytes, ret_fd, bench->text,
			       sizeof(bench->text));

	if (r == 0) {
		r = image_copy(from, *ret_fd);
		if (r < 0)
			(void)bench_fail(bench, r, "a copy of the segment: %s", strerror(-r));
	}
	return r;
}

static int copy_open(struct bench *bench, const struct image *image, struct copy *copy)
{
	int r;

	*copy = (struct copy){.meta_fd = -1, .state_fd = -1};
	r = copy_part(bench, SHM_PART_META, image->meta_fd, image->meta_bytes, &copy->meta_fd);
	return r < 0 ? r
		     : copy_part(bench, SHM_PART_STATE, image->state_fd, image->state_bytes,
				 &copy->state_fd);
}

static void copy_close(const struct image *image, const struct copy *copy)
{
	if (copy->meta)
		(void)munmap(copy->meta, image->meta_bytes);
	if (copy->state)
		(void)munmap(copy->state, image->state_bytes);
	if (copy->meta_fd >= 0)
		(void)close(copy->meta_fd);
	if (copy->state_fd >= 0)
		(void)close(copy->state_fd);
}

/* As the daemon maps a part (host/segments.c). */
static void *map_part(int fd, uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* What is measured. */
static int recover(struct bench *bench, struct restart_state *state, struct copy *copy)
{
	const struct image *image = &state->image;
	uint64_t bad = 0;
	int r;

	copy->meta = map_part(copy->meta_fd, image->meta_bytes);
	copy->state = map_part(copy->state_fd, image->state_bytes);
	if (!copy->meta || !copy->state)
		return bench_fail(bench, -ENOMEM, "the copy cannot be mapped");
	r = pool_attach(state->pool, copy->meta, image->meta_bytes, copy->state, image->state_bytes,
			&image->options, &bad);
	if (r || bad)
		return bench_fail(bench, -EPROTO, "the segment was not recovered: %s",
				  r ? pool_condition_text((enum pool_condition)r)
				    : "frames of it are BAD");
	return 0;
}

/* Everything that recovery built is recounted. */
static int audit(struct bench *bench, const struct restart_state *state)
{
	char text[256] = "";

	return pool_check(state->pool, text, sizeof(text))
		       ? bench_fail(bench, -EPROTO, "what was recovered is wrong: %s", text)
		       : 0;
}

enum part { RECOVERY, AUDIT };

static int run_once(struct bench *bench, struct restart_state *state, enum part part,
		    uint64_t *ret_ns)
{
	uint64_t begin, recovered, audited;
	struct copy copy;
	int r = copy_open(bench, &state->image, &copy);

	begin = bench_now_ns();
	if (r == 0)
		r = recover(bench, state, &copy);
	recovered = bench_now_ns();
	if (r == 0)
		r = audit(bench, state);
	audited = bench_now_ns();
	copy_close(&state->image, &copy);
	*ret_ns = part == RECOVERY ? recovered - begin : audited - recovered;
	return r;
}

static int run_part(struct bench *bench, struct restart_state *state, enum part part, uint64_t n,
		    struct sample *ret_sample)
{
	struct sample sample = {0, n};

	for (uint64_t i = 0; i < n; i++) {
		uint64_t ns;
		int r = run_once(bench, state, part, &ns);

		if (r < 0)
			return r;
		sample.ns += ns;
	}
	*ret_sample = sample;
	return 0;
}

int restart_run_recovery(struct bench *bench, const struct benchmark *benchmark, void *state,
			 uint64_t n, struct sample *ret_sample)
{
	(void)benchmark;
	return run_part(bench, state, RECOVERY, n, ret_sample);
}

int restart_run_audit(struct bench *bench, const struct benchmark *benchmark, void *state,
		      uint64_t n, struct sample *ret_sample)
{
	(void)benchmark;
	return run_part(bench, state, AUDIT, n, ret_sample);
}

/* --- a real server -------------------------------------------------------------------------- */

static int write_part(const char *instance, enum shm_part part, int from, uint64_t bytes,
		      char *text, size_t text_bytes)
{
	int fd;
	int r = segment_create(SHM_BACKING_POSIX, instance, part, bytes, &fd, text, text_bytes);

	if (r < 0)
		return r;
	if (from >= 0)
		r = image_copy(from, fd);
	/* META names its instance, and DATA with frames committed has memory. */
	if (r == 0 && part == SHM_PART_META &&
	    pwrite(fd, instance, strlen(instance) + 1, offsetof(struct shm_meta_header, instance)) <
		    0)
		r = -errno;
	if (r == 0 && part == SHM_PART_DATA && pwrite(fd, "", 1, 0) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

/* Leaves the image as an earlier daemon of this instance would have. DATA is only as large as it
 * has to be: nobody reads it. */
static int leave_segment(void *arg, const char *instance, char *text, size_t text_bytes)
{
	const struct image *image = arg;
	int r = write_part(instance, SHM_PART_META, image->meta_fd, image->meta_bytes, text,
			   text_bytes);

	if (r == 0)
		r = write_part(instance, SHM_PART_STATE, image->state_fd, image->state_bytes, text,
			       text_bytes);
	if (r == 0)
		r = write_part(instance, SHM_PART_DATA, -1, (uint64_t)IMAGE_FRAMES << 12, text,
			       text_bytes);
	return r;
}

/* A daemon that put the segment aside would be there in no time. */
static int check_taken_over(struct bench *bench, const struct fixture *fixture)
{
	struct shm_view view;
	uint64_t nr_owned;
	int r = meta_attach(bench, fixture, &view);

	if (r < 0)
		return r;
	nr_owned = shm_view_counter(&view, COUNTER_nr_owned);
	shm_view_detach(&view);
	return nr_owned ? 0 : bench_fail(bench, -EPROTO, "the daemon did not take the segment");
}

/* The server is the supervisor's only child. */
static pid_t find_server(const struct fixture *fixture)
{
	char path[64];
	FILE *file;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)fixture->pid,
		       (int)fixture->pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		(void)fclose(file);
	return pid;
}

/* A client of the old server may still be let in: who was served by the new one sees its epoch. */
static int kill_and_wait(struct bench *bench, const struct fixture *fixture, uint64_t *ret_ns)
{
	pid_t server = find_server(fixture);
	uint64_t begin = bench_now_ns();
	pageclient *client;
	int r;

	if (server <= 0 || kill(server, SIGKILL) < 0)
		return bench_fail(bench, -ESRCH, "the server is not to be found");
	do
		r = bench_open_client(bench, fixture, &client);
	while (r == -ENOTCONN && bench_now_ns() - begin < UINT64_C(10000000000));
	*ret_ns = bench_now_ns() - begin;
	if (r < 0)
		return r;
	pageclient_close(client);
	return find_server(fixture) != server
		       ? 0
		       : bench_fail(bench, -EPROTO, "the server that was killed answers");
}

int restart_run_all(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		    struct sample *ret_sample)
{
	struct restart_state *recovery = state;
	struct sample sample = {0, n};

	(void)benchmark;
	for (uint64_t i = 0; i < n; i++) {
		struct fixture fixture;
		uint64_t ns = 0;
		int r = bench_start_daemon_on(bench, configuration, leave_segment, &recovery->image,
					      &fixture);

		if (r < 0)
			return r;
		r = kill_and_wait(bench, &fixture, &ns);
		if (r == 0)
			r = check_taken_over(bench, &fixture);
		fixture_stop(&fixture);
		if (r < 0)
			return r;
		sample.ns += ns;
	}
	*ret_sample = sample;
	return 0;
}
