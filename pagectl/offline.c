/* pagectl/offline.c - the files of a dead daemon: found, locked, judged, copied. */
#include "pagectl/offline.h"

#include "pagectl/human.h"
#include "paged/refuse.h"
#include "shm/instance.h"
#include "shm/segment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR_PARTS 3u

struct parts {
	int fd[NR_PARTS]; /* by enum shm_part; -1: not open */
	uint64_t bytes[NR_PARTS];
	struct shm_meta_header header; /* once header_read() found it sound */
};

static void parts_close(struct parts *parts)
{
	for (uint32_t i = 0; i < NR_PARTS; i++)
		if (parts->fd[i] >= 0)
			(void)close(parts->fd[i]); /* META's holds the lock */
}

/* --- which ---------------------------------------------------------------------------------- */

static int name_instance(const struct pagectl *ctl, char ret_name[SHM_NAME_BYTES], char *text,
			 size_t text_bytes)
{
	const char *env = getenv("PAGED_SOCKET");
	char real[PATH_MAX] = "";

	if (ctl->instance) {
		(void)snprintf(ret_name, SHM_NAME_BYTES, "%s", ctl->instance);
		return PAGECTL_OK;
	}
	/* Another daemon's segments than those of the socket that is meant would be a surprise. */
	if (!ctl->runtime_dir && env && env[0])
		return refuse(PAGECTL_USAGE, text, text_bytes,
			      "$PAGED_SOCKET names a socket, not segments: say which with "
			      "--instance NAME or --runtime-dir DIR");
	if (ctl->runtime_dir && !realpath(ctl->runtime_dir, real))
		return refuse(PAGECTL_UNREACHABLE, text, text_bytes,
			      "%.300s: %s; segments can be named by --instance NAME too",
			      ctl->runtime_dir, human_errno(errno).s);
	instance_name_plan(instance_kind(ctl->runtime_dir), real, ret_name);
	return PAGECTL_OK;
}

static int parts_open(struct parts *parts, const char *instance, const char *aside, char *text,
		      size_t text_bytes)
{
	char why[SHM_TEXT_BYTES];

	for (uint32_t i = 0; i < NR_PARTS; i++) {
		int r = segment_inspect(instance, (enum shm_part)i, aside, &parts->fd[i],
					&parts->bytes[i], why, sizeof(why));

		if (r == -ENOENT && i == SHM_PART_META)
			return refuse(PAGECTL_UNREACHABLE, text, text_bytes,
				      "no segments of instance %s: %s. It never ran, or with "
				      "backing = memfd: such segments have no name and end with "
				      "the supervisor",
				      instance, why);
		if (r)
			return refuse(PAGECTL_FAILED, text, text_bytes, "%s", why);
	}
	return PAGECTL_OK;
}

/* A server holds LOCK_EX for as long as it lives. */
static int lock(const struct parts *parts, const char *instance, char *text, size_t text_bytes)
{
	struct shm_meta_header header = {0};
	char who[24] = "";

	if (flock(parts->fd[SHM_PART_META], LOCK_SH | LOCK_NB) == 0)
		return PAGECTL_OK;
	if (errno != EWOULDBLOCK)
		return refuse(PAGECTL_FAILED, text, text_bytes, "the lock of instance %s: %s",
			      instance, human_errno(errno).s);
	if (pread(parts->fd[SHM_PART_META], &header, sizeof(header), 0) ==
		    (ssize_t)sizeof(header) &&
	    header.magic == SHM_META_MAGIC && header.daemon_pid)
		(void)snprintf(who, sizeof(who), " (pid %u)", header.daemon_pid);
	return refuse(PAGECTL_FAILED, text, text_bytes,
		      "instance %s is running%s: pagectl check, without --offline, asks it",
		      instance, who);
}

/* --- are they what a daemon would adopt? ---------------------------------------------------- */

static int header_read(struct parts *parts, const char *instance, char *text, size_t text_bytes)
{
	_Alignas(struct shm_meta_header) char page[SHM_PAGE] = {0};
	char why[SHM_TEXT_BYTES];
	struct shm_view view;

	if (pread(parts->fd[SHM_PART_META], page, sizeof(page), 0) < 0)
		return refuse(PAGECTL_FAILED, text, text_bytes, "META of instance %s: %s", instance,
			      human_errno(errno).s);
	/* Looks at the header alone; what view points to is not there. */
	if (shm_view_check(&view, page, parts->bytes[SHM_PART_META], why, sizeof(why)) < 0)
		return refuse(PAGECTL_FAILED, text, text_bytes, "META of instance %s: %s", instance,
			      why);
	memcpy(&parts->header, page, sizeof(parts->header));
	if (strncmp(parts->header.instance, instance, SHM_NAME_BYTES) != 0)
		return refuse(PAGECTL_FAILED, text, text_bytes,
			      "META of instance %s: it belongs to instance %s", instance,
			      human_clean(parts->header.instance, SHM_NAME_BYTES).s);
	return PAGECTL_OK;
}

