/* shm/segment.c - files of shared memory: made and adopted; and a client's CTL.
 *
 * A name lives in /dev/shm, where anybody may make files: so a part is created with O_EXCL, and one
 * that exists is believed only if nobody else can have made or linked it. The text of an error
 * names the object, so that who reads it needs no second question. Memory is given by
 * segment_memory.c. */
#include "shm/segment.h"

#include "paged/bits.h"
#include "paged/check.h"
#include "paged/crash_point.h"
#include "paged/refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHM_DIR "/dev/shm" /* where shm_open() puts its names */
#define PART_NAME_BYTES 96
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* Names tried by segment_put_aside() within one second; more would hide what is wrong. */
#define PUT_ASIDE_TRIES 16u

const char *shm_part_name(enum shm_part part)
{
	static const char *const names[] = {
		[SHM_PART_META] = "meta", [SHM_PART_STATE] = "state", [SHM_PART_DATA] = "data"};

	PAGED_CHECK(part <= SHM_PART_DATA);
	return names[part];
}

/* "/paged-<instance>-<part>"; an instance has at most 31 bytes, so it always fits. */
static void part_name(const char *instance, enum shm_part part, char ret_name[PART_NAME_BYTES])
{
	int n = snprintf(ret_name, PART_NAME_BYTES, "/paged-%s-%s", instance, shm_part_name(part));

	PAGED_CHECK(n > 0 && n < PART_NAME_BYTES);
}

/* --- making --------------------------------------------------------------------------------- */

static int create_posix(const char *name, uint64_t bytes, int *ret_fd, char *text,
			size_t text_bytes)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0) {
		r = -errno;
		return refuse(r, text, text_bytes, SHM_DIR "%s cannot be made: %s", name,
			      strerror(-r));
	}
	CRASH_POINT(SEGMENT_NAMED);
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0) {
		r = -errno;
		(void)shm_unlink(name);
		(void)close(fd);
		return refuse(r, text, text_bytes, SHM_DIR "%s cannot have %llu bytes: %s", name,
			      (unsigned long long)bytes, strerror(-r));
	}
	CRASH_POINT(SEGMENT_SIZED);
	*ret_fd = fd;
	return 0;
}

