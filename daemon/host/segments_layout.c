/* daemon/host/segments_layout.c - how large the parts are, and whether those that are there fit. */
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

void segments_plan(struct segments *segments)
{
	const struct segments_options *options = &segments->options;
	struct shm_meta_header *plan = &segments->plan;
	uint32_t nr_frames = 0;

	for (uint32_t i = 0; i < options->pool.nr_zones; i++)
		nr_frames += options->pool.zone[i].nr_frames;
	shm_meta_plan(plan, nr_frames, options->page_shift);
	shm_state_plan(&segments->state_plan);
	plan->state_bytes = segments->state_plan.state_bytes;
	plan->nr_zones = options->pool.nr_zones;
	plan->hugepages = (uint32_t)options->hugepages;
	(void)snprintf(plan->instance, sizeof(plan->instance), "%s", options->instance);
	segments->meta_bytes = plan->meta_bytes;
	segments->state_bytes = plan->state_bytes;
	segments->data_bytes = plan->data_bytes;
}

uint64_t segments_bytes_at_start(const struct segments *segments)
{
	const struct pool_options *options = &segments->options.pool;
	uint64_t frames = 0;

	for (uint32_t i = 0; i < options->nr_zones; i++)
		frames += options->zone[i].nr_frames - options->zone[i].nr_offline;
	return frames << segments->options.page_shift;
}

uint64_t segments_bytes_wanted(const struct segments *segments)
{
	return (uint64_t)shm_load32(&segments->meta->wanted_frames) << segments->meta->page_shift;
}

/* --- does an old one fit? ------------------------------------------------------------------- */

int segments_read(int fd, void *ret_bytes, size_t n_bytes, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, ret_bytes, n_bytes, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == n_bytes ? 0 : -ENODATA;
}

int segments_has_magic(int fd)
{
	uint64_t magic = 0;
	int r = segments_read(fd, &magic, sizeof(magic), 0);

	return r && r != -ENODATA ? r : magic != 0;
}

int segments_state_is_free(const struct segments *segments)
{
	struct shm_meta_header meta = {0};
	struct shm_state_header state = {0};
	int r = segments_has_magic(segments->state_fd);

	if (r <= 0)
		return r < 0 ? r : 1;
	r = segments_read(segments->meta_fd, &meta, sizeof(meta), 0);
	if (r == 0)
		r = segments_read(segments->state_fd, &state, sizeof(state), 0);
	return r ? r : meta.instance_id == state.instance_id;
}

int segments_unread(int r, char *text, size_t text_bytes)
{
	(void)snprintf(text, text_bytes, "the old segment cannot be read: %s", strerror(-r));
	return r;
}

static bool differs(uint64_t found, uint64_t wanted, const char *what, char *text,
		    size_t text_bytes)
{
	if (found == wanted)
		return false;
	(void)snprintf(text, text_bytes, "the old segment: its %s is %llu, expected %llu", what,
		       (unsigned long long)found, (unsigned long long)wanted);
	return true;
}

/* 0: they match; SEGMENTS_AGAIN; -errno. */
static int zones_match(const struct segments *segments, char *text, size_t text_bytes)
{
	const struct pool_options *options = &segments->options.pool;
	struct shm_zone zone;

	for (uint32_t i = 0; i < options->nr_zones; i++) {
		int r = segments_read(segments->meta_fd, &zone, sizeof(zone),
				      segments->plan.zones_offset + i * sizeof(zone));

		if (r && r != -ENODATA)
			return segments_unread(r, text, text_bytes);
		if (r || strncmp(zone.name, options->zone[i].name, sizeof(zone.name)) != 0 ||
		    zone.end_pfn - zone.start_pfn != options->zone[i].nr_frames) {
			(void)snprintf(text, text_bytes,
				       "the old segment: its zones are not those configured");
			return SEGMENTS_AGAIN;
		}
	}
	return 0;
}

/* Does STATE begin as one does, and has DATA memory if frames were committed? As zones_match(). */
static int contents_match(const struct segments *segments, const struct shm_meta_header *header,
			  const struct stat *data, char *text, size_t text_bytes)
{
	uint64_t magic = 0;
	int r = segments_read(segments->state_fd, &magic, sizeof(magic), 0);

	if (r && r != -ENODATA)
		return segments_unread(r, text, text_bytes);
	if (magic == 0) {
		(void)snprintf(text, text_bytes, "the old segment: its STATE is missing");
		return SEGMENTS_AGAIN;
	}
	if (magic != SHM_STATE_MAGIC) {
		(void)snprintf(text, text_bytes,
			       "the old segment: its STATE is no STATE of paged (magic %016llx)",
			       (unsigned long long)magic);
		return SEGMENTS_AGAIN;
	}
	if (header->committed_frames && data->st_blocks == 0) {
		(void)snprintf(text, text_bytes,
			       "the old segment: %llu of its frames were committed, and its DATA "
			       "has no memory",
			       (unsigned long long)header->committed_frames);
		return SEGMENTS_AGAIN;
	}
	return 0;
}

