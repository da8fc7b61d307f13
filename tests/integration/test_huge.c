/* tests/integration/test_huge.c - frames behind which there are huge pages, or small ones: whatever
 * the machine allows, contents outlive the server, and status says what is in force.
 *
 * Nothing of the machine is changed: reserved pages are used where they are there, else that test
 * is skipped. */
#include "tests/integration/child.h"
#include "tests/integration/raw.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_huge[];

#define FRAMES 12000u /* of 16384 */
#define LARGE 10u     /* an order that is asked for by a request */

/* --- contents ----------------------------------------------------------------------------------
 */

struct holder {
	pageclient *client;
	uint64_t *frame[FRAMES];
};

static bool hold(struct holder *holder, const struct fixture *f)
{
	holder->client = fixture_client(f, "holder");
	if (!holder->client)
		return false;
	for (uint32_t i = 0; i < FRAMES; i++) {
		holder->frame[i] = pageclient_alloc(holder->client, 0, 0);
		if (!holder->frame[i])
			return false;
		holder->frame[i][0] = i;
		holder->frame[i][511] = ~(uint64_t)i;
	}
	return true;
}

static bool is_intact(const struct holder *holder)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		if (!holder->frame[i] || holder->frame[i][0] != i ||
		    holder->frame[i][511] != ~(uint64_t)i)
			return false;
	return true;
}

/* Is anything of the instance mapped here? */
static bool is_mapped(const struct fixture *f)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, f->instance) && strstr(line, "-data");
	if (file)
		(void)fclose(file);
	return found;
}

/* Close does not wait long for a daemon that it has not found again. */
static void let_go(struct holder *holder, const struct fixture *f)
{
	CU_ASSERT_TRUE(is_mapped(f));
	pageclient_free(holder->client, pageclient_alloc(holder->client, LARGE, 0), LARGE);
	CU_ASSERT_EQUAL(fixture_status(holder->client).state, PAGECLIENT_CONNECTED);
	for (uint32_t i = 0; i < FRAMES; i++)
		pageclient_free(holder->client, holder->frame[i], 0);
	pageclient_close(holder->client);
	CU_ASSERT_FALSE(is_mapped(f));
}

/* Frames are filled, the server is killed, they are given back; *ret_in_force is what status said
 * while they were held. */
static void live(const char *config, char ret_in_force[32])
{
	static struct holder holder;
	struct observer observer;
	const char *in_force;
	uint64_t told;
	struct fixture f;
	json_t *root;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	CU_ASSERT_TRUE(observer_open(&observer, &f));
	CU_ASSERT_TRUE(hold(&holder, &f));
	CU_ASSERT_TRUE(is_intact(&holder));
	root = fixture_ctl_json(&f, "status");
	in_force =
		json_string_value(json_object_get(json_object_get(root, "huge_pages"), "in_force"));
	(void)snprintf(ret_in_force, 32, "%s", in_force ? in_force : "?");
	told = fixture_json_number(root, "huge_pages.huge_bytes") +
	       fixture_json_number(root, "huge_pages.small_bytes");
	CU_ASSERT_TRUE(told == 0 || told <= fixture_json_number(root, "committed_frames") << 12);
	json_decref(root);
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	pageclient_close(fixture_client(&f, "after"));
	CU_ASSERT_TRUE(is_intact(&holder));
	CU_ASSERT_TRUE(fixture_check(&f));
	let_go(&holder, &f);
	CU_ASSERT_TRUE(observer_all_free(&observer));
	observer_close(&observer);
	fixture_close(&f);
}

static void contents_outlive_the_server_with_pages_of_any_size(void)
{
	static const char *const hugepages[] = {"never", "auto", "always"};
	static const char *const backing[] = {"posix", "memfd"};
	static const char *const commit[] = {"lazy", "full"};
	char config[160], in_force[32];

	for (uint32_t i = 0; i < 12; i++) {
		const char *mode = hugepages[i % 3];

		(void)snprintf(config, sizeof(config),
			       "[segment]\nsize = 64M\nhugepages = %s\nbacking = %s\ncommit = %s\n",
			       mode, backing[i / 3 % 2], commit[i / 6]);
		live(config, in_force);
		if (i % 3 == 0)
			CU_ASSERT_STRING_EQUAL(in_force, "no");
	}
}

/* --- reserved pages ----------------------------------------------------------------------------
 */

static uint64_t free_reserved(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned long long n = 0;

	if (file && fscanf(file, "%llu", &n) != 1)
		n = 0;
	if (file)
		(void)fclose(file);
	return n;
}

static const char reserved_config[] =
	"[segment]\nsize = 64M\nhugepages = always\nbacking = memfd\n";

static void reserved_pages_hold_frames_and_go_back(void)
{
	uint64_t before = free_reserved();
	char in_force[32];

	if (before < 32) {
		fixture_skip(
			"reserved pages hold frames and go back",
			"fewer than 32 huge pages are free; as root: sysctl vm.nr_hugepages=32");
		return;
	}
	live(reserved_config, in_force);
	CU_ASSERT_STRING_EQUAL(in_force, "yes, reserved ones");
	CU_ASSERT_EQUAL(free_reserved(), before);
}

/* More than anybody reserved: ordinary memory does, and the log says why. */
static void where_they_do_not_suffice_ordinary_memory_does(void)
{
	struct fixture f;

	CU_ASSERT_TRUE(fixture_open(&f, "[segment]\nsize = 1T\nhugepages = always\n"
					"backing = memfd\n"));
	CU_ASSERT_TRUE(fixture_log_has(&f, "fewer than 524288 huge pages are reserved"));
	pageclient_close(fixture_client(&f, "served"));
	fixture_close(&f);
}

CU_TestInfo test_huge[] = {
	{"contents outlive the server with pages of any size",
	 contents_outlive_the_server_with_pages_of_any_size},
	{"reserved pages hold frames and go back", reserved_pages_hold_frames_and_go_back},
	{"where they do not suffice ordinary memory does",
	 where_they_do_not_suffice_ordinary_memory_does},
	CU_TEST_INFO_NULL,
};
