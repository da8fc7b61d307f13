/* tests/unit/test_view.c - shm/view: a good META is read, and no damaged one leads outside it. */
#include "shm/view.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern CU_TestInfo test_view[];

#define FRAMES 2048u

struct fixture {
	char *meta;
	struct shm_meta_header *header;
	uint64_t bytes;
	struct shm_view view;
	char text[SHM_TEXT_BYTES];
};

/* A META of FRAMES frames as a daemon would write its header. */
static struct fixture *fixture_new(void)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct shm_meta_header plan = {
		.magic = SHM_META_MAGIC, .version = SHM_LAYOUT_VERSION, .nr_zones = 1};

	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture);
	shm_meta_plan(&plan, FRAMES, 12);
	fixture->bytes = plan.meta_bytes;
	fixture->meta = mmap(NULL, fixture->bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_FATAL(fixture->meta != MAP_FAILED);
	fixture->header = (struct shm_meta_header *)(void *)fixture->meta;
	*fixture->header = plan;
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	(void)munmap(fixture->meta, fixture->bytes);
	free(fixture);
}

static int check(struct fixture *fixture)
{
	return shm_view_check(&fixture->view, fixture->meta, fixture->bytes, fixture->text,
			      sizeof(fixture->text));
}

static void a_good_segment_is_read(void)
{
	struct fixture *fixture = fixture_new();
	struct page_word word = {.state = PAGE_OWNED, .order = 3, .owner = 5, .gen = 9};
	struct shm_page *map =
		(struct shm_page *)(void *)(fixture->meta + fixture->header->map_offset);
	struct page_word seen;

	map[8].word = page_word_pack(word);
	((uint64_t *)(void *)(fixture->meta + fixture->header->counters_offset))[COUNTER_oom] = 42;
	CU_ASSERT_EQUAL_FATAL(check(fixture), 0);
	seen = shm_view_word(&fixture->view, 8);
	CU_ASSERT_EQUAL(seen.state, PAGE_OWNED);
	CU_ASSERT_EQUAL(seen.order, 3);
	CU_ASSERT_EQUAL(seen.owner, 5);
	CU_ASSERT_EQUAL(seen.gen, 9);
	CU_ASSERT_EQUAL(shm_view_counter(&fixture->view, COUNTER_oom), 42);
	CU_ASSERT_PTR_EQUAL(shm_view_client(&fixture->view, 2), fixture->view.clients + 1);
	CU_ASSERT_EQUAL((const char *)shm_view_head(&fixture->view, 2, 1, 3) - fixture->view.heads,
			SHM_CLIENT_HEADS_BYTES + SHM_THREAD_HEADS_BYTES +
				3 * (ptrdiff_t)sizeof(struct shm_head));
	fixture_free(fixture);
}

static void counters_that_an_older_daemon_lacks_are_zero(void)
{
	struct fixture *fixture = fixture_new();
	uint64_t *counters = (uint64_t *)(void *)(fixture->meta + fixture->header->counters_offset);

	counters[COUNTER_COUNT - 1] = 7;
	fixture->header->nr_counters = COUNTER_COUNT - 1;
	CU_ASSERT_EQUAL_FATAL(check(fixture), 0);
	CU_ASSERT_EQUAL(shm_view_counter(&fixture->view, COUNTER_COUNT - 1), 0);
	fixture_free(fixture);
}

static void magic_and_version_are_told_apart(void)
{
	struct fixture *fixture = fixture_new();

	fixture->header->version = SHM_LAYOUT_VERSION + 1;
	CU_ASSERT_EQUAL(check(fixture), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "version 2"));
	fixture->header->magic++;
	CU_ASSERT_EQUAL(check(fixture), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(fixture->text, "magic"));
	fixture_free(fixture);
}

static void a_file_that_is_too_short_is_refused(void)
{
	struct fixture *fixture = fixture_new();
	struct shm_view view;

	CU_ASSERT_EQUAL(shm_view_check(&view, fixture->meta, 0, fixture->text, 256), -EPROTO);
	CU_ASSERT_EQUAL(shm_view_check(&view, fixture->meta, SHM_PAGE - 1, fixture->text, 256),
			-EPROTO);
	CU_ASSERT_EQUAL(
		shm_view_check(&view, fixture->meta, fixture->bytes - SHM_PAGE, fixture->text, 256),
		-EPROTO);
	fixture_free(fixture);
}

