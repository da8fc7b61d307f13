/* tests/unit/test_segment.c - shm/segment: names, seals, memory given and taken back.
 *
 * Each test has an instance of its own, named by this process, and removes it; what needs a tmpfs
 * that is full or a file of another user is an integration test. */
#include "shm/segment.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern CU_TestInfo test_segment[];

#define MIB (UINT64_C(1) << 20)

static void instance_name(char name[SHM_NAME_BYTES])
{
	(void)snprintf(name, SHM_NAME_BYTES, "unit-%d", getpid());
}

static uint64_t used_bytes(int fd)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static int make(enum shm_backing backing, enum shm_part part, uint64_t bytes)
{
	char name[SHM_NAME_BYTES];
	char text[SHM_TEXT_BYTES];
	int fd = -1;

	instance_name(name);
	CU_ASSERT_EQUAL_FATAL(segment_create(backing, name, part, bytes, &fd, text, sizeof(text)),
			      0);
	return fd;
}

static void unmake(int fd, enum shm_part part)
{
	char name[SHM_NAME_BYTES];

	instance_name(name);
	(void)close(fd);
	CU_ASSERT_EQUAL(segment_unlink(name, part), 0);
}

static void a_new_part_is_sparse_private_and_exclusive(void)
{
	char text[SHM_TEXT_BYTES];
	char name[SHM_NAME_BYTES];
	struct stat st;
	int fd = make(SHM_BACKING_POSIX, SHM_PART_META, 64 * MIB);
	int second;

	instance_name(name);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 64 * MIB);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(used_bytes(fd), 0);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(segment_create(SHM_BACKING_POSIX, name, SHM_PART_META, MIB, &second, text,
				       sizeof(text)),
			-EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, name));
	unmake(fd, SHM_PART_META);
}

