/* daemon/host/segments.c - names, locks and mappings; see segments.h. */
#include "daemon/host/segments.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* An old server that is being killed needs moments to let go; who holds it longer is alive. */
#define LOCK_WAIT_MS 5000
#define LOCK_STEP_MS 20
/* A name that changes under us more often than that is somebody at play. */
#define OPEN_TRIES 4
/* Starts that began and did not end well; then the segment is to blame. */
#define RECOVERIES_MAX 3u

static const enum shm_part parts[] = {SHM_PART_META, SHM_PART_STATE, SHM_PART_DATA};

__attribute__((format(printf, 4, 5))) static int refuse(int r, char *text, size_t text_bytes,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, text_bytes, format, arguments);
	va_end(arguments);
	return r;
}

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

/* --- putting away --------------------------------------------------------------------------- */

/* Each part of that name that is ours and there gets another name. */
static int put_aside(const struct segments *segments, const char *why, char *text,
		     size_t text_bytes)
{
	const struct segments_options *options = &segments->options;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t bytes;
		int fd;
		int r = segment_adopt(options->instance, parts[i], &fd, &bytes, text, text_bytes);

		if (r == -ENOENT)
			continue;
		if (r)
			return r;
		(void)close(fd);
		r = segment_put_aside(options->instance, parts[i], text, text_bytes);
		if (r)
			return r;
		log_print(options->log, LOG_LEVEL_WARNING,
			  "put aside as %s (%s); remove it to give its memory back", text, why);
	}
	return 0;
}

/* Of the names that are ours: what somebody else put there is not for us to remove. */
static void remove_unfinished(const struct segments *segments)
{
	char text[SHM_TEXT_BYTES];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t bytes;
		int fd;

		if (segment_adopt(segments->options.instance, parts[i], &fd, &bytes, text,
				  sizeof(text)))
			continue;
		(void)close(fd);
		(void)segment_unlink(segments->options.instance, parts[i]);
	}
}

/* --- making --------------------------------------------------------------------------------- */

/* A part beside a META that we made ourselves: what has its name is left over from another one. */
static int create_beside(struct segments *segments, enum shm_part part, uint64_t bytes, int *ret_fd,
			 char *text, size_t text_bytes)
{
	const char *instance = segments->options.instance;
	uint64_t old_bytes;
	int old, r;

	r = segment_create(segments->backing, instance, part, bytes, ret_fd, text, text_bytes);
	if (r != -EEXIST)
		return r;
	r = segment_adopt(instance, part, &old, &old_bytes, text, text_bytes);
	if (r)
		return r;
	(void)close(old);
	r = segment_put_aside(instance, part, text, text_bytes);
	if (r)
		return r;
	log_print(segments->options.log, LOG_LEVEL_WARNING, "put aside as %s (META was missing)",
		  text);
	return segment_create(segments->backing, instance, part, bytes, ret_fd, text, text_bytes);
}

/* META is there, new and locked: the rest, mapped and formatted. */
static int make_rest(struct segments *segments, char *text, size_t text_bytes)
{
	int r = create_beside(segments, SHM_PART_STATE, segments->state_bytes, &segments->state_fd,
			      text, text_bytes);

	if (r)
		return r;
	r = create_beside(segments, SHM_PART_DATA, segments->data_bytes, &segments->data_fd, text,
			  text_bytes);
	if (r)
		return r;
	r = map_all(segments, text, text_bytes);
	if (r)
		return r;
	segments->adopted = false;
	return segments_format(segments, text, text_bytes);
}

static int open_nameless(struct segments *segments, char *text, size_t text_bytes)
{
	int r;

	segments->backing = SHM_BACKING_MEMFD;
	r = segment_create(SHM_BACKING_MEMFD, segments->options.instance, SHM_PART_META,
			   segments->meta_bytes, &segments->meta_fd, text, text_bytes);
	if (r == 0)
		r = make_rest(segments, text, text_bytes);
	if (r)
		segments_close(segments);
	return r;
}

/* --- taking over ---------------------------------------------------------------------------- */

