/* daemon/host/segments.c - names, locks and mappings; see segments.h. */
#include "daemon/host/segments.h"

#include "daemon/host/hugetlb.h"
#include "paged/refuse.h"

#include "paged/crash_point.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* An old server that is being killed needs moments to let go; who holds it longer is alive. */
#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 20
/* A name that changes under us more often than that is somebody at play. */
#define OPEN_TRIES 4
/* Starts that began and did not end well; then the segment is to blame. */
#define RECOVERIES_MAX 3u

static const enum shm_part parts[] = {SHM_PART_META, SHM_PART_STATE, SHM_PART_DATA};
#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void segments_close(struct segments *segments)
{
	if (segments->meta)
		(void)munmap(segments->meta, segments->meta_bytes);
	if (segments->state)
		(void)munmap(segments->state, segments->state_bytes);
	segments->meta = NULL;
	segments->state = NULL;
	close_fd(&segments->meta_fd);
	close_fd(&segments->meta_read_fd);
	close_fd(&segments->state_fd);
	close_fd(&segments->data_fd);
	close_fd(&segments->data_read_fd);
}

static int *part_fd(struct segments *segments, enum shm_part part)
{
	switch (part) {
	case SHM_PART_META:
		return &segments->meta_fd;
	case SHM_PART_STATE:
		return &segments->state_fd;
	case SHM_PART_DATA:
		break;
	}
	return &segments->data_fd;
}

static uint64_t part_bytes(const struct segments *segments, enum shm_part part)
{
	switch (part) {
	case SHM_PART_META:
		return segments->meta_bytes;
	case SHM_PART_STATE:
		return segments->state_bytes;
	case SHM_PART_DATA:
		break;
	}
	return segments->data_bytes;
}

/* --- the lock, in the server ---------------------------------------------------------------- */

/* An open of our own: a lock on the inherited one would be the supervisor's as well. */
static int open_own_meta(struct segments *segments, char *text, size_t text_bytes)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", segments->meta_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return refuse(-errno, text, text_bytes,
			      "META cannot be opened again: %s (is /proc mounted?)",
			      strerror(errno));
	close_fd(&segments->meta_fd);
	segments->meta_fd = fd;
	return 0;
}

/* Who has it, as far as META says so. */
static int refuse_running(const struct segments *segments, char *text, size_t text_bytes)
{
	struct shm_meta_header header = {0};
	ssize_t n = pread(segments->meta_fd, &header, sizeof(header), 0);
	char who[24] = "";

	if (n == (ssize_t)sizeof(header) && header.magic == SHM_META_MAGIC && header.daemon_pid)
		(void)snprintf(who, sizeof(who), " (pid %u)", header.daemon_pid);
	return refuse(-EBUSY, text, text_bytes,
		      "instance %s is already running%s; choose another --instance, or stop it",
		      segments->options.instance, who);
}

