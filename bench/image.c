/* bench/image.c - see image.h. */
#include "bench/image.h"

#include "shm/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define CLIENTS 8u
#define LARGEST_ORDER 6u   /* of a block that a client asks for: half as often with each order */
#define FREED_OF 5u        /* one block of so many is free again */
#define SHARED_OF 512u     /* one is shared */
#define COMMITS_MAX 65536u /* more would be one that never ends */

struct maker {
	struct image *image;
	struct pool *pool;
	client_id client[CLIENTS];
	void *ctl[CLIENTS];
	uint64_t seq[CLIENTS];
	uint64_t random;
	char *text;
	size_t text_bytes;
};

/* xorshift64*, Vigna 2014. */
static uint32_t below(struct maker *maker, uint32_t n)
{
	maker->random ^= maker->random >> 12;
	maker->random ^= maker->random << 25;
	maker->random ^= maker->random >> 27;
	return (uint32_t)((maker->random * UINT64_C(2685821657736338717)) >> 33) % n;
}

static int fail(struct maker *maker, int r, const char *what)
{
	(void)snprintf(maker->text, maker->text_bytes, "the image of a segment: %s", what);
	return r;
}

/* --- files ---------------------------------------------------------------------------------- */

static int map_file(struct maker *maker, enum shm_part part, uint64_t bytes, int *ret_fd,
		    void **ret_map)
{
	void *map;
	int r = segment_create(SHM_BACKING_MEMFD, "bench-image", part, bytes, ret_fd, maker->text,
			       maker->text_bytes);

	if (r < 0)
		return r;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *ret_fd, 0);
	if (map == MAP_FAILED)
		return fail(maker, -errno, "it cannot be mapped");
	*ret_map = map;
	return 0;
}

static int make_files(struct maker *maker)
{
	struct image *image = maker->image;
	struct shm_meta_header meta = {0};
	struct shm_state_header state = {0};
	int r;

	shm_meta_plan(&meta, IMAGE_FRAMES, 12);
	shm_state_plan(&state);
	image->meta_bytes = meta.meta_bytes;
	image->state_bytes = state.state_bytes;
	r = map_file(maker, SHM_PART_META, image->meta_bytes, &image->meta_fd, &image->meta);
	return r < 0 ? r
		     : map_file(maker, SHM_PART_STATE, image->state_bytes, &image->state_fd,
				&image->state);
}

int image_copy(int from, int to)
{
	off_t at = 0, end;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0 || lseek(to, at, SEEK_SET) < 0)
			return -errno;
		while (at < end)
			if (sendfile(to, from, &at, (size_t)(end - at)) <= 0)
				return errno ? -errno : -EIO;
	}
	return errno == ENXIO ? 0 : -errno; /* ENXIO: nothing but a hole up to the end */
}

/* --- clients and their blocks --------------------------------------------------------------- */

/* Field 22 of /proc/self/stat: when this process began. */
static uint64_t own_start(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	unsigned long long start = 0;

	if (file && fscanf(file,
			   "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
			   "%*d %*d %*d %*d %*d %llu",
			   &start) != 1)
		start = 0;
	if (file)
		(void)fclose(file);
	return start;
}

static int attach_client(struct maker *maker, uint32_t i)
{
	const struct pool_client_options options = {.pid = (uint32_t)getpid(),
						    .uid = getuid(),
						    .gid = getgid(),
						    .pid_start = own_start(),
						    .max_threads = 1,
						    .name = "bench"};
	const uint64_t token[2] = {i + 1, 1};
	struct pool *pool = maker->pool;
	uint64_t count;

	maker->ctl[i] = calloc(1, shm_ctl_purge_offset(1));
	if (!maker->ctl[i] || pool_client_reserve(pool, &maker->client[i]))
		return fail(maker, -ENOMEM, "no room for a client");
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
		*(uint64_t *)(void *)((char *)maker->ctl[i] + shm_ctl_bottom_offset(0, m)) =
			UINT64_C(1) << 63;
	pool_client_attach(pool, maker->client[i], &options, maker->ctl[i], 0, 0, token);
	if (pool_pcp_create(pool, maker->client[i], 0))
		return fail(maker, -ENOMEM, "no magazines");
	for (uint32_t m = 0; m < MAGAZINE_COUNT; m++)
		if (pool_refill(pool, maker->client[i], 0, m, 1, &count))
			return fail(maker, -ENOMEM, "no frames for a magazine");
	return 0;
}

/* 0, or a condition: there is no such block any more. */
static int take(struct maker *maker, uint32_t i, order_t order)
{
	struct pool *pool = maker->pool;
	client_id client = maker->client[i];
	uint64_t result;
	int r = pool_alloc(pool, client, order, MIGRATE_UNMOVABLE, 0, maker->seq[i] + 1, &result);

	if (r)
		return r;
	maker->seq[i]++;
	if (below(maker, SHARED_OF) == 0 &&
	    pool_share(pool, client, (pfn_t)(result >> 32), CLIENT_NONE, 0, maker->seq[i] + 1,
		       &result) == 0)
		maker->seq[i]++;
	return 0;
}

