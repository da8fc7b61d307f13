/* daemon/host/segments_memory.c - which pages of META, STATE and DATA have memory.
 *
 * The mem_map is given memory by chunks, the 4 MiB that describe 1 << ORDER_MAX frames. A chunk
 * that no zone divides is one free block and needs the page of its first word only; one that a zone
 * boundary divides is a row of smaller heads, so it gets all of its map at once, as does chunk 0.
 * DATA gets its memory by pageblocks as the pool asks for them, or all of it at the start. */
#include "daemon/host/segments.h"

#include "paged/bits.h"
#include "paged/crash_point.h"
#include "shm/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_FRAMES (UINT64_C(1) << ORDER_MAX)

/* Pages of META around [offset, offset + bytes). */
static int give_meta(const struct segments *segments, uint64_t offset, uint64_t bytes, char *text,
		     size_t text_bytes)
{
	uint64_t from = offset & ~(uint64_t)(SHM_PAGE - 1);
	uint64_t to = bits_min(bits_align_up(offset + bytes, SHM_PAGE), segments->meta_bytes);

	return segment_reserve(segments->meta_fd, from, to - from, text, text_bytes);
}

static int give_map(const struct segments *segments, uint64_t pfn, uint64_t frames, char *text,
		    size_t text_bytes)
{
	uint64_t end = bits_min(pfn + frames, segments->plan.nr_frames);

	return give_meta(segments, segments->plan.map_offset + pfn * sizeof(struct shm_page),
			 (end - pfn) * sizeof(struct shm_page), text, text_bytes);
}

static bool lies_in(uint64_t pfn, uint64_t start, uint64_t end)
{
	return pfn >= start && pfn + CHUNK_FRAMES <= end;
}

/* Does one zone have the whole chunk at pfn, all of it in use or none? */
static bool chunk_is_whole(const struct segments *segments, uint64_t pfn)
{
	const struct pool_options *options = &segments->options.pool;
	uint64_t start = 0;

	for (uint32_t i = 0; i < options->nr_zones; i++) {
		uint64_t end = start + options->zone[i].nr_frames;
		uint64_t line = end - options->zone[i].nr_offline;

		if (lies_in(pfn, start, line) || lies_in(pfn, line, end))
			return true;
		start = end;
	}
	return false;
}

static int give_first_map(const struct segments *segments, char *text, size_t text_bytes)
{
	for (uint64_t pfn = 0; pfn < segments->plan.nr_frames; pfn += CHUNK_FRAMES) {
		bool whole = pfn > 0 && chunk_is_whole(segments, pfn);
		int r = give_map(segments, pfn, whole ? 1 : CHUNK_FRAMES, text, text_bytes);

		if (r)
			return r;
	}
	return 0;
}

/* What may be somebody's is never taken back, as segment_commit() does with all that it gave. The
 * pool commits each block once more: it is counted then. */
static int give_zone(struct segments *segments, uint64_t offset, uint64_t bytes, char *text,
		     size_t text_bytes)
{
	struct segment_pages pages = {0};

	if (segments->adopted)
		return segment_reserve(segments->data_fd, offset, bytes, text, text_bytes);
	return segment_commit(segments->data_fd, offset, bytes, segments->options.hugepages, &pages,
			      text, text_bytes);
}

/* All memory of the frames in use, if so configured. An old segment of another size has its resize
 * before it: what comes into use is committed then. */
static int give_data(struct segments *segments, char *text, size_t text_bytes)
{
	const struct pool_options *options = &segments->options.pool;
	uint64_t bytes = segments_bytes_at_start(segments), given, start = 0;
	uint32_t shift = segments->options.page_shift;
	struct stat st;
	int r;

	if (!segments->options.commit_full)
		return 0;
	if (fstat(segments->data_fd, &st) < 0)
		return -errno;
	given = bits_min((uint64_t)st.st_blocks * 512, bytes);
	r = segments->hugetlb
		    ? 0
		    : headroom_check(segments->options.headroom, bytes - given, text, text_bytes);
	for (uint32_t i = 0; i < options->nr_zones && r == 0; i++) {
		const struct pool_zone_options *zone = &options->zone[i];

		r = give_zone(segments, start << shift,
			      (uint64_t)(zone->nr_frames - zone->nr_offline) << shift, text,
			      text_bytes);
		start += zone->nr_frames;
	}
	return r;
}

