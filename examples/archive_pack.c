/* examples/archive_pack.c - makes an archive: walk, cut, deflate, write. See archive.h. */
#include "examples/archive_private.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define FILE_BYTES_MIN 65536   /* lower: the 512 files are used up by small ones */
#define FILE_BYTES_MAX 4194304 /* of one file; higher: a few large ones are the whole archive */
#define DEFLATED_BYTES_MAX (2 * ARCHIVE_BLOCK_BYTES) /* far above deflateBound() of a block */
#define BLOCKS_MAX (UINT32_C(1) << 28)               /* 1 TiB; pfns and indices have 32 bits */

struct packer {
	FILE *out;
	z_stream stream;
	struct archive_header header;
	struct archive_block *blocks;
	struct archive_file *files;
	uint64_t at;
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	uint32_t max_blocks;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool is_full(const struct packer *packer)
{
	return packer->header.nr_blocks >= packer->max_blocks ||
	       packer->header.nr_files >= ARCHIVE_FILES_MAX || now_ns() >= packer->end_ns;
}

static int put(struct packer *packer, const void *data, size_t bytes)
{
	if (fwrite(data, 1, bytes, packer->out) != bytes)
		return errno ? -errno : -EIO;
	packer->at += bytes;
	return 0;
}

static int pack_block(struct packer *packer, uint8_t *data)
{
	uint8_t deflated[DEFLATED_BYTES_MAX] = {0};
	struct archive_block *block = &packer->blocks[packer->header.nr_blocks];
	z_stream *stream = &packer->stream;
	int r;

	(void)deflateReset(stream);
	stream->next_in = data;
	stream->avail_in = ARCHIVE_BLOCK_BYTES;
	stream->next_out = deflated;
	stream->avail_out = sizeof(deflated);
	if (deflate(stream, Z_FINISH) != Z_STREAM_END)
		return -EIO;
	block->at = packer->at;
	block->bytes = (uint32_t)(sizeof(deflated) - stream->avail_out);
	block->file = packer->header.nr_files;
	r = put(packer, deflated, block->bytes);
	if (r == 0)
		packer->header.nr_blocks++;
	return r;
}

/* A file that cannot be opened or is too short is passed over; that is not an error. */
static int pack_file(struct packer *packer, const char *path)
{
	struct archive_file *file = &packer->files[packer->header.nr_files];
	uint8_t data[ARCHIVE_BLOCK_BYTES];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = 0;

	if (fd < 0)
		return 0;
	file->first_block = packer->header.nr_blocks;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t end = st.st_size < FILE_BYTES_MAX ? st.st_size : FILE_BYTES_MAX;

		for (off_t at = 0; r == 0 && at + (off_t)sizeof(data) <= end && !is_full(packer);
		     at += (off_t)sizeof(data)) {
			if (pread(fd, data, sizeof(data), at) != (ssize_t)sizeof(data))
				break;
			r = pack_block(packer, data);
		}
		file->size = (uint64_t)st.st_size;
		file->mtime_ns = archive_mtime_ns(&st);
	}
	(void)close(fd);
	file->nr_blocks = packer->header.nr_blocks - file->first_block;
	if (r == 0 && file->nr_blocks > 0) {
		memcpy(file->path, path, strlen(path) + 1);
		packer->header.nr_files++;
	}
	return r;
}

static bool is_wanted(const FTSENT *entry)
{
	return entry->fts_info == FTS_F && entry->fts_statp->st_size >= FILE_BYTES_MIN &&
	       strlen(entry->fts_path) < ARCHIVE_PATH_BYTES;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int pack_folders(struct packer *packer, char **folders)
{
	FTS *walk = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, by_name);
	FTSENT *entry;
	int r = 0;

	if (!walk)
		return -errno;
	while (r == 0 && !is_full(packer) && (entry = fts_read(walk)))
		if (is_wanted(entry))
			r = pack_file(packer, entry->fts_path);
	(void)fts_close(walk);
	return r == 0 && packer->header.nr_blocks == 0 ? -ENODATA : r;
}

/* The tables go to the end, then the header to its place. */
static int pack_tables(struct packer *packer)
{
	static const uint8_t zeros[8];
	struct archive_header *header = &packer->header;
	int r = put(packer, zeros, (size_t)(-packer->at & 7u));

	header->blocks_at = packer->at;
	if (r == 0)
		r = put(packer, packer->blocks, sizeof(*packer->blocks) * header->nr_blocks);
	header->files_at = packer->at;
	if (r == 0)
		r = put(packer, packer->files, sizeof(*packer->files) * header->nr_files);
	if (r == 0 && fseek(packer->out, 0, SEEK_SET) != 0)
		r = -errno;
	return r ? r : put(packer, header, sizeof(*header));
}

static int pack_all(struct packer *packer, char **folders)
{
	int r;

	/* Level 1: packing is waited for, and inflating costs the same for all levels. */
	if (deflateInit2(&packer->stream, 1, Z_DEFLATED, ARCHIVE_WINDOW_BITS, 5,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	r = put(packer, &packer->header, sizeof(packer->header));
	if (r == 0)
		r = pack_folders(packer, folders);
	(void)deflateEnd(&packer->stream);
	return r ? r : pack_tables(packer);
}

int archive_pack(const char *path, char **folders, uint64_t max_bytes, uint64_t max_ns,
		 struct archive_totals *ret_totals)
{
	struct packer packer = {.header = {.magic = ARCHIVE_MAGIC}};
	int r = -ENOMEM;

	packer.end_ns = now_ns() + max_ns;
	packer.max_blocks = max_bytes / ARCHIVE_BLOCK_BYTES < BLOCKS_MAX
				    ? (uint32_t)(max_bytes / ARCHIVE_BLOCK_BYTES)
				    : BLOCKS_MAX;
	packer.out = fopen(path, "wxe");
	if (!packer.out)
		return -errno;
	packer.blocks = calloc(packer.max_blocks, sizeof(*packer.blocks));
	packer.files = calloc(ARCHIVE_FILES_MAX, sizeof(*packer.files));
	if (packer.blocks && packer.files)
		r = pack_all(&packer, folders);
	if (fclose(packer.out) != 0 && r == 0)
		r = -errno;
	if (r == 0)
		*ret_totals = (struct archive_totals){
			packer.header.nr_files, packer.header.nr_blocks, packer.header.blocks_at};
	else
		(void)unlink(path);
	free(packer.blocks);
	free(packer.files);
	return r;
}