/* Until not one frame more can be had. */
static void take_all(struct maker *maker)
{
	for (;;) {
		uint32_t i = below(maker, CLIENTS);
		order_t order = 0;

		while (order < LARGEST_ORDER && below(maker, 2))
			order++;
		if (take(maker, i, order) && take(maker, i, 0))
			return;
	}
}

static struct page_word word_at(const struct image *image, pfn_t pfn)
{
	const struct shm_meta_header *header = image->meta;
	const struct shm_page *map = (const void *)((const char *)image->meta + header->map_offset);

	return page_word_unpack(map[pfn].word);
}

static void free_some(struct maker *maker)
{
	pfn_t pfn = 0;

	while (pfn < IMAGE_FRAMES) {
		struct page_word word = word_at(maker->image, pfn);
		uint32_t i = word.owner - maker->client[0];

		/* One that lies in a magazine is the owner's, too, and is free afterwards. */
		if (word.state == PAGE_OWNED && below(maker, FREED_OF) == 0 &&
		    pool_free(maker->pool, word.owner, pfn, word.order, 0, maker->seq[i] + 1) == 0)
			maker->seq[i]++;
		pfn += 1u << word.order;
	}
}

static uint32_t count_blocks(const struct image *image)
{
	uint32_t n = 0;

	for (pfn_t pfn = 0; pfn < IMAGE_FRAMES; n++)
		pfn += 1u << word_at(image, pfn).order;
	return n;
}

/* The server dies now: with its last journal committed and not cleared, and in a steal. */
static void crash(struct maker *maker)
{
	struct image *image = maker->image;
	const struct shm_state_header *header = image->state;
	struct shm_journal *journal = (void *)((char *)image->state + header->journal_offset);
	struct pool_pass pass = pool_pass_begin(maker->pool, CLIENT_NONE, false);

	(void)take(maker, 0, 0);
	journal->n = 1;
	(void)pool_claim_pass(maker->pool, &pass);
}

/* --- making --------------------------------------------------------------------------------- */

static int attach_pool(struct maker *maker)
{
	struct image *image = maker->image;
	struct shm_meta_header header = {.page_shift = 12, .instance_id = image->instance_id};
	struct pool_commit commit;
	uint64_t bad;

	image->options = (struct pool_options){
		.nr_zones = 1,
		.zone[0] = {.name = "normal", .nr_frames = IMAGE_FRAMES},
		.commit_full = true,
	};
	pool_format(image->meta, image->state, &header, &image->options);
	if (pool_attach(maker->pool, image->meta, image->meta_bytes, image->state,
			image->state_bytes, &image->options, &bad))
		return fail(maker, -EPROTO, "the core does not take it");
	for (uint32_t n = 0; pool_plan_commit(maker->pool, 0, MIGRATE_UNMOVABLE, &commit); n++) {
		if (n == COMMITS_MAX)
			return fail(maker, -EPROTO, "there is no end of commits");
		pool_commit_done(maker->pool, &commit, true);
	}
	return 0;
}

static int make(struct maker *maker)
{
	struct image *image = maker->image;
	int r = make_files(maker);

	if (r == 0)
		r = attach_pool(maker);
	for (uint32_t i = 0; r == 0 && i < CLIENTS; i++)
		r = attach_client(maker, i);
	if (r < 0)
		return r;
	take_all(maker);
	free_some(maker);
	crash(maker);
	image->nr_blocks = count_blocks(image);
	if (image->nr_blocks < IMAGE_BLOCKS)
		return fail(maker, -EPROTO, "it has fewer than a million blocks");
	return 0;
}

int image_make(struct image *ret_image, char *text, size_t text_bytes)
{
	struct image image = {.meta_fd = -1, .state_fd = -1, .instance_id = 4711};
	struct maker maker = {.image = &image,
			      .pool = calloc(1, pool_bytes()),
			      .random = 1,
			      .text = text,
			      .text_bytes = text_bytes};
	int r = maker.pool ? make(&maker) : fail(&maker, -ENOMEM, "no memory");

	for (uint32_t i = 0; i < CLIENTS; i++)
		free(maker.ctl[i]);
	free(maker.pool);
	if (r < 0)
		image_free(&image);
	else
		*ret_image = image;
	return r;
}

void image_free(struct image *image)
{
	if (image->meta)
		(void)munmap(image->meta, image->meta_bytes);
	if (image->state)
		(void)munmap(image->state, image->state_bytes);
	if (image->meta_fd >= 0)
		(void)close(image->meta_fd);
	if (image->state_fd >= 0)
		(void)close(image->state_fd);
}
