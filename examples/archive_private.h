/* examples/archive_private.h - the format of the archive, for the half that writes it
 * (archive_pack.c) and the half that reads it (archive.c). Numbers are the machine's own: an
 * archive is scratch, made and read on one host. */
#ifndef EXAMPLES_ARCHIVE_PRIVATE_H
#define EXAMPLES_ARCHIVE_PRIVATE_H
#include "examples/archive.h"

#include <sys/stat.h>

#define ARCHIVE_MAGIC UINT64_C(0x31657669686372ff)
#define ARCHIVE_PATH_BYTES 232u
/* Raw deflate with the window of a block: a larger one would only be cleared for each. */
#define ARCHIVE_WINDOW_BITS (-12)

struct archive_header {
	uint64_t magic;
	uint32_t nr_files;
	uint32_t nr_blocks;
	uint64_t blocks_at; /* struct archive_block[nr_blocks] */
	uint64_t files_at;  /* struct archive_file[nr_files] */
};

struct archive_block {
	uint64_t at; /* in the archive */
	uint32_t bytes;
	uint32_t file;
};

struct archive_file {
	uint64_t size;
	int64_t mtime_ns;
	uint32_t first_block;
	uint32_t nr_blocks;
	char path[ARCHIVE_PATH_BYTES];
};

static inline int64_t archive_mtime_ns(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

#endif
