/* shm/segment.h - the files behind META, STATE, DATA and CTL: made, adopted, given memory. System
 * calls only; what lies in them is layout.h's.
 *
 * posix: shm_open("/paged-<instance>-<part>") with O_EXCL and mode 0600; one that exists is adopted
 * only if it is a regular file of our uid, mode 0600, with one link. memfd: nameless, sealed
 * SHRINK, GROW and SEAL, mode 0600. Both are sparse: memory is given explicitly, so that a shortage
 * is an error and never a SIGBUS. Every fallible call sets text to a sentence that names the object
 * and what to do. */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H
#include "shm/layout.h"

#include <stdbool.h>

enum shm_part { SHM_PART_META, SHM_PART_STATE, SHM_PART_DATA };
const char *shm_part_name(enum shm_part part); /* "meta", "state", "data" */

/* Makes a part of `bytes` bytes. backing is POSIX or MEMFD. Returns 0 with the descriptor in
 * *ret_fd (close-on-exec); -EEXIST if the name is taken (posix only), -ENOSPC, -errno. */
int segment_create(enum shm_backing backing, const char *instance, enum shm_part part,
		   uint64_t bytes, int *ret_fd, char *text, size_t text_bytes);

/* As segment_create() with MEMFD, of huge pages that the administrator has reserved (hugetlb):
 * bytes is a multiple of SEGMENT_HUGE_BYTES. -ENOSYS, -EINVAL: the kernel has none. */
#define SEGMENT_HUGE_BYTES (UINT64_C(2) << 20)
int segment_create_hugetlb(const char *instance, enum shm_part part, uint64_t bytes, int *ret_fd,
			   char *text, size_t text_bytes);

/* Opens a part that an earlier daemon left. Returns 0; -ENOENT if there is none; -EPERM if somebody
 * else's file has the name (text names it, its owner and mode). */
int segment_adopt(const char *instance, enum shm_part part, int *ret_fd, uint64_t *ret_bytes,
		  char *text, size_t text_bytes);
/* The same, for reading only. aside: how the name of one that was put aside ends, after ".old-", at
 * most INSTANCE_ASIDE_BYTES (shm/instance.h); NULL: the one in use. */
int segment_inspect(const char *instance, enum shm_part part, const char *aside, int *ret_fd,
		    uint64_t *ret_bytes, char *text, size_t text_bytes);
/* Puts a part that cannot be used aside under "/paged-<instance>-<part>.old-<time>"; never destroys
 * it. */
int segment_put_aside(const char *instance, enum shm_part part, char *text, size_t text_bytes);
int segment_unlink(const char *instance, enum shm_part part);

/* A second descriptor of the same file, opened read-only: what clients get of META. */
int segment_reopen_read_only(int fd, int *ret_fd);

/* --- segment_memory.c ------------------------------------------------------------------------ */

bool segment_is_hugetlb(int fd);

/* Gives memory to [offset, offset + bytes) without mapping it. Returns 0, -ENOSPC with a text that
 * names the tmpfs and its size, or -errno. What it had given before it failed is not taken back. */
int segment_reserve(int fd, uint64_t offset, uint64_t bytes, char *text, size_t text_bytes);

/* Gives memory to a part of DATA: mapped alone, MADV_HUGEPAGE and MADV_POPULATE_WRITE, unmapped; by
 * fallocate if hugepages is NEVER, the file is one of hugetlb, or the kernel has no POPULATE_WRITE
 * (before 5.14). A shortage is -ENOSPC or -ENOMEM and all that was given is taken back. Adds to
 * *pages what it is made of, as far as the kernel tells. Thread-safe. */
struct segment_pages {
	uint64_t huge_bytes, small_bytes;
};
int segment_commit(int fd, uint64_t offset, uint64_t bytes, enum shm_hugepages hugepages,
		   struct segment_pages *pages, char *text, size_t text_bytes);
/* Before frames are given memory: is there so much, and a rest for what clients need beside them?
 * 0 or -ENOSPC with a sentence. */
int segment_check_room(int fd, uint64_t bytes, char *text, size_t text_bytes);
/* Takes memory back: punches a hole. */
int segment_punch(int fd, uint64_t offset, uint64_t bytes);

/* --- CTL ------------------------------------------------------------------------------------- */

/* The daemon's mapping of a CTL that it made earlier: -EBADF if its seals or size are not those of
 * one. fd stays the caller's. */
int segment_ctl_map(int fd, uint32_t max_threads, uint32_t nr_slots, void **ret_map);

/* Makes and maps a client's CTL: a fresh memfd, sealed, header written. *ret_map is the daemon's
 * mapping of shm_ctl_bytes(max_threads, nr_slots). */
int segment_ctl_create(client_id client, uint32_t max_threads, uint32_t nr_slots,
		       uint64_t instance_id, int *ret_fd, void **ret_map);
/* Gives memory to the entries [from, to) of its purge table. 0 or -errno. */
int segment_ctl_give_table(int fd, uint32_t max_threads, uint32_t from, uint32_t to);

#endif
