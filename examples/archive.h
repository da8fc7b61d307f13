/* examples/archive.h - real files, cut in blocks and deflated one block at a time.
 *
 *   | header | deflated block 0 | block 1 | ... | struct archive_block[] | struct archive_file[] |
 *
 * It stands for whatever makes a cache worth having: a block can always be had again, but not for
 * nothing. archive_read() inflates one; archive_compare() holds it against the bytes of the file
 * that it was made of. Only whole blocks are packed: the tail of a file is left out.
 *
 * The archive is mapped read-only and the files stay open, so reading is thread-safe but for the
 * inflate state: one struct archive for each thread that reads. Functions return 0 or -errno, for
 * which archive_error() has a sentence. */
#ifndef EXAMPLES_ARCHIVE_H
#define EXAMPLES_ARCHIVE_H
#include <stdint.h>

#define ARCHIVE_BLOCK_BYTES 4096u /* as a frame: one block, one frame of order 0 */

/* Lower: small installations give a small archive. Higher: more descriptors are open than the usual
 * limit of 1024 allows. */
#define ARCHIVE_FILES_MAX 512u

struct archive;

struct archive_totals {
	uint32_t nr_files;
	uint32_t nr_blocks;
	uint64_t deflated_bytes;
};

/* Packs regular files below the folders (a NULL-terminated list) into a new file `path`, until
 * max_bytes of them are packed, max_ns are over, or there are no more. -ENODATA: not one block was
 * found. */
int archive_pack(const char *path, char **folders, uint64_t max_bytes, uint64_t max_ns,
		 struct archive_totals *ret_totals);

/* -EBADMSG: not such an archive. -ESTALE: a file has changed since. */
int archive_open(const char *path, struct archive **ret_archive);
void archive_close(struct archive *archive);

struct archive_totals archive_totals(const struct archive *archive);

/* Inflates a block into ret_data, ARCHIVE_BLOCK_BYTES. */
int archive_read(struct archive *archive, uint32_t block, void *ret_data);

/* 0: data is what the file has there. 1: it is not. < 0: the file cannot be read. */
int archive_compare(const struct archive *archive, uint32_t block, const void *data);

/* The file of a block, and where in it. */
const char *archive_path(const struct archive *archive, uint32_t block, uint64_t *ret_offset);

const char *archive_error(int r);

#endif