/* name without its leading slash shows up in /proc/PID/maps. */
static int create_memfd(const char *name, uint64_t bytes, unsigned int flags, int *ret_fd,
			char *text, size_t text_bytes)
{
	int fd = memfd_create(name + 1, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	int r;

	if (fd < 0) {
		r = -errno;
		return refuse(r, text, text_bytes, "memfd %s cannot be made: %s", name + 1,
			      strerror(-r));
	}
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		r = -errno;
		(void)close(fd);
		return refuse(r, text, text_bytes, "memfd %s cannot have %llu bytes: %s", name + 1,
			      (unsigned long long)bytes, strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

int segment_create(enum shm_backing backing, const char *instance, enum shm_part part,
		   uint64_t bytes, int *ret_fd, char *text, size_t text_bytes)
{
	char name[PART_NAME_BYTES];

	part_name(instance, part, name);
	if (bytes == 0 || bytes > INT64_MAX)
		return refuse(-EINVAL, text, text_bytes, "%s cannot have %llu bytes", name + 1,
			      (unsigned long long)bytes);
	if (backing == SHM_BACKING_MEMFD)
		return create_memfd(name, bytes, 0, ret_fd, text, text_bytes);
	return create_posix(name, bytes, ret_fd, text, text_bytes);
}

int segment_create_hugetlb(const char *instance, enum shm_part part, uint64_t bytes, int *ret_fd,
			   char *text, size_t text_bytes)
{
	char name[PART_NAME_BYTES];

	part_name(instance, part, name);
	PAGED_CHECK(bytes % SEGMENT_HUGE_BYTES == 0);
	return create_memfd(name, bytes, MFD_HUGETLB | MFD_HUGE_2MB, ret_fd, text, text_bytes);
}

/* --- adopting ------------------------------------------------------------------------------- */

static int refuse_foreign(const char *name, const struct stat *st, char *text, size_t text_bytes)
{
	return refuse(-EPERM, text, text_bytes,
		      SHM_DIR "%s is not ours: %s, owner uid %u, mode %04o, %lu link(s); "
			      "expected a file of uid %u, mode 0600, one link: remove it or choose "
			      "another --instance",
		      name, S_ISREG(st->st_mode) ? "a file" : "no regular file", st->st_uid,
		      st->st_mode & 07777u, (unsigned long)st->st_nlink, geteuid());
}

static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 07777) == 0600 &&
	       st->st_nlink == 1;
}

/* shm_open() failed: if the name is there, say whose it is. */
static int refuse_unopened(const char *name, int r, char *text, size_t text_bytes)
{
	char path[sizeof(SHM_DIR) + PART_NAME_BYTES];
	struct stat st;

	if (r == -ENOENT)
		return refuse(r, text, text_bytes, SHM_DIR "%s does not exist", name);
	(void)snprintf(path, sizeof(path), SHM_DIR "%s", name);
	if (lstat(path, &st) == 0 && !is_ours(&st))
		return refuse_foreign(name, &st, text, text_bytes);
	return refuse(r, text, text_bytes, SHM_DIR "%s cannot be opened: %s", name, strerror(-r));
}

static int open_ours(const char *name, int flags, int *ret_fd, uint64_t *ret_bytes, char *text,
		     size_t text_bytes)
{
	struct stat st;
	int fd;
	int r;

	fd = shm_open(name, flags | O_CLOEXEC, 0);
	if (fd < 0)
		return refuse_unopened(name, -errno, text, text_bytes);
	if (fstat(fd, &st) < 0) {
		r = -errno;
		(void)close(fd);
		return refuse(r, text, text_bytes, SHM_DIR "%s: %s", name, strerror(-r));
	}
	if (!is_ours(&st)) {
		(void)close(fd);
		return refuse_foreign(name, &st, text, text_bytes);
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

int segment_adopt(const char *instance, enum shm_part part, int *ret_fd, uint64_t *ret_bytes,
		  char *text, size_t text_bytes)
{
	char name[PART_NAME_BYTES];

	part_name(instance, part, name);
	return open_ours(name, O_RDWR, ret_fd, ret_bytes, text, text_bytes);
}

int segment_inspect(const char *instance, enum shm_part part, const char *aside, int *ret_fd,
		    uint64_t *ret_bytes, char *text, size_t text_bytes)
{
	char name[PART_NAME_BYTES];
	size_t n;

	part_name(instance, part, name);
	n = strlen(name);
	if (aside)
		(void)snprintf(name + n, sizeof(name) - n, ".old-%s", aside);
	return open_ours(name, O_RDONLY, ret_fd, ret_bytes, text, text_bytes);
}

int segment_put_aside(const char *instance, enum shm_part part, char *text, size_t text_bytes)
{
	char name[PART_NAME_BYTES];
	char from[sizeof(SHM_DIR) + PART_NAME_BYTES];
	char to[sizeof(SHM_DIR) + PART_NAME_BYTES + 48];
	int r = -EEXIST;

	part_name(instance, part, name);
	(void)snprintf(from, sizeof(from), SHM_DIR "%s", name);
	for (unsigned int i = 0; i < PUT_ASIDE_TRIES && r == -EEXIST; i++) {
		(void)snprintf(to, sizeof(to), "%s.old-%lld%.*s%.*u", from, (long long)time(NULL),
			       i ? 1 : 0, "-", i ? 1 : 0, i);
		r = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
	}
	if (r)
		return refuse(r, text, text_bytes, "%s cannot be put aside as %s: %s", from, to,
			      strerror(-r));
	CRASH_POINT(SEGMENT_PUT_ASIDE);
	return refuse(0, text, text_bytes, "%s", to);
}

int segment_unlink(const char *instance, enum shm_part part)
{
	char name[PART_NAME_BYTES];

	part_name(instance, part, name);
	return shm_unlink(name) < 0 ? -errno : 0;
}

int segment_reopen_read_only(int fd, int *ret_fd)
{
	char path[64];
	int copy;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDONLY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

/* --- CTL ------------------------------------------------------------------------------------ */

static int ctl_fill(int fd, client_id client, uint32_t max_threads, uint32_t nr_slots,
		    uint64_t instance_id)
{
	struct shm_ctl_header header = {
		.magic = SHM_CTL_MAGIC,
		.version = SHM_LAYOUT_VERSION,
		.max_threads = max_threads,
		.instance_id = instance_id,
		.ctl_bytes = shm_ctl_bytes(max_threads, nr_slots),
		.client = client,
	};
	ssize_t n;

	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)header.ctl_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	/* By a system call: where memory is short it fails, and a store would kill. */
	n = pwrite(fd, &header, sizeof(header), 0);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(header) ? 0 : -ENOSPC;
}

int segment_ctl_map(int fd, uint32_t max_threads, uint32_t nr_slots, void **ret_map)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	uint64_t bytes = shm_ctl_bytes(max_threads, nr_slots);
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != bytes || (fcntl(fd, F_GET_SEALS) & wanted) != wanted)
		return -EBADF;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret_map = map;
	return 0;
}

int segment_ctl_create(client_id client, uint32_t max_threads, uint32_t nr_slots,
		       uint64_t instance_id, int *ret_fd, void **ret_map)
{
	char name[32];
	void *map;
	int fd;
	int r;

	PAGED_CHECK(max_threads >= 1 && max_threads <= SHM_MAX_THREADS);
	(void)snprintf(name, sizeof(name), "paged-ctl-%u", client);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = ctl_fill(fd, client, max_threads, nr_slots, instance_id);
	if (r) {
		(void)close(fd);
		return r;
	}
	r = segment_ctl_map(fd, max_threads, nr_slots, &map);
	if (r) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	*ret_map = map;
	return 0;
}

int segment_ctl_give_table(int fd, uint32_t max_threads, uint32_t from, uint32_t to)
{
	uint64_t table = shm_ctl_table_offset(max_threads);
	int r;

	/* With it the page before: what the client tells about its purgeable frames. */
	do
		r = fallocate(fd, 0, (off_t)(table - SHM_PAGE + (uint64_t)from * 8),
			      (off_t)(SHM_PAGE + (uint64_t)(to - from) * 8));
	while (r < 0 && errno == EINTR); /* a signal cuts it short */
	return r < 0 ? -errno : 0;
}
