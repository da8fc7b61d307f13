/* shm/view.h - META as its readers see it: mapped read-only, checked once, then trusted.
 *
 * Used by the library and by pagectl. Attaching checks magic, version, that every table lies inside
 * the file and that the tables are as large as this program's layout says; after that the accessors
 * below need no checks but on the numbers that they are given. */
#ifndef SHM_VIEW_H
#define SHM_VIEW_H
#include "shm/access.h"
#include "shm/counters.h"
#include "shm/layout.h"

struct shm_view {
	const struct shm_meta_header *header;
	const struct shm_zone *zones;
	const uint64_t *counters;
	const struct shm_client *clients; /* [0] is client 1: use shm_view_client() */
	const struct shm_cache *caches;
	const uint8_t *pageblocks;
	const char *heads;
	const struct shm_page *map;
	uint64_t bytes;
};

/* Maps the META behind fd, which stays the caller's. Returns 0, or -errno with a sentence in text
 * (up to text_bytes, always terminated): -EPROTO no segment of ours or damaged, -EPROTONOSUPPORT
 * another layout version, -errno of mmap. */
int shm_view_attach(struct shm_view *view, int fd, char *text, size_t text_bytes);
void shm_view_detach(struct shm_view *view);

/* The same checks over memory that is there already (tests, the offline audit). */
int shm_view_check(struct shm_view *ret_view, const void *meta, uint64_t bytes, char *text,
		   size_t text_bytes);

/* id from 1 to SHM_MAX_CLIENTS. */
const struct shm_client *shm_view_client(const struct shm_view *view, client_id id);
const struct shm_head *shm_view_head(const struct shm_view *view, client_id id, uint32_t thread,
				     uint32_t magazine);
uint64_t shm_view_counter(const struct shm_view *view, enum counter counter);
/* pfn below nr_frames. */
struct page_word shm_view_word(const struct shm_view *view, pfn_t pfn);

#endif