static void a_memfd_is_sealed(void)
{
	struct segment_pages pages = {0};
	char text[SHM_TEXT_BYTES];
	int fd = make(SHM_BACKING_MEMFD, SHM_PART_DATA, 4 * MIB);

	CU_ASSERT_EQUAL(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), -1);
	CU_ASSERT_EQUAL(
		segment_commit(fd, 0, 4 * MIB, SHM_HUGEPAGES_AUTO, &pages, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(used_bytes(fd), 4 * MIB);
	(void)close(fd);
}

static void a_part_is_adopted_with_its_size(void)
{
	char text[SHM_TEXT_BYTES];
	char name[SHM_NAME_BYTES];
	int fd = make(SHM_BACKING_POSIX, SHM_PART_STATE, 3 * MIB);
	uint64_t bytes = 0;
	int again = -1;

	instance_name(name);
	CU_ASSERT_EQUAL_FATAL(
		segment_adopt(name, SHM_PART_STATE, &again, &bytes, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(bytes, 3 * MIB);
	(void)close(again);
	unmake(fd, SHM_PART_STATE);
	CU_ASSERT_EQUAL(segment_adopt(name, SHM_PART_STATE, &again, &bytes, text, sizeof(text)),
			-ENOENT);
}

static void a_part_with_another_mode_or_a_second_link_is_not_ours(void)
{
	char text[SHM_TEXT_BYTES];
	char name[SHM_NAME_BYTES];
	char path[128], other[144];
	int fd = make(SHM_BACKING_POSIX, SHM_PART_META, MIB);
	uint64_t bytes;
	int again;

	instance_name(name);
	(void)snprintf(path, sizeof(path), "/dev/shm/paged-%s-meta", name);
	(void)snprintf(other, sizeof(other), "%s-link", path);
	CU_ASSERT_EQUAL(fchmod(fd, 0644), 0);
	CU_ASSERT_EQUAL(segment_adopt(name, SHM_PART_META, &again, &bytes, text, sizeof(text)),
			-EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mode 0644"));
	CU_ASSERT_EQUAL(fchmod(fd, 0600), 0);
	CU_ASSERT_EQUAL(link(path, other), 0);
	CU_ASSERT_EQUAL(segment_adopt(name, SHM_PART_META, &again, &bytes, text, sizeof(text)),
			-EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "2 link(s)"));
	CU_ASSERT_EQUAL(unlink(other), 0);
	unmake(fd, SHM_PART_META);
}

static void a_symlink_in_its_place_is_not_followed(void)
{
	char text[SHM_TEXT_BYTES];
	char name[SHM_NAME_BYTES];
	char path[128];
	uint64_t bytes;
	int fd;

	instance_name(name);
	(void)snprintf(path, sizeof(path), "/dev/shm/paged-%s-data", name);
	CU_ASSERT_EQUAL_FATAL(symlink("/etc/passwd", path), 0);
	CU_ASSERT_EQUAL(segment_adopt(name, SHM_PART_DATA, &fd, &bytes, text, sizeof(text)),
			-EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "no regular file"));
	CU_ASSERT_EQUAL(segment_create(SHM_BACKING_POSIX, name, SHM_PART_DATA, MIB, &fd, text,
				       sizeof(text)),
			-EEXIST);
	CU_ASSERT_EQUAL(unlink(path), 0);
}

static void what_is_put_aside_keeps_its_content_and_frees_the_name(void)
{
	char text[SHM_TEXT_BYTES];
	char name[SHM_NAME_BYTES];
	int fd[3];
	uint64_t bytes;
	int r, none;

	instance_name(name);
	for (int i = 0; i < 3; i++) { /* three in the same second */
		struct stat before, after;

		fd[i] = make(SHM_BACKING_POSIX, SHM_PART_META, MIB);
		r = segment_put_aside(name, SHM_PART_META, text, sizeof(text));
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_EQUAL(fstat(fd[i], &before), 0);
		CU_ASSERT_EQUAL(stat(text, &after), 0);
		CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
		CU_ASSERT_EQUAL(
			segment_adopt(name, SHM_PART_META, &none, &bytes, text, sizeof(text)),
			-ENOENT);
	}
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
}

static void remove_put_aside(void)
{
	char pattern[128];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "/dev/shm/paged-unit-%d-*.old-*", getpid());
	if (glob(pattern, 0, NULL, &found) == 0) {
		CU_ASSERT_EQUAL(found.gl_pathc, 3);
		for (size_t i = 0; i < found.gl_pathc; i++)
			(void)unlink(found.gl_pathv[i]);
		globfree(&found);
	}
}

static void put_aside_then_clean(void)
{
	what_is_put_aside_keeps_its_content_and_frees_the_name();
	remove_put_aside();
}

static void a_read_only_descriptor_cannot_write(void)
{
	int fd = make(SHM_BACKING_MEMFD, SHM_PART_META, MIB);
	int reader = -1;

	CU_ASSERT_EQUAL_FATAL(segment_reopen_read_only(fd, &reader), 0);
	CU_ASSERT_EQUAL(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
	CU_ASSERT_EQUAL(write(reader, "x", 1), -1);
	CU_ASSERT_PTR_EQUAL(mmap(NULL, MIB, PROT_WRITE, MAP_SHARED, reader, 0), MAP_FAILED);
	(void)close(reader);
	(void)close(fd);
}

static void memory_is_given_where_asked_and_taken_back(void)
{
	struct segment_pages pages = {0};
	char text[SHM_TEXT_BYTES];
	int fd = make(SHM_BACKING_MEMFD, SHM_PART_DATA, 64 * MIB);

	CU_ASSERT_EQUAL(segment_reserve(fd, MIB, MIB, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(used_bytes(fd), MIB);
	CU_ASSERT_EQUAL(segment_reserve(fd, MIB, MIB, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(used_bytes(fd), MIB);
	CU_ASSERT_EQUAL(segment_commit(fd, 4 * MIB, 6 * MIB, SHM_HUGEPAGES_AUTO, &pages, text,
				       sizeof(text)),
			0);
	CU_ASSERT_EQUAL(used_bytes(fd), 7 * MIB);
	CU_ASSERT_EQUAL(segment_commit(fd, 12 * MIB, 2 * MIB, SHM_HUGEPAGES_NEVER, &pages, text,
				       sizeof(text)),
			0);
	CU_ASSERT_EQUAL(used_bytes(fd), 9 * MIB);
	CU_ASSERT_EQUAL(segment_punch(fd, 0, 64 * MIB), 0);
	CU_ASSERT_EQUAL(used_bytes(fd), 0);
	(void)close(fd);
}

/* Whatever the kernel does with it: all of it is there, and what is told adds up. */
static void pages_of_either_size_are_counted_where_the_kernel_tells(void)
{
	struct segment_pages small = {0}, huge = {0};
	char text[SHM_TEXT_BYTES];
	int fd = make(SHM_BACKING_MEMFD, SHM_PART_DATA, 16 * MIB);

	CU_ASSERT_EQUAL(
		segment_commit(fd, 0, 4 * MIB, SHM_HUGEPAGES_NEVER, &small, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(small.huge_bytes + small.small_bytes, 0); /* never mapped */
	CU_ASSERT_EQUAL(segment_commit(fd, 4 * MIB, 4 * MIB, SHM_HUGEPAGES_ALWAYS, &huge, text,
				       sizeof(text)),
			0);
	CU_ASSERT_EQUAL(used_bytes(fd), 8 * MIB);
	CU_ASSERT_TRUE(huge.huge_bytes + huge.small_bytes == 4 * MIB ||
		       huge.huge_bytes + huge.small_bytes == 0);
	CU_ASSERT_FALSE(segment_is_hugetlb(fd));
	(void)close(fd);
}

/* Takes none where none is reserved; a shortage is an error that says so. */
static void a_file_of_reserved_pages_has_no_others(void)
{
	struct segment_pages pages = {0};
	char text[SHM_TEXT_BYTES], name[SHM_NAME_BYTES];
	int fd = -1, r;

	instance_name(name);
	if (segment_create_hugetlb(name, SHM_PART_DATA, 1024 * MIB * 1024, &fd, text,
				   sizeof(text)) < 0)
		return; /* a kernel without */
	CU_ASSERT_TRUE(segment_is_hugetlb(fd));
	CU_ASSERT_EQUAL(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	r = segment_commit(fd, 2 * MIB, 2 * MIB, SHM_HUGEPAGES_ALWAYS, &pages, text, sizeof(text));
	CU_ASSERT_TRUE(r == 0 || r == -ENOSPC || r == -ENOMEM);
	if (r == 0)
		CU_ASSERT_EQUAL(pages.huge_bytes, 2 * MIB);
	CU_ASSERT_EQUAL(segment_punch(fd, 0, 8 * MIB), 0);
	/* Nobody has a terabyte of them. */
	r = segment_commit(fd, 0, 1024 * MIB * 1024, SHM_HUGEPAGES_ALWAYS, &pages, text,
			   sizeof(text));
	CU_ASSERT_TRUE(r == -ENOSPC || r == -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vm.nr_hugepages"));
	CU_ASSERT_EQUAL(used_bytes(fd), 0);
	(void)close(fd);
}

static void what_lies_outside_is_refused_and_nothing_is_left(void)
{
	struct segment_pages pages = {0};
	char text[SHM_TEXT_BYTES];
	int fd = make(SHM_BACKING_MEMFD, SHM_PART_DATA, 4 * MIB);

	CU_ASSERT_NOT_EQUAL(segment_reserve(fd, 4 * MIB, MIB, text, sizeof(text)), 0);
	CU_ASSERT_NOT_EQUAL(segment_commit(fd, 2 * MIB, 4 * MIB, SHM_HUGEPAGES_AUTO, &pages, text,
					   sizeof(text)),
			    0);
	CU_ASSERT_EQUAL(used_bytes(fd), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "no memory for"));
	(void)close(fd);
}

static void a_ctl_is_fresh_sealed_and_says_whose_it_is(void)
{
	struct shm_ctl_header *header;
	void *map = NULL;
	int fd = -1;

	CU_ASSERT_EQUAL_FATAL(segment_ctl_create(7, 3, 600, 99, &fd, &map), 0);
	header = map;
	CU_ASSERT_EQUAL(header->magic, SHM_CTL_MAGIC);
	CU_ASSERT_EQUAL(header->client, 7);
	CU_ASSERT_EQUAL(header->max_threads, 3);
	CU_ASSERT_EQUAL(header->instance_id, 99);
	CU_ASSERT_EQUAL(header->ctl_bytes, shm_ctl_bytes(3, 600));
	CU_ASSERT_EQUAL(ftruncate(fd, 4096), -1);
	CU_ASSERT_EQUAL(used_bytes(fd), SHM_PAGE);
	CU_ASSERT_EQUAL(munmap(map, shm_ctl_bytes(3, 600)), 0);
	(void)close(fd);
}

CU_TestInfo test_segment[] = {
	{"pages_of_either_size_are_counted_where_the_kernel_tells",
	 pages_of_either_size_are_counted_where_the_kernel_tells},
	{"a_file_of_reserved_pages_has_no_others", a_file_of_reserved_pages_has_no_others},
	{"a_new_part_is_sparse_private_and_exclusive", a_new_part_is_sparse_private_and_exclusive},
	{"a_memfd_is_sealed", a_memfd_is_sealed},
	{"a_part_is_adopted_with_its_size", a_part_is_adopted_with_its_size},
	{"a_part_with_another_mode_or_a_second_link_is_not_ours",
	 a_part_with_another_mode_or_a_second_link_is_not_ours},
	{"a_symlink_in_its_place_is_not_followed", a_symlink_in_its_place_is_not_followed},
	{"what_is_put_aside_keeps_its_content_and_frees_the_name", put_aside_then_clean},
	{"a_read_only_descriptor_cannot_write", a_read_only_descriptor_cannot_write},
	{"memory_is_given_where_asked_and_taken_back", memory_is_given_where_asked_and_taken_back},
	{"what_lies_outside_is_refused_and_nothing_is_left",
	 what_lies_outside_is_refused_and_nothing_is_left},
	{"a_ctl_is_fresh_sealed_and_says_whose_it_is", a_ctl_is_fresh_sealed_and_says_whose_it_is},
	CU_TEST_INFO_NULL,
};