static int lock(const struct segments *segments, char *text, size_t text_bytes)
{
	for (int waited = 0;; waited += LOCK_STEP_MS) {
		if (flock(segments->meta_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return refuse(-errno, text, text_bytes, "the lock of instance %s: %s",
				      segments->options.instance, strerror(errno));
		if (waited >= LOCK_WAIT_MS)
			return refuse_running(segments, text, text_bytes);
		(void)poll(NULL, 0, LOCK_STEP_MS);
	}
}

static bool part_is_named(struct segments *segments, enum shm_part part)
{
	char text[SHM_TEXT_BYTES];
	struct stat ours, named;
	uint64_t bytes;
	bool same;
	int fd;

	if (segments->backing != SHM_BACKING_POSIX ||
	    segment_adopt(segments->options.instance, part, &fd, &bytes, text, sizeof(text)))
		return false;
	same = fstat(*part_fd(segments, part), &ours) == 0 && fstat(fd, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
	(void)close(fd);
	return same;
}

/* Between the supervisor's open and our lock somebody may have put the files aside. */
static bool all_are_named(struct segments *segments)
{
	for (size_t i = 0; i < NR_PARTS; i++)
		if (!part_is_named(segments, parts[i]))
			return false;
	return true;
}

/* --- putting away, under the lock ----------------------------------------------------------- */

/* Could anybody miss it? */
static bool part_holds_something(struct segments *segments, enum shm_part part)
{
	int fd = *part_fd(segments, part);
	struct stat st;

	if (part == SHM_PART_DATA)
		return fstat(fd, &st) < 0 || st.st_blocks > 0;
	return segments_has_magic(fd) != 0;
}

#define SUFFIX_BYTES 48

/* suffix: what the names so far end with; one more ends as `name` does. */
static void join_suffix(const char *name, char suffix[SUFFIX_BYTES])
{
	const char *old = strstr(name, ".old-");

	if (suffix[0] && old && strcmp(suffix, old) != 0)
		old = ".old-*"; /* a second went by */
	(void)snprintf(suffix, SUFFIX_BYTES, "%s", old ? old : ".old-*");
}

int segments_put_aside(struct segments *segments, enum segments_verdict verdict, const char *why,
		       char *text, size_t text_bytes)
{
	const char *instance = segments->options.instance;
	char suffix[SUFFIX_BYTES] = "";

	for (size_t i = 0; i < NR_PARTS; i++) {
		int r;

		if (!part_is_named(segments, parts[i]))
			continue;
		if (!part_holds_something(segments, parts[i])) {
			(void)segment_unlink(instance, parts[i]);
			continue;
		}
		r = segment_put_aside(instance, parts[i], text, text_bytes);
		if (r)
			return r;
		join_suffix(text, suffix);
	}
	if (!suffix[0])
		return refuse((int)verdict, text, text_bytes, "%s: started a new segment", why);
	return refuse(
		(int)verdict, text, text_bytes,
		"%s: started a new segment; the old one is /dev/shm/paged-%s-*%s, remove it to "
		"give its memory back",
		why, instance, suffix);
}

/* --- descriptors, in the supervisor --------------------------------------------------------- */

static int open_named_part(struct segments *segments, enum shm_part part, char *text,
			   size_t text_bytes)
{
	const char *instance = segments->options.instance;
	int *fd = part_fd(segments, part);
	uint64_t bytes;
	int r = -EEXIST;

	for (int i = 0; i < OPEN_TRIES && r == -EEXIST; i++) {
		r = segment_adopt(instance, part, fd, &bytes, text, text_bytes);
		if (r == -ENOENT)
			r = segment_create(SHM_BACKING_POSIX, instance, part,
					   part_bytes(segments, part), fd, text, text_bytes);
	}
	return r;
}

/* A part could not be had: those that we made beside it go, unless a server is at them already. */
static void drop_blank(struct segments *segments)
{
	char text[SHM_TEXT_BYTES];

	if (segments->meta_fd < 0 || open_own_meta(segments, text, sizeof(text)) ||
	    flock(segments->meta_fd, LOCK_EX | LOCK_NB) < 0 ||
	    segments_has_magic(segments->meta_fd) != 0)
		return;
	for (size_t i = 0; i < NR_PARTS; i++)
		if (part_is_named(segments, parts[i]) && !part_holds_something(segments, parts[i]))
			(void)segment_unlink(segments->options.instance, parts[i]);
}

static int open_parts(struct segments *segments, enum shm_backing backing, char *text,
		      size_t text_bytes)
{
	int r = 0;

	segments->backing = backing;
	for (size_t i = 0; i < NR_PARTS && r == 0; i++) {
		if (backing == SHM_BACKING_POSIX)
			r = open_named_part(segments, parts[i], text, text_bytes);
		else if (parts[i] == SHM_PART_DATA)
			r = hugetlb_create_data(segments, text, text_bytes);
		else
			r = segment_create(backing, segments->options.instance, parts[i],
					   part_bytes(segments, parts[i]),
					   part_fd(segments, parts[i]), text, text_bytes);
	}
	if (r) {
		drop_blank(segments);
		segments_close(segments);
	} else if (backing == SHM_BACKING_MEMFD) {
		store_keep_parts(
			(const int[]){segments->meta_fd, segments->state_fd, segments->data_fd});
	}
	return r;
}

static int open_auto(struct segments *segments, char *text, size_t text_bytes)
{
	int r;

	if (!segments_shm_is_large_enough(segments))
		return open_parts(segments, SHM_BACKING_MEMFD, text, text_bytes);
	r = open_parts(segments, SHM_BACKING_POSIX, text, text_bytes);
	/* Somebody else's file is an error; a /dev/shm that cannot is not. */
	if (r != -ENOENT && r != -EROFS && r != -EACCES && r != -ENOSYS && r != -ENOSPC)
		return r;
	log_print(segments->options.log, LOG_LEVEL_NOTICE, "backing = auto: memfd, because %s",
		  text);
	return open_parts(segments, SHM_BACKING_MEMFD, text, text_bytes);
}

int segments_reopen(struct segments *segments, enum segments_backing backing, char *text,
		    size_t text_bytes)
{
	if (segments->backing == SHM_BACKING_MEMFD && segments->data_fd >= 0)
		store_drop_parts();
	segments_close(segments);
	segments->settled = false;
	segments->adopted = false;
	switch (backing) {
	case SEGMENTS_AUTO:
		return open_auto(segments, text, text_bytes);
	case SEGMENTS_POSIX:
		return open_parts(segments, SHM_BACKING_POSIX, text, text_bytes);
	case SEGMENTS_MEMFD:
		break;
	}
	return open_parts(segments, SHM_BACKING_MEMFD, text, text_bytes);
}

int segments_open(struct segments *ret_segments, const struct segments_options *options, char *text,
		  size_t text_bytes)
{
	int r;

	memset(ret_segments, 0, sizeof(*ret_segments));
	ret_segments->options = *options;
	ret_segments->meta_fd = ret_segments->meta_read_fd = -1;
	ret_segments->state_fd = ret_segments->data_fd = ret_segments->data_read_fd = -1;
	segments_plan(ret_segments);
	if (segments_take_stored(ret_segments))
		return 0;
	r = segments_reopen(ret_segments, options->backing, text, text_bytes);
	if (r == 0 && ret_segments->backing == SHM_BACKING_MEMFD)
		segments_warn_of_files(ret_segments);
	return r;
}

void segments_names(const struct segments *segments, char *text, size_t text_bytes)
{
	const char *instance = segments->options.instance;

	text[0] = '\0';
	if (segments->backing == SHM_BACKING_POSIX)
		(void)snprintf(text, text_bytes, "/dev/shm/paged-%s-{meta,state,data}", instance);
}

/* --- attaching ------------------------------------------------------------------------------ */

static int map_part(int fd, uint64_t bytes, void **ret_map, char *text, size_t text_bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (map == MAP_FAILED)
		return refuse(-errno, text, text_bytes,
			      "%llu MiB of the segment cannot be mapped: %s",
			      (unsigned long long)(bytes >> 20), strerror(errno));
	*ret_map = map;
	return 0;
}

static int map_all(struct segments *segments, char *text, size_t text_bytes)
{
	void *meta = NULL, *state = NULL;
	int r = map_part(segments->meta_fd, segments->meta_bytes, &meta, text, text_bytes);

	if (r)
		return r;
	segments->meta = meta;
	r = map_part(segments->state_fd, segments->state_bytes, &state, text, text_bytes);
	if (r)
		return r;
	segments->state = state;
	r = segment_reopen_read_only(segments->meta_fd, &segments->meta_read_fd);
	if (r == 0)
		r = segment_reopen_read_only(segments->data_fd, &segments->data_read_fd);
	return r ? refuse(r, text, text_bytes,
			  "the segment cannot be opened read-only: %s (is /proc mounted?)",
			  strerror(-r))
		 : 0;
}

/* META has no magic. Are all three as we want them, and does STATE belong to nobody else? 1, 0, or
 * -errno: that cannot be told. */
static int parts_are_free(struct segments *segments)
{
	struct stat st;

	for (size_t i = 0; i < NR_PARTS; i++) {
		if (fstat(*part_fd(segments, parts[i]), &st) < 0)
			return -errno;
		if ((uint64_t)st.st_size != part_bytes(segments, parts[i]))
			return 0;
	}
	return segments_state_is_free(segments);
}

static int format(struct segments *segments, char *text, size_t text_bytes)
{
	/* Zeros, whatever a start that was cut short left. */
	int r = segment_punch(segments->meta_fd, 0, segments->meta_bytes);

	if (r == 0)
		r = segment_punch(segments->state_fd, 0, segments->state_bytes);
	if (r)
		return refuse(r, text, text_bytes, "META and STATE cannot be emptied: %s",
			      strerror(-r));
	r = map_all(segments, text, text_bytes);
	return r ? r : segments_format(segments, text, text_bytes);
}

static int make(struct segments *segments, char *text, size_t text_bytes)
{
	int r = parts_are_free(segments);

	if (r < 0)
		return segments_unread(r, text, text_bytes);
	if (r == 0)
		return segments_put_aside(segments, SEGMENTS_AGAIN,
					  "the old segment has lost its META", text, text_bytes);
	r = format(segments, text, text_bytes);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < NR_PARTS; i++)
		if (part_is_named(segments, parts[i]))
			(void)segment_unlink(segments->options.instance, parts[i]);
	return r == -ENOSPC && segments->options.backing == SEGMENTS_AUTO &&
			       segments->backing == SHM_BACKING_POSIX
		       ? SEGMENTS_NO_ROOM
		       : r;
}

static int take_over(struct segments *segments, char *text, size_t text_bytes)
{
	char why[SHM_TEXT_BYTES];
	int r = segments_match(segments, why, sizeof(why));

	if (r < 0)
		return refuse(r, text, text_bytes, "%s", why);
	if (r)
		return segments_put_aside(segments, (enum segments_verdict)r, why, text,
					  text_bytes);
	r = map_all(segments, text, text_bytes);
	if (r)
		return r;
	if (segments->state->recoveries < RECOVERIES_MAX)
		return segments_take_over(segments, text, text_bytes);
	(void)refuse(0, why, sizeof(why), "the old segment: %u starts on it in a row failed",
		     RECOVERIES_MAX);
	return segments_put_aside(segments, SEGMENTS_AGAIN, why, text, text_bytes);
}

int segments_attach(struct segments *segments, char *text, size_t text_bytes)
{
	int r = open_own_meta(segments, text, text_bytes);

	if (r == 0)
		r = lock(segments, text, text_bytes);
	if (r)
		return r;
	if (segments->backing == SHM_BACKING_POSIX && !segments->settled &&
	    !all_are_named(segments))
		return refuse(SEGMENTS_AGAIN, text, text_bytes,
			      "the files of instance %s were replaced meanwhile: looking again",
			      segments->options.instance);
	CRASH_POINT(SEGMENT_LOCKED);
	r = segments_has_magic(segments->meta_fd);
	if (r < 0)
		return segments_unread(r, text, text_bytes);
	return r ? take_over(segments, text, text_bytes) : make(segments, text, text_bytes);
}