static int sizes_check(const struct parts *parts, const char *instance, char *text,
		       size_t text_bytes)
{
	struct shm_state_header plan = {0};
	uint64_t wanted[NR_PARTS];
	struct stat st;

	shm_state_plan(&plan);
	wanted[SHM_PART_META] = parts->header.meta_bytes;
	wanted[SHM_PART_STATE] = plan.state_bytes;
	wanted[SHM_PART_DATA] = parts->header.data_bytes;
	for (uint32_t i = 0; i < NR_PARTS; i++)
		if (parts->bytes[i] != wanted[i])
			return refuse(PAGECTL_FAILED, text, text_bytes,
				      "instance %s: its %s has %llu bytes, expected %llu", instance,
				      shm_part_name((enum shm_part)i),
				      (unsigned long long)parts->bytes[i],
				      (unsigned long long)wanted[i]);
	if (parts->header.committed_frames && fstat(parts->fd[SHM_PART_DATA], &st) == 0 &&
	    st.st_blocks == 0)
		return refuse(PAGECTL_FAILED, text, text_bytes,
			      "instance %s: %llu of its frames were committed, and its data has no "
			      "memory",
			      instance, (unsigned long long)parts->header.committed_frames);
	return PAGECTL_OK;
}

/* --- copies --------------------------------------------------------------------------------- */

static int read_range(int fd, char *to, uint64_t offset, uint64_t bytes)
{
	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* shorter than it was */
		to += n;
		offset += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

/* What holds data of [0, bytes) of fd, to the same places of to. */
static int read_data(int fd, char *to, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes;) {
		off_t from = lseek(fd, (off_t)at, SEEK_DATA);
		off_t end = from < 0 ? from : lseek(fd, from, SEEK_HOLE);
		int r;

		if (from < 0 && errno == ENXIO)
			return 0; /* holes only from here on */
		if (end < 0)
			return -errno;
		at = (uint64_t)end < bytes ? (uint64_t)end : bytes;
		r = read_range(fd, to + from, (uint64_t)from, at - (uint64_t)from);
		if (r)
			return r;
	}
	return 0;
}

static int copy(int fd, uint64_t bytes, void **ret_map)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	/* One page with data would bring 2 MiB, and META has one in every 4 MiB. */
	(void)madvise(map, bytes, MADV_NOHUGEPAGE);
	r = read_data(fd, map, bytes);
	if (r)
		(void)munmap(map, bytes);
	else
		*ret_map = map;
	return r;
}

static int copy_parts(const struct parts *parts, struct offline *offline, char *text,
		      size_t text_bytes)
{
	int r;

	offline->meta_bytes = parts->bytes[SHM_PART_META];
	offline->state_bytes = parts->bytes[SHM_PART_STATE];
	r = copy(parts->fd[SHM_PART_META], offline->meta_bytes, &offline->meta);
	if (r == 0)
		r = copy(parts->fd[SHM_PART_STATE], offline->state_bytes, &offline->state);
	if (r == 0)
		return PAGECTL_OK;
	return refuse(PAGECTL_FAILED, text, text_bytes,
		      "META and STATE of instance %s cannot be copied: %s", offline->instance,
		      human_errno(-r).s);
}

int offline_open(struct offline *ret_offline, const struct pagectl *ctl, char *text,
		 size_t text_bytes)
{
	__attribute__((cleanup(parts_close))) struct parts parts = {.fd = {-1, -1, -1}};
	struct offline *offline = ret_offline;
	int r;

	memset(offline, 0, sizeof(*offline));
	r = name_instance(ctl, offline->instance, text, text_bytes);
	if (r == PAGECTL_OK)
		r = parts_open(&parts, offline->instance, ctl->aside, text, text_bytes);
	if (r == PAGECTL_OK)
		r = lock(&parts, offline->instance, text, text_bytes);
	if (r == PAGECTL_OK)
		r = header_read(&parts, offline->instance, text, text_bytes);
	if (r == PAGECTL_OK)
		r = sizes_check(&parts, offline->instance, text, text_bytes);
	if (r == PAGECTL_OK)
		r = copy_parts(&parts, offline, text, text_bytes);
	if (r != PAGECTL_OK)
		offline_close(offline);
	return r;
}

void offline_close(struct offline *offline)
{
	if (offline->meta)
		(void)munmap(offline->meta, offline->meta_bytes);
	if (offline->state)
		(void)munmap(offline->state, offline->state_bytes);
	offline->meta = NULL;
	offline->state = NULL;
}
