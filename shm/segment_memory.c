/* shm/segment_memory.c - memory for the files of segment.c: given, taken back, of huge pages.
 *
 * Every shortage is met in a system call that can say so (fallocate, MADV_POPULATE_WRITE), never in
 * a store: a store into a page that a full tmpfs cannot give is a SIGBUS. The text of an error
 * names the object and what to do.
 *
 * Huge pages of DATA come in three ways. The kernel gives them to who asks with MADV_HUGEPAGE,
 * where the administrator lets it (huge= of the tmpfs, shmem_enabled for a memfd). MADV_COLLAPSE
 * makes one of what is there, whatever they say but "deny": for hugepages = always. And a file of
 * hugetlb has no others. Whether a block is one is asked of the kernel (PAGEMAP_SCAN) where it can
 * tell. */
#include "shm/segment.h"

#include "paged/bits.h"
#include "paged/refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* Left of a limited file system, of which it is a sixteenth at most, for META and STATE of clients.
 * Lower: the stock of frames keeps them out; higher: fewer frames. */
#define FRAMES_LEAVE (UINT64_C(1) << 20)

/* One huge page, and what is mapped at a time. Lower: no huge page fits. Higher: the daemon's
 * resident memory shows the block while it is populated. */
#define COMMIT_CHUNK SEGMENT_HUGE_BYTES

/* The name of the file behind fd as people know it: its path, or "memfd paged-x-data". */
static void file_name(int fd, char *ret_name, size_t bytes)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_name, bytes - 1);
	(void)snprintf(ret_name + (n > 0 ? n : 0), bytes - (size_t)(n > 0 ? n : 0), "%s",
		       n > 0 ? "" : "the segment");
}

/* r says that memory is short; which memory, and what to do? */
static int refuse_shortage(int fd, uint64_t bytes, int r, char *text, size_t text_bytes)
{
	char name[PATH_MAX];
	struct statfs fs;

	file_name(fd, name, sizeof(name));
	if (r != -ENOSPC && r != -ENOMEM && r != -EDQUOT)
		return refuse(r, text, text_bytes, "%s cannot be given memory: %s", name,
			      strerror(-r));
	if (segment_is_hugetlb(fd))
		return refuse(r, text, text_bytes,
			      "no huge page is free for %llu KiB more in %s: raise vm.nr_hugepages",
			      (unsigned long long)(bytes >> 10), name);
	if (fstatfs(fd, &fs) == 0 && fs.f_blocks > 0 && strncmp(name, "/memfd:", 7) != 0) {
		uint64_t unit = (uint64_t)fs.f_bsize;

		return refuse(r, text, text_bytes,
			      "no room for %llu KiB more in %s: its tmpfs has %llu MiB, %llu KiB "
			      "free; enlarge it (mount -o remount,size=...) or free some of it",
			      (unsigned long long)(bytes >> 10), name,
			      (unsigned long long)(fs.f_blocks * unit >> 20),
			      (unsigned long long)(fs.f_bavail * unit >> 10));
	}
	return refuse(r, text, text_bytes, "no memory for %llu KiB more in %s: %s",
		      (unsigned long long)(bytes >> 10), name, strerror(-r));
}

/* --- files ---------------------------------------------------------------------------------- */

bool segment_is_hugetlb(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
}

int segment_check_room(int fd, uint64_t bytes, char *text, size_t text_bytes)
{
	struct statfs fs;
	uint64_t unit;

	if (fstatfs(fd, &fs) < 0 || fs.f_blocks == 0)
		return 0;
	unit = (uint64_t)fs.f_bsize;
	if (fs.f_bavail * unit >= bytes + bits_min(fs.f_blocks * unit / 16, FRAMES_LEAVE))
		return 0;
	return refuse_shortage(fd, bytes, -ENOSPC, text, text_bytes);
}

static int allocate(int fd, uint64_t offset, uint64_t bytes)
{
	int r;

	do
		r = fallocate(fd, 0, (off_t)offset, (off_t)bytes) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

int segment_reserve(int fd, uint64_t offset, uint64_t bytes, char *text, size_t text_bytes)
{
	int r;

	if (bytes == 0)
		return 0;
	r = allocate(fd, offset, bytes);
	if (r)
		return refuse_shortage(fd, bytes, r, text, text_bytes);
	return 0;
}

int segment_punch(int fd, uint64_t offset, uint64_t bytes)
{
	int r;

	do
		r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			      (off_t)bytes) < 0
			    ? -errno
			    : 0;
	while (r == -EINTR);
	return r;
}

/* --- mapped --------------------------------------------------------------------------------- */

/* Maps `bytes` of fd at an address that is congruent to a huge page: without that the kernel gives
 * small ones. The reservation around it is *ret_base of *ret_bytes. */
