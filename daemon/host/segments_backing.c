/* daemon/host/segments_backing.c - files in /dev/shm or memfds, new ones or those that were held
 * for us; see segments.h. */
#include "daemon/host/segments.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool segments_shm_is_large_enough(const struct segments *segments)
{
	const struct log *log = segments->options.log;
	uint64_t wanted = segments_bytes_at_start(segments);
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
		  "segment ends with the daemon, unless the service manager holds it",
		  (unsigned long long)(bytes >> 20), (unsigned long long)(wanted >> 20));
	return false;
}

void segments_warn_of_files(const struct segments *segments)
{
	const char *instance = segments->options.instance;
	char text[SHM_TEXT_BYTES];
	uint64_t bytes;
	bool held;
	int fd;

	if (segment_adopt(instance, SHM_PART_META, &fd, &bytes, text, sizeof(text)))
		return;
	held = flock(fd, LOCK_EX | LOCK_NB) < 0;
	(void)close(fd);
	if (!held)
		log_print(segments->options.log, LOG_LEVEL_WARNING,
			  "the segment is a memfd now: /dev/shm/paged-%s-{meta,state,data} of an "
			  "earlier start are not used; remove them to give their memory back",
			  instance);
}

bool segments_take_stored(struct segments *segments)
{
	struct store *store = segments->options.store;
	int fd[STORE_NR_PARTS];
	bool taken;

	if (!store)
		return false;
	taken = segments->options.backing != SEGMENTS_POSIX && store_take_parts(store, fd);
	if (taken) {
		segments->backing = SHM_BACKING_MEMFD;
		segments->meta_fd = fd[SHM_PART_META];
		segments->state_fd = fd[SHM_PART_STATE];
		segments->data_fd = fd[SHM_PART_DATA];
	} else if (store->part[SHM_PART_META] >= 0) {
		log_print(segments->options.log, LOG_LEVEL_WARNING,
			  "the segment that the service manager held is given up: %s",
			  segments->options.backing == SEGMENTS_POSIX
				  ? "backing = posix"
				  : "it is not whole, or not ours");
	}
	store_close_parts(store);
	return taken;
}