/* Every field that places or sizes something, set to what would lead outside. */
static void no_damaged_field_leads_outside(void)
{
	static const size_t wide[] = {
		offsetof(struct shm_meta_header, zones_offset),
		offsetof(struct shm_meta_header, counters_offset),
		offsetof(struct shm_meta_header, clients_offset),
		offsetof(struct shm_meta_header, caches_offset),
		offsetof(struct shm_meta_header, pageblocks_offset),
		offsetof(struct shm_meta_header, heads_offset),
		offsetof(struct shm_meta_header, map_offset),
		offsetof(struct shm_meta_header, meta_bytes),
		offsetof(struct shm_meta_header, data_bytes),
	};
	static const uint64_t values[] = {0,
					  1,
					  UINT64_MAX,
					  UINT64_MAX & ~UINT64_C(4095),
					  UINT64_C(1) << 63,
					  UINT64_C(1) << 40};

	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			struct fixture *fixture = fixture_new();

			memcpy(fixture->meta + wide[i], &values[v], sizeof(values[v]));
			CU_ASSERT_EQUAL(check(fixture), -EPROTO);
			CU_ASSERT_NOT_EQUAL(fixture->text[0], '\0');
			fixture_free(fixture);
		}
}

static void no_damaged_count_leads_outside(void)
{
	static const size_t narrow[] = {
		offsetof(struct shm_meta_header, nr_frames),
		offsetof(struct shm_meta_header, nr_zones),
		offsetof(struct shm_meta_header, max_clients),
		offsetof(struct shm_meta_header, max_threads),
		offsetof(struct shm_meta_header, max_caches),
		offsetof(struct shm_meta_header, page_shift),
	};
	static const uint32_t values[] = {0, 4097, UINT32_MAX};

	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			struct fixture *fixture = fixture_new();

			memcpy(fixture->meta + narrow[i], &values[v], sizeof(values[v]));
			CU_ASSERT_EQUAL(check(fixture), -EPROTO);
			fixture_free(fixture);
		}
}

static void a_file_is_attached_for_reading_only(void)
{
	struct fixture *fixture = fixture_new();
	struct shm_view view;
	int fd = memfd_create("view", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(shm_view_attach(&view, fd, fixture->text, 256), -EPROTO);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)fixture->bytes), 0);
	CU_ASSERT_EQUAL(shm_view_attach(&view, fd, fixture->text, 256), -EPROTO);
	CU_ASSERT_EQUAL(pwrite(fd, fixture->meta, SHM_PAGE, 0), SHM_PAGE);
	CU_ASSERT_EQUAL_FATAL(shm_view_attach(&view, fd, fixture->text, 256), 0);
	CU_ASSERT_EQUAL(view.header->nr_frames, FRAMES);
	CU_ASSERT_EQUAL(view.bytes, fixture->bytes);
	shm_view_detach(&view);
	CU_ASSERT_PTR_NULL(view.header);
	CU_ASSERT_EQUAL(shm_view_attach(&view, -1, fixture->text, 256), -EBADF);
	(void)close(fd);
	fixture_free(fixture);
}

CU_TestInfo test_view[] = {
	{"a_good_segment_is_read", a_good_segment_is_read},
	{"counters_that_an_older_daemon_lacks_are_zero",
	 counters_that_an_older_daemon_lacks_are_zero},
	{"magic_and_version_are_told_apart", magic_and_version_are_told_apart},
	{"a_file_that_is_too_short_is_refused", a_file_that_is_too_short_is_refused},
	{"no_damaged_field_leads_outside", no_damaged_field_leads_outside},
	{"no_damaged_count_leads_outside", no_damaged_count_leads_outside},
	{"a_file_is_attached_for_reading_only", a_file_is_attached_for_reading_only},
	CU_TEST_INFO_NULL,
};
