/* pagectl/offline.h - META and STATE of a daemon that is not there, as copies of our own.
 *
 * Copied, not mapped: a load from a hole of a file in /dev/shm gives the hole memory, through a
 * private mapping as well, and is a SIGBUS where the file system is full. So only what holds data
 * is read (SEEK_DATA), into anonymous memory of the file's length. A segment of 1 TiB that was
 * hardly used costs what it holds; the files, what they hold and the memory behind them stay as
 * they are; and who shortens a file meanwhile is an error, no signal.
 *
 * It is read under flock(LOCK_SH), so no server is at it; one that starts at that moment waits for
 * the lock longer than we need to read. The copies are whole before they are looked at, and what is
 * looked at was checked for size, magic, version and owner first, as the daemon does that adopts
 * them. */
#ifndef PAGECTL_OFFLINE_H
#define PAGECTL_OFFLINE_H
#include "pagectl/pagectl.h"

struct offline {
	char instance[SHM_NAME_BYTES];
	void *meta;
	void *state;
	uint64_t meta_bytes;
	uint64_t state_bytes;
};

/* Finds the segments that ctl's --instance, --runtime-dir and --aside name, and copies them; at the
 * end offline_close(). Returns PAGECTL_OK; or with a sentence in text PAGECTL_UNREACHABLE if there
 * are none, PAGECTL_FAILED if they are in use or no segments of ours, PAGECTL_USAGE. */
int offline_open(struct offline *ret_offline, const struct pagectl *ctl, char *text,
		 size_t text_bytes);
void offline_close(struct offline *offline);

#endif
