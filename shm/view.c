/* shm/view.c - META mapped for reading, and checked so that no later access can leave the mapping.
 *
 * The header is copied before it is checked: what was checked is what is used, even if the writer
 * of a damaged file is still at work. A table that the header places elsewhere than this program
 * would is fine as long as it lies inside the file, on a page, and has the entries that this
 * program's arrays have: the layout version stands for the structs themselves. */
#include "shm/view.h"

#include "paged/check.h"
#include "paged/refuse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Does a table of `bytes` bytes at offset lie inside the file, behind the header, on a page? */
static bool table_fits(const struct shm_meta_header *header, uint64_t offset, uint64_t bytes)
{
	return offset >= sizeof(*header) && offset % SHM_PAGE == 0 &&
	       offset <= header->meta_bytes && bytes <= header->meta_bytes - offset;
}

static int check_numbers(const struct shm_meta_header *header, uint64_t bytes, char *text,
			 size_t text_bytes)
{
	if (header->meta_bytes != bytes)
		return refuse(-EPROTO, text, text_bytes,
			      "the segment is damaged: META has %llu bytes, its header says %llu",
			      (unsigned long long)bytes, (unsigned long long)header->meta_bytes);
	if (header->page_shift != 12 && header->page_shift != 14 && header->page_shift != 16)
		return refuse(
			-EPROTO, text, text_bytes,
			"the segment is damaged: frames of 2^%u bytes; 12, 14 and 16 are known",
			header->page_shift);
	if (header->nr_frames == 0 || header->nr_frames == PFN_NONE ||
	    header->data_bytes != (uint64_t)header->nr_frames << header->page_shift)
		return refuse(-EPROTO, text, text_bytes,
			      "the segment is damaged: %u frames do not make %llu bytes of DATA",
			      header->nr_frames, (unsigned long long)header->data_bytes);
	if (header->nr_zones == 0 || header->nr_zones > SHM_MAX_ZONES ||
	    header->max_clients != SHM_MAX_CLIENTS || header->max_threads != SHM_MAX_THREADS ||
	    header->max_caches != SHM_MAX_CACHES ||
	    header->nr_counters > SHM_PAGE / sizeof(uint64_t))
		return refuse(-EPROTO, text, text_bytes,
			      "the segment's tables have other lengths than this program's");
	return 0;
}

static int check_tables(const struct shm_meta_header *header, char *text, size_t text_bytes)
{
	uint64_t nr_pageblocks =
		((uint64_t)header->nr_frames + PAGEBLOCK_FRAMES - 1) >> PAGEBLOCK_ORDER;
	const struct {
		const char *name;
		uint64_t offset, bytes;
	} tables[] = {
		{"zones", header->zones_offset, SHM_MAX_ZONES * sizeof(struct shm_zone)},
		{"counters", header->counters_offset, SHM_PAGE},
		{"clients", header->clients_offset, SHM_MAX_CLIENTS * sizeof(struct shm_client)},
		{"caches", header->caches_offset, SHM_MAX_CACHES * sizeof(struct shm_cache)},
		{"pageblocks", header->pageblocks_offset, nr_pageblocks},
		{"heads", header->heads_offset, (uint64_t)SHM_MAX_CLIENTS * SHM_CLIENT_HEADS_BYTES},
		{"mem_map", header->map_offset, header->nr_frames * sizeof(struct shm_page)},
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!table_fits(header, tables[i].offset, tables[i].bytes))
			return refuse(-EPROTO, text, text_bytes,
				      "the segment is damaged: its %s lie outside META",
				      tables[i].name);
	return 0;
}

static void view_fill(struct shm_view *view, const char *meta, const struct shm_meta_header *header)
{
	view->header = (const struct shm_meta_header *)(const void *)meta;
	view->zones = (const struct shm_zone *)(const void *)(meta + header->zones_offset);
	view->counters = (const uint64_t *)(const void *)(meta + header->counters_offset);
	view->clients = (const struct shm_client *)(const void *)(meta + header->clients_offset);
	view->caches = (const struct shm_cache *)(const void *)(meta + header->caches_offset);
	view->pageblocks = (const uint8_t *)(const void *)(meta + header->pageblocks_offset);
	view->heads = meta + header->heads_offset;
	view->map = (const struct shm_page *)(const void *)(meta + header->map_offset);
	view->bytes = header->meta_bytes;
}

