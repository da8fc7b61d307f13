/* examples/archive.c - reads an archive, see archive.h. All that its tables say is checked once, at
 * open, so that the rest can believe them. */
#include "examples/archive.h"

#include "examples/archive_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

struct archive {
	uint8_t *map; /* the whole archive, read-only */
	size_t map_bytes;
	const struct archive_header *header;
	const struct archive_block *blocks;
	const struct archive_file *files;
	z_stream stream;
	bool has_stream;
	uint32_t nr_open;
	int fds[ARCHIVE_FILES_MAX]; /* nr_open of them */
};

static bool fits(const struct archive *archive, uint64_t at, uint64_t bytes)
{
	return at <= archive->map_bytes && bytes <= archive->map_bytes - at;
}

static bool header_is_valid(const struct archive *archive)
{
	const struct archive_header *header = (const void *)archive->map;

	return fits(archive, 0, sizeof(*header)) && header->magic == ARCHIVE_MAGIC &&
	       header->nr_blocks > 0 && header->nr_files > 0 &&
	       header->nr_files <= ARCHIVE_FILES_MAX && header->blocks_at % 8 == 0 &&
	       header->files_at % 8 == 0 &&
	       fits(archive, header->blocks_at,
		    header->nr_blocks * (uint64_t)sizeof(struct archive_block)) &&
	       fits(archive, header->files_at,
		    header->nr_files * (uint64_t)sizeof(struct archive_file));
}

static bool blocks_are_valid(const struct archive *archive)
{
	for (uint32_t i = 0; i < archive->header->nr_blocks; i++) {
		const struct archive_block *block = &archive->blocks[i];

		if (!fits(archive, block->at, block->bytes) ||
		    block->file >= archive->header->nr_files ||
		    i < archive->files[block->file].first_block)
			return false;
	}
	return true;
}

static int map_archive(struct archive *archive, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_size < (off_t)sizeof(struct archive_header))
		r = -EBADMSG;
	else
		archive->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
				    fd, 0);
	if (archive->map == MAP_FAILED) {
		archive->map = NULL;
		r = -errno;
	}
	archive->map_bytes = r ? 0 : (size_t)st.st_size;
	(void)close(fd);
	return r;
}

static int open_file(struct archive *archive, const struct archive_file *file)
{
	struct stat st;
	int fd;

	if (!memchr(file->path, '\0', sizeof(file->path)))
		return -EBADMSG;
	fd = open(file->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	archive->fds[archive->nr_open++] = fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == file->size && archive_mtime_ns(&st) == file->mtime_ns
		       ? 0
		       : -ESTALE;
}

static int open_all(struct archive *archive, const char *path)
{
	int r = map_archive(archive, path);

	if (r < 0)
		return r;
	if (!header_is_valid(archive))
		return -EBADMSG;
	archive->header = (const void *)archive->map;
	archive->blocks = (const void *)(archive->map + archive->header->blocks_at);
	archive->files = (const void *)(archive->map + archive->header->files_at);
	if (!blocks_are_valid(archive))
		return -EBADMSG;
	for (uint32_t i = 0; r == 0 && i < archive->header->nr_files; i++)
		r = open_file(archive, &archive->files[i]);
	if (r == 0 && inflateInit2(&archive->stream, ARCHIVE_WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	archive->has_stream = r == 0;
	return r;
}

int archive_open(const char *path, struct archive **ret_archive)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	int r;

	if (!archive)
		return -ENOMEM;
	r = open_all(archive, path);
	if (r < 0)
		archive_close(archive);
	else
		*ret_archive = archive;
	return r;
}

void archive_close(struct archive *archive)
{
	if (!archive)
		return;
	for (uint32_t i = 0; i < archive->nr_open; i++)
		(void)close(archive->fds[i]);
	if (archive->has_stream)
		(void)inflateEnd(&archive->stream);
	if (archive->map)
		(void)munmap(archive->map, archive->map_bytes);
	free(archive);
}

struct archive_totals archive_totals(const struct archive *archive)
{
	return (struct archive_totals){archive->header->nr_files, archive->header->nr_blocks,
				       archive->header->blocks_at};
}

int archive_read(struct archive *archive, uint32_t block, void *ret_data)
{
	z_stream *stream = &archive->stream;

	(void)inflateReset(stream);
	stream->next_in = archive->map + archive->blocks[block].at;
	stream->avail_in = archive->blocks[block].bytes;
	stream->next_out = ret_data;
	stream->avail_out = ARCHIVE_BLOCK_BYTES;
	return inflate(stream, Z_FINISH) == Z_STREAM_END && stream->avail_out == 0 ? 0 : -EBADMSG;
}

const char *archive_path(const struct archive *archive, uint32_t block, uint64_t *ret_offset)
{
	const struct archive_file *file = &archive->files[archive->blocks[block].file];

	*ret_offset = (uint64_t)(block - file->first_block) * ARCHIVE_BLOCK_BYTES;
	return file->path;
}

int archive_compare(const struct archive *archive, uint32_t block, const void *data)
{
	uint8_t original[ARCHIVE_BLOCK_BYTES];
	uint64_t offset;
	ssize_t n;

	(void)archive_path(archive, block, &offset);
	n = pread(archive->fds[archive->blocks[block].file], original, sizeof(original),
		  (off_t)offset);
	if (n != (ssize_t)sizeof(original))
		return n < 0 ? -errno : -ESTALE;
	return memcmp(original, data, sizeof(original)) != 0;
}

const char *archive_error(int r)
{
	if (r == -EBADMSG)
		return "this is no archive of filecache, or it is damaged: pack it again";
	if (r == -ESTALE)
		return "a file has changed since the archive was made: pack it again";
	if (r == -ENODATA)
		return "no readable file of 64 KiB or more was found there";
	return strerror(-r);
}