int segments_format(struct segments *segments, char *text, size_t text_bytes)
{
	struct shm_meta_header *plan = &segments->plan;
	int r;

	segments->hugetlb = segment_is_hugetlb(segments->data_fd);
	CRASH_POINT(SEGMENT_EMPTIED);
	r = segment_reserve(segments->meta_fd, 0, plan->heads_offset, text, text_bytes);
	if (r == 0)
		r = give_first_map(segments, text, text_bytes);
	if (r == 0)
		r = segment_reserve(segments->state_fd, 0,
				    segments->state_plan.edges_offset +
					    SHM_EDGES_STEP * sizeof(struct shm_edge),
				    text, text_bytes);
	if (r == 0)
		r = give_data(segments, text, text_bytes);
	if (r)
		return r;
	if (getrandom(&plan->instance_id, sizeof(plan->instance_id), 0) < 0) {
		r = -errno;
		(void)snprintf(text, text_bytes, "no random number for the segment's id: %s",
			       strerror(-r));
		return r;
	}
	plan->backing = (uint32_t)segments->backing;
	CRASH_POINT(SEGMENT_GIVEN);
	pool_format(segments->meta, segments->state, plan, &segments->options.pool);
	CRASH_POINT(SEGMENT_FORMATTED);
	segments->heads_used_bytes = 0;
	segments_account(segments);
	return 0;
}

int segments_take_over(struct segments *segments, char *text, size_t text_bytes)
{
	struct shm_meta_header *meta = segments->meta;
	uint64_t other = meta->heads_offset + meta->map_used_bytes;

	segments->adopted = true;
	segments->hugetlb = segment_is_hugetlb(segments->data_fd);
	segments->heads_used_bytes =
		meta->meta_used_bytes > other ? meta->meta_used_bytes - other : 0;
	shm_store(&segments->state->recoveries, segments->state->recoveries + 1);
	CRASH_POINT(SEGMENT_TAKEN_OVER);
	return give_data(segments, text, text_bytes);
}

/* Bytes of memory behind a file. */
static uint64_t used_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int segments_give_heads(struct segments *segments, client_id client, uint32_t thread, char *text,
			size_t text_bytes)
{
	uint64_t offset = segments->plan.heads_offset +
			  (uint64_t)(client - 1) * SHM_CLIENT_HEADS_BYTES +
			  shm_head_offset(thread, 0);
	uint64_t before = used_bytes(segments->meta_fd);
	int r = give_meta(segments, offset, SHM_THREAD_HEADS_BYTES, text, text_bytes);

	/* A commit of mem_map at the same moment would count as well: then it is at most 2 pages.
	 */
	if (r == 0)
		segments->heads_used_bytes +=
			bits_min(used_bytes(segments->meta_fd) - before, 2 * SHM_PAGE);
	return r;
}

int segments_give_state(struct segments *segments, client_id client, char *text, size_t text_bytes)
{
	return segment_reserve(segments->state_fd,
			       segments->state_plan.clients_offset +
				       (uint64_t)(client - 1) * sizeof(struct shm_state_client),
			       sizeof(struct shm_state_client), text, text_bytes);
}

int segments_give_edges(struct segments *segments, uint32_t from, uint32_t to, char *text,
			size_t text_bytes)
{
	return segment_reserve(segments->state_fd,
			       segments->state_plan.edges_offset + from * sizeof(struct shm_edge),
			       (uint64_t)(to - from) * sizeof(struct shm_edge), text, text_bytes);
}