int shm_view_check(struct shm_view *ret_view, const void *meta, uint64_t bytes, char *text,
		   size_t text_bytes)
{
	struct shm_meta_header header;
	int r;

	if (text_bytes)
		text[0] = '\0';
	if (bytes < SHM_PAGE)
		return refuse(-EPROTO, text, text_bytes,
			      "no segment: %llu bytes are less than a header",
			      (unsigned long long)bytes);
	memcpy(&header, meta, sizeof(header));
	if (header.magic != SHM_META_MAGIC)
		return refuse(-EPROTO, text, text_bytes, "no segment: its magic is %#llx",
			      (unsigned long long)header.magic);
	if (header.version != SHM_LAYOUT_VERSION)
		return refuse(-EPROTONOSUPPORT, text, text_bytes,
			      "the segment has layout version %u, this program knows version %u",
			      header.version, SHM_LAYOUT_VERSION);
	r = check_numbers(&header, bytes, text, text_bytes);
	if (r)
		return r;
	r = check_tables(&header, text, text_bytes);
	if (r)
		return r;
	view_fill(ret_view, meta, &header);
	return 0;
}

int shm_view_attach(struct shm_view *view, int fd, char *text, size_t text_bytes)
{
	struct stat st;
	void *meta;
	int r;

	if (fstat(fd, &st) < 0) {
		r = -errno;
		return refuse(r, text, text_bytes, "META cannot be read: %s", strerror(-r));
	}
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)SHM_PAGE)
		return refuse(-EPROTO, text, text_bytes,
			      "no segment: its descriptor is no file with a header");
	meta = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (meta == MAP_FAILED) {
		r = -errno;
		return refuse(r, text, text_bytes, "META cannot be mapped: %s", strerror(-r));
	}
	r = shm_view_check(view, meta, (uint64_t)st.st_size, text, text_bytes);
	if (r)
		(void)munmap(meta, (size_t)st.st_size);
	return r;
}

void shm_view_detach(struct shm_view *view)
{
	union {
		const void *from;
		void *to;
	} meta = {.from = view->header}; /* munmap() takes no const */

	if (meta.to)
		(void)munmap(meta.to, view->bytes);
	memset(view, 0, sizeof(*view));
}

const struct shm_client *shm_view_client(const struct shm_view *view, client_id id)
{
	PAGED_CHECK(id >= 1 && id <= SHM_MAX_CLIENTS);
	return &view->clients[id - 1];
}

const struct shm_head *shm_view_head(const struct shm_view *view, client_id id, uint32_t thread,
				     uint32_t magazine)
{
	PAGED_CHECK(id >= 1 && id <= SHM_MAX_CLIENTS);
	PAGED_CHECK(thread < SHM_MAX_THREADS && magazine < MAGAZINE_COUNT);
	return (const struct shm_head *)(const void *)(view->heads +
						       (uint64_t)(id - 1) * SHM_CLIENT_HEADS_BYTES +
						       shm_head_offset(thread, magazine));
}

uint64_t shm_view_counter(const struct shm_view *view, enum counter counter)
{
	PAGED_CHECK(counter < COUNTER_COUNT);
	/* A daemon that is older than this program has fewer: what it does not count is 0. */
	if ((uint32_t)counter >= view->header->nr_counters)
		return 0;
	return __atomic_load_n(&view->counters[counter], __ATOMIC_RELAXED);
}

struct page_word shm_view_word(const struct shm_view *view, pfn_t pfn)
{
	PAGED_CHECK(pfn < view->header->nr_frames);
	return page_word_unpack(shm_load(&view->map[pfn].word));
}