static int lock(const struct segments *segments, char *text, size_t text_bytes)
{
	for (int waited = 0;; waited += LOCK_STEP_MS) {
		if (flock(segments->meta_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return refuse(-errno, text, text_bytes, "the lock of instance %s: %s",
				      segments->options.instance, strerror(errno));
		if (waited >= LOCK_WAIT_MS)
			return refuse(-EBUSY, text, text_bytes, "instance %s is already running",
				      segments->options.instance);
		(void)poll(NULL, 0, LOCK_STEP_MS);
	}
}

/* Between our open and our lock somebody may have put the file aside. */
static bool is_still_named(const struct segments *segments)
{
	char text[SHM_TEXT_BYTES];
	struct stat ours, named;
	uint64_t bytes;
	bool same;
	int fd;

	if (segment_adopt(segments->options.instance, SHM_PART_META, &fd, &bytes, text,
			  sizeof(text)))
		return false;
	same = fstat(segments->meta_fd, &ours) == 0 && fstat(fd, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
	(void)close(fd);
	return same;
}

static bool adopt_beside(const struct segments *segments, enum shm_part part, uint64_t bytes,
			 int *ret_fd, char *text, size_t text_bytes)
{
	uint64_t found;

	if (segment_adopt(segments->options.instance, part, ret_fd, &found, text, text_bytes))
		return false;
	if (found == bytes)
		return true;
	(void)refuse(0, text, text_bytes, "%s has %llu bytes, expected %llu", shm_part_name(part),
		     (unsigned long long)found, (unsigned long long)bytes);
	close_fd(ret_fd);
	return false;
}

/* META is there, old and locked. Returns 0: adopted; -EAGAIN: put away, try again; -errno. */
static int adopt_rest(struct segments *segments, uint64_t meta_bytes, char *text, size_t text_bytes)
{
	char why[SHM_TEXT_BYTES];
	bool unfinished;
	int r;

	if (segments_match(segments, meta_bytes, &unfinished, why, sizeof(why)) &&
	    adopt_beside(segments, SHM_PART_STATE, segments->state_bytes, &segments->state_fd, why,
			 sizeof(why)) &&
	    adopt_beside(segments, SHM_PART_DATA, segments->data_bytes, &segments->data_fd, why,
			 sizeof(why))) {
		r = map_all(segments, text, text_bytes);
		if (r)
			return r;
		if (segments->state->recoveries < RECOVERIES_MAX)
			return segments_take_over(segments, text, text_bytes);
		(void)refuse(0, why, sizeof(why), "%u starts on it in a row failed",
			     RECOVERIES_MAX);
	}
	if (unfinished)
		remove_unfinished(segments);
	r = unfinished ? 0 : put_aside(segments, why, text, text_bytes);
	return r ? r : -EAGAIN;
}

/* One try. -EAGAIN: the name was put away or taken meanwhile. */
static int open_named_once(struct segments *segments, char *text, size_t text_bytes)
{
	const char *instance = segments->options.instance;
	uint64_t bytes;
	bool made = false;
	int r;

	r = segment_adopt(instance, SHM_PART_META, &segments->meta_fd, &bytes, text, text_bytes);
	if (r == -ENOENT) {
		made = true;
		r = segment_create(SHM_BACKING_POSIX, instance, SHM_PART_META, segments->meta_bytes,
				   &segments->meta_fd, text, text_bytes);
		if (r == -EEXIST)
			return -EAGAIN;
	}
	if (r)
		return r;
	r = lock(segments, text, text_bytes);
	if (r)
		return r;
	if (!is_still_named(segments))
		return -EAGAIN;
	if (!made)
		return adopt_rest(segments, bytes, text, text_bytes);
	r = make_rest(segments, text, text_bytes);
	if (r)
		remove_unfinished(segments);
	return r;
}

static int open_named(struct segments *segments, char *text, size_t text_bytes)
{
	int r = -EAGAIN;

	segments->backing = SHM_BACKING_POSIX;
	(void)refuse(0, text, text_bytes, "the name of instance %s changes all the time",
		     segments->options.instance);
	for (int i = 0; i < OPEN_TRIES && r == -EAGAIN; i++) {
		r = open_named_once(segments, text, text_bytes);
		if (r)
			segments_close(segments);
	}
	return r;
}

/* --- choosing ------------------------------------------------------------------------------- */

/* Can /dev/shm hold it all? Else a log line says why not. */
static bool shm_is_large_enough(const struct segments *segments)
{
	const struct log *log = segments->options.log;
	uint64_t wanted = segments->data_bytes;
	struct statvfs fs;
	uint64_t bytes;

	if (statvfs("/dev/shm", &fs) < 0) {
		log_print(log, LOG_LEVEL_NOTICE,
			  "backing = auto: memfd, because /dev/shm cannot be used: %s",
			  strerror(errno));
		return false;
	}
	bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (bytes == 0 || bytes >= wanted) /* 0: a tmpfs without a limit */
		return true;
	log_print(log, LOG_LEVEL_NOTICE,
		  "backing = auto: memfd, because /dev/shm has %lluM and the segment %lluM; the "
		  "segment ends with the daemon",
		  (unsigned long long)(bytes >> 20), (unsigned long long)(wanted >> 20));
	return false;
}

static int open_auto(struct segments *segments, char *text, size_t text_bytes)
{
	int r;

	if (!shm_is_large_enough(segments))
		return open_nameless(segments, text, text_bytes);
	r = open_named(segments, text, text_bytes);
	/* Somebody else's file or a daemon that runs are errors; a /dev/shm that cannot is not. */
	if (r != -ENOENT && r != -EROFS && r != -EACCES && r != -ENOSYS && r != -ENOSPC)
		return r;
	log_print(segments->options.log, LOG_LEVEL_NOTICE, "backing = auto: memfd, because %s",
		  text);
	return open_nameless(segments, text, text_bytes);
}

static int open_any(struct segments *segments, char *text, size_t text_bytes)
{
	switch (segments->options.backing) {
	case SEGMENTS_AUTO:
		return open_auto(segments, text, text_bytes);
	case SEGMENTS_POSIX:
		return open_named(segments, text, text_bytes);
	case SEGMENTS_MEMFD:
		break;
	}
	return open_nameless(segments, text, text_bytes);
}

static void forget(struct segments *segments)
{
	segments->meta_fd = segments->meta_read_fd = -1;
	segments->state_fd = segments->data_fd = segments->data_read_fd = -1;
	segments->meta = NULL;
	segments->state = NULL;
}

int segments_open(struct segments *ret_segments, const struct segments_options *options, char *text,
		  size_t text_bytes)
{
	memset(ret_segments, 0, sizeof(*ret_segments));
	ret_segments->options = *options;
	forget(ret_segments);
	segments_plan(ret_segments);
	return open_any(ret_segments, text, text_bytes);
}

int segments_renew(struct segments *segments, char *text, size_t text_bytes)
{
	int r = put_aside(segments, "it is damaged", text, text_bytes);

	if (r)
		return r;
	segments_close(segments);
	return open_any(segments, text, text_bytes);
}

void segments_names(const struct segments *segments, char *text, size_t text_bytes)
{
	const char *instance = segments->options.instance;

	text[0] = '\0';
	if (segments->backing == SHM_BACKING_POSIX)
		(void)snprintf(text, text_bytes, "/dev/shm/paged-%s-{meta,state,data}", instance);
}