static int punch_data(struct segments *segments, uint64_t offset, uint64_t bytes, char *text,
		      size_t text_bytes)
{
	int r = segment_punch(segments->data_fd, offset, bytes);

	__atomic_store_n(&segments->punched, true, __ATOMIC_RELAXED);
	if (r)
		(void)snprintf(text, text_bytes, "a hole cannot be punched into the segment: %s",
			       strerror(-r));
	return r;
}

/* commit = full: it has memory since the start, and headroom was asked for then. */
static bool has_memory(const struct segments *segments, uint64_t pfn, uint64_t end)
{
	const struct pool_options *options = &segments->options.pool;
	uint64_t start = 0;

	if (!segments->options.commit_full || __atomic_load_n(&segments->punched, __ATOMIC_RELAXED))
		return false;
	for (uint32_t i = 0; i < options->nr_zones; i++) {
		const struct pool_zone_options *zone = &options->zone[i];

		if (pfn >= start && end <= start + zone->nr_frames - zone->nr_offline)
			return true;
		start += zone->nr_frames;
	}
	return false;
}

static int commit_data(struct segments *segments, uint64_t offset, uint64_t bytes, char *text,
		       size_t text_bytes)
{
	struct segment_pages pages = {0};
	int r = segment_commit(segments->data_fd, offset, bytes, segments->options.hugepages,
			       &pages, text, text_bytes);

	(void)__atomic_fetch_add(&segments->huge_bytes, pages.huge_bytes, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&segments->small_bytes, pages.small_bytes, __ATOMIC_RELAXED);
	return r;
}

int segments_commit(struct segments *segments, const struct pool_commit *commit, char *text,
		    size_t text_bytes)
{
	const struct segments_options *options = &segments->options;
	uint64_t frames = UINT64_C(1) << commit->order;
	uint64_t end = bits_min(commit->pfn + frames, segments->plan.nr_frames);
	uint64_t bytes = (end - commit->pfn) << options->page_shift;
	bool has;
	int r;

	if (commit->kind == POOL_COMMIT_MAP) {
		uint64_t chunk = commit->pfn & ~(CHUNK_FRAMES - 1);

		r = headroom_check(options->headroom, CHUNK_FRAMES * sizeof(struct shm_page), text,
				   text_bytes);
		return r ? r : give_map(segments, chunk, CHUNK_FRAMES, text, text_bytes);
	}
	if (commit->kind == POOL_COMMIT_PUNCH)
		return punch_data(segments, (uint64_t)commit->pfn << options->page_shift, bytes,
				  text, text_bytes);
	/* Huge pages that are reserved are nobody's memory, and no cgroup's. */
	has = segments->hugetlb || has_memory(segments, commit->pfn, end);
	r = has ? 0 : headroom_check(options->headroom, bytes, text, text_bytes);
	if (r == 0 && !has)
		r = segment_check_room(segments->data_fd, bytes, text, text_bytes);
	return r ? r
		 : commit_data(segments, (uint64_t)commit->pfn << options->page_shift, bytes, text,
			       text_bytes);
}

void segments_account(struct segments *segments)
{
	struct shm_meta_header *meta = segments->meta;
	uint64_t used = used_bytes(segments->meta_fd);
	uint64_t other = meta->heads_offset + segments->heads_used_bytes;

	__atomic_store_n(&meta->meta_used_bytes, used, __ATOMIC_RELAXED);
	__atomic_store_n(&meta->map_used_bytes, used > other ? used - other : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&meta->state_used_bytes, used_bytes(segments->state_fd), __ATOMIC_RELAXED);
	shm_store(&meta->huge_bytes, __atomic_load_n(&segments->huge_bytes, __ATOMIC_RELAXED));
	shm_store(&meta->small_bytes, __atomic_load_n(&segments->small_bytes, __ATOMIC_RELAXED));
}