static int map_aligned(int fd, uint64_t offset, uint64_t bytes, void **ret_base, size_t *ret_bytes,
		       void **ret_map)
{
	size_t whole = bytes + COMMIT_CHUNK;
	char *base =
		mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;
	void *map;

	if (base == MAP_FAILED)
		return -errno;
	skip = (size_t)((offset - (uintptr_t)base) & (COMMIT_CHUNK - 1));
	map = mmap(base + skip, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		   (off_t)offset);
	if (map == MAP_FAILED) {
		int r = -errno;

		(void)munmap(base, whole);
		return r;
	}
	*ret_base = base;
	*ret_bytes = whole;
	*ret_map = map;
	return 0;
}

/* madvise() of one that a signal may cut short; 0 or -errno. */
static int advise(void *map, size_t bytes, int advice)
{
	int r;

	do
		r = madvise(map, bytes, advice) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

/* PAGEMAP_SCAN of linux/fs.h, Linux 6.7: the headers may be older than the kernel. */
#define SCAN_IS_HUGE (UINT64_C(1) << 6)
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_request {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_PAGEMAP _IOWR('f', 16, struct scan_request)

/* Adds what is mapped there to *pages; nothing where the kernel does not tell. */
static void count_pages(const void *map, uint64_t bytes, struct segment_pages *pages)
{
	uint64_t start = (uintptr_t)map;
	struct scan_region region = {0};
	struct scan_request request = {.size = sizeof(request),
				       .start = start,
				       .end = start + bytes,
				       .vec = (uintptr_t)&region,
				       .vec_len = 1,
				       .category_mask = SCAN_IS_HUGE,
				       .return_mask = SCAN_IS_HUGE};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int n;

	if (fd < 0)
		return;
	n = ioctl(fd, SCAN_PAGEMAP, &request);
	(void)close(fd);
	if (n < 0)
		return;
	if (n > 0)
		pages->huge_bytes += region.end - region.start;
	pages->small_bytes += bytes - (n > 0 ? region.end - region.start : 0);
}

/* Returns 0, -EINVAL where the kernel has no MADV_POPULATE_WRITE, or the shortage. */
static int populate(int fd, uint64_t offset, uint64_t bytes, enum shm_hugepages hugepages,
		    struct segment_pages *pages)
{
	void *base = NULL, *map = NULL;
	size_t whole = 0;
	int r = map_aligned(fd, offset, bytes, &base, &whole, &map);

	if (r)
		return r;
	/* Both are hints: where huge pages are off, small ones do. A collapse wants one page that
	 * is there, and would copy those that are more. */
	(void)advise(map, bytes, MADV_HUGEPAGE);
	if (hugepages == SHM_HUGEPAGES_ALWAYS && bytes == COMMIT_CHUNK &&
	    advise(map, SHM_PAGE, MADV_POPULATE_WRITE) == 0)
		(void)advise(map, bytes, MADV_COLLAPSE);
	r = advise(map, bytes, MADV_POPULATE_WRITE);
	if (r == 0)
		count_pages(map, bytes, pages);
	(void)munmap(base, whole);
	/* A full tmpfs answers the fault with SIGBUS, which the call turns into EFAULT. */
	return r == -EFAULT || r == -EHWPOISON ? -ENOSPC : r;
}

static int commit_chunk(int fd, uint64_t offset, uint64_t bytes, enum shm_hugepages hugepages,
			struct segment_pages *pages)
{
	int r = -EINVAL;

	if (hugepages != SHM_HUGEPAGES_NEVER)
		r = populate(fd, offset, bytes, hugepages, pages);
	return r == -EINVAL ? allocate(fd, offset, bytes) : r;
}

static int commit_hugetlb(int fd, uint64_t offset, uint64_t bytes, struct segment_pages *pages,
			  char *text, size_t text_bytes)
{
	int r = allocate(fd, offset, bytes);

	if (r) {
		(void)segment_punch(fd, offset, bytes);
		return refuse_shortage(fd, bytes, r, text, text_bytes);
	}
	pages->huge_bytes += bytes;
	return 0;
}

int segment_commit(int fd, uint64_t offset, uint64_t bytes, enum shm_hugepages hugepages,
		   struct segment_pages *pages, char *text, size_t text_bytes)
{
	if (segment_is_hugetlb(fd))
		return commit_hugetlb(fd, offset, bytes, pages, text, text_bytes);
	for (uint64_t done = 0; done < bytes;) {
		uint64_t n = bits_min(COMMIT_CHUNK, bytes - done);
		int r = commit_chunk(fd, offset + done, n, hugepages, pages);

		if (r) {
			(void)segment_punch(fd, offset, bytes);
			return refuse_shortage(fd, bytes, r, text, text_bytes);
		}
		done += n;
	}
	return 0;
}