/* Sizes of the files, and what is in them. As zones_match(). */
static int files_match(const struct segments *segments, const struct shm_meta_header *header,
		       char *text, size_t text_bytes)
{
	struct stat meta, state, data;

	if (fstat(segments->meta_fd, &meta) < 0 || fstat(segments->state_fd, &state) < 0 ||
	    fstat(segments->data_fd, &data) < 0)
		return segments_unread(-errno, text, text_bytes);
	if (differs((uint64_t)meta.st_size, segments->meta_bytes, "file of META", text,
		    text_bytes) ||
	    differs((uint64_t)state.st_size, segments->state_bytes, "file of STATE", text,
		    text_bytes) ||
	    differs((uint64_t)data.st_size, segments->data_bytes, "file of DATA", text, text_bytes))
		return SEGMENTS_AGAIN;
	return contents_match(segments, header, &data, text, text_bytes);
}

/* "64M", or "65540K": in what a size of the configuration would be written in. */
static void write_size(uint64_t bytes, char ret_text[24])
{
	static const char letters[] = "KMGT";
	size_t i = 0;

	bytes >>= 10;
	for (; i < 3 && bytes && bytes % 1024 == 0; i++)
		bytes >>= 10;
	(void)snprintf(ret_text, 24, "%llu%c", (unsigned long long)bytes, letters[i]);
}

/* Somebody changed the configuration: META and DATA are as META's own header says, and that is of
 * another size. */
static bool is_resized(const struct segments *segments, const struct shm_meta_header *header,
		       char *text, size_t text_bytes)
{
	const struct shm_meta_header *plan = &segments->plan;
	const char *key = "size";
	char was[24], is[24];
	struct stat meta, data;

	if (header->nr_frames == plan->nr_frames && header->page_shift == plan->page_shift)
		return false;
	if (header->page_shift < 12 || header->page_shift > 16 ||
	    header->data_bytes != (uint64_t)header->nr_frames << header->page_shift ||
	    fstat(segments->meta_fd, &meta) < 0 || fstat(segments->data_fd, &data) < 0 ||
	    (uint64_t)meta.st_size != header->meta_bytes ||
	    (uint64_t)data.st_size != header->data_bytes)
		return false;
	if (header->page_shift != plan->page_shift) {
		write_size(UINT64_C(1) << header->page_shift, was);
		write_size(UINT64_C(1) << plan->page_shift, is);
	} else {
		write_size(header->data_bytes, was);
		write_size(plan->data_bytes, is);
	}
	if (header->configured_frames != header->nr_frames ||
	    segments_bytes_at_start(segments) != plan->data_bytes)
		key = "size_max";
	(void)snprintf(text, text_bytes, "[segment] %s was %s and is %s",
		       header->page_shift != plan->page_shift ? "page_size" : key, was, is);
	return true;
}

static bool header_matches(const struct segments *segments, const struct shm_meta_header *header,
			   char *text, size_t text_bytes)
{
	const struct shm_meta_header *plan = &segments->plan;

	if (differs(header->nr_frames, plan->nr_frames, "number of frames", text, text_bytes) ||
	    differs(header->page_shift, plan->page_shift, "page shift", text, text_bytes) ||
	    differs(header->nr_zones, plan->nr_zones, "number of zones", text, text_bytes) ||
	    differs(header->nr_counters, plan->nr_counters, "number of counters", text,
		    text_bytes) ||
	    differs(header->meta_bytes, plan->meta_bytes, "size of META", text, text_bytes) ||
	    differs(header->state_bytes, plan->state_bytes, "size of STATE", text, text_bytes))
		return false;
	if (strncmp(header->instance, plan->instance, sizeof(header->instance)) != 0) {
		(void)snprintf(text, text_bytes, "the old segment: it belongs to instance %.31s",
			       header->instance);
		return false;
	}
	return true;
}

int segments_match(const struct segments *segments, char *text, size_t text_bytes)
{
	struct shm_meta_header header = {0};
	int r = segments_read(segments->meta_fd, &header, sizeof(header), 0);

	if (r && r != -ENODATA)
		return segments_unread(r, text, text_bytes);
	if (r || header.magic != SHM_META_MAGIC) {
		(void)snprintf(text, text_bytes,
			       "the old segment: its META is no META of paged (magic %016llx)",
			       (unsigned long long)header.magic);
		return SEGMENTS_AGAIN;
	}
	if (differs(header.version, SHM_LAYOUT_VERSION, "layout version", text, text_bytes))
		return SEGMENTS_AGAIN;
	if (is_resized(segments, &header, text, text_bytes))
		return SEGMENTS_CHANGED;
	if (!header_matches(segments, &header, text, text_bytes))
		return SEGMENTS_AGAIN;
	r = zones_match(segments, text, text_bytes);
	return r ? r : files_match(segments, &header, text, text_bytes);
}
