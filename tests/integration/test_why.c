/* tests/integration/test_why.c - `pagectl why` and what else is shown of who holds what, and for
 * how long, against a real daemon. */
#include "tests/integration/clock.h"
#include "tests/integration/holder.h"

#include <CUnit/CUnit.h>
#include <string.h>

extern CU_TestInfo test_why[];

static const char config[] = "[segment]\nsize = 32M\n[pcp]\nbatch = 16\n";

/* pagectl why, of one or two words, says all of these (up to NULL) and exits 0. */
static void expect(const struct fixture *f, const char *first, const char *second,
		   const char *const *words)
{
	struct program ctl;

	fixture_ctl(f, &ctl, "why", first, second, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	CU_ASSERT_STRING_EQUAL(ctl.err, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "\nWhat next: "));
	for (; *words; words++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, *words));
		if (!strstr(ctl.out, *words))
			(void)fprintf(stderr, "no \"%s\" in why %s: %s%s\n", *words, first, ctl.out,
				      ctl.err);
	}
	program_done(&ctl);
}
#define EXPECT(f, first, second, ...)                                                              \
	expect((f), (first), (second), (const char *const[]){__VA_ARGS__, NULL})

/* One line on stderr with this word, and the status. */
static void expect_error(const struct fixture *f, int status, const char *word, const char *first,
			 const char *second)
{
	struct program ctl;

	fixture_ctl(f, &ctl, "why", first, second, NULL);
	CU_ASSERT_EQUAL(ctl.status, status);
	CU_ASSERT_STRING_EQUAL(ctl.out, "");
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, word));
	program_done(&ctl);
}

static struct pageclient_status status_of(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	return status;
}

/* --- subjects -------------------------------------------------------------------------------- */

static void a_client_is_found_by_number_and_by_name(void)
{
	struct fixture f;
	pageclient *client;
	char id[16], says[64];

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	client = fixture_client(&f, "redis");
	CU_ASSERT_PTR_NOT_NULL(pageclient_alloc(client, 4, 0));
	(void)snprintf(id, sizeof(id), "%u", status_of(client).client_id);
	(void)snprintf(says, sizeof(says), "client %s (redis, pid %d)", id, (int)getpid());
	EXPECT(&f, "client", id, says, "attached ", "nobody is short");
	EXPECT(&f, "client", "redis", says);
	EXPECT(&f, id, NULL, says);
	EXPECT(&f, "redis", NULL, says, "16 are allocated, not purgeable, in no cache");
	pageclient_close(client);
	fixture_close(&f);
}

static void an_answer_is_an_object_for_programs(void)
{
	struct fixture f;
	struct program ctl;
	pageclient *client;
	json_t *root;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	client = fixture_client(&f, "redis");
	fixture_ctl(&f, &ctl, "why", "client", "redis", "--json", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	root = json_loads(ctl.out, 0, NULL);
	CU_ASSERT_EQUAL(fixture_json_number(root, "version"), 1);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(root, "subject")), "client 1");
	CU_ASSERT(json_array_size(json_object_get(root, "facts")) >= 4);
	CU_ASSERT(json_string_length(json_object_get(root, "advice")) > 0);
	json_decref(root);
	program_done(&ctl);
	pageclient_close(client);
	fixture_close(&f);
}

static void who_is_not_there_or_not_one_is_told(void)
{
	struct fixture f;
	pageclient *a, *b;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	a = fixture_client(&f, "twin");
	b = fixture_client(&f, "twin");
	expect_error(&f, 1, "2 clients are called 'twin'", "twin", NULL);
	expect_error(&f, 1, " 1 2", "client", "twin");
	expect_error(&f, 1, "pagectl clients", "client", "9");
	expect_error(&f, 1, "pagectl caches", "cache", "1:7");
	expect_error(&f, 1, "pagectl caches", "cache", "nothing");
	expect_error(&f, 1, "there is no", "nobody", NULL);
	expect_error(&f, 1, "from 0 to 8191", "pfn", "8192");
	expect_error(&f, 2, "try pagectl why --help", "pfn", "x1");
	expect_error(&f, 2, "try pagectl why --help", "frame", "3");
	pageclient_close(a);
	pageclient_close(b);
	fixture_close(&f);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void a_frame_is_pinned_then_not_then_free(void)
{
	struct fixture f;
	pageclient *client;
	pageclient_slot slot;
	char number[16];
	void *frame;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	client = fixture_client(&f, "cache");
	frame = pageclient_alloc(client, 3, 0);
	CU_ASSERT_PTR_NOT_NULL(frame);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	(void)snprintf(number, sizeof(number), "0x%x", pageclient_pfn(client, frame));
	EXPECT(&f, "pfn", number, "owned by client 1 (cache", "pinned 1 times",
	       "What next: it can be purged once its owner unpins it");
	pageclient_unpin(client, slot);
	EXPECT(&f, "pfn", number, "among the first", "What next: to have such frames back now");
	pageclient_purgeable_drop(client, slot);
	fixture_drain(&f);
	EXPECT(&f, "pfn", number, "zone normal", "\nfree\n");
	pageclient_close(client);
	fixture_close(&f);
}

/* --- processes ------------------------------------------------------------------------------- */

static void a_stopped_process_is_the_reason(void)
{
	struct fixture f;
	struct holder holder = {&f, "stopped", HOLDER_PRUNES, 1000, 0};
	struct child child;
	uint64_t n;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	CU_ASSERT_TRUE_FATAL(holder_start(&child, &holder, &n));
	EXPECT(&f, "cache", "stopped", "of client 1 (stopped, pid ", "it was never asked");
	EXPECT(&f, "1:1", NULL, "of client 1 (stopped, pid ");
	CU_ASSERT_TRUE(child_stop(&child));
	EXPECT(&f, "client", "stopped", " is stopped: no cache of it answers");
	EXPECT(&f, "cache", "1:1", " is stopped: no cache of it answers");
	CU_ASSERT_TRUE(child_continue(&child));
	CU_ASSERT_EQUAL(child_end(&child), 0);
	fixture_close(&f);
}

/* --- what else is shown ---------------------------------------------------------------------- */

static uint64_t count_clients(const struct fixture *f, const char *age)
{
	struct program ctl;
	json_t *root;
	uint64_t n;

	fixture_ctl(f, &ctl, "clients", "--json", "--older-than", age, NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	root = json_loads(ctl.out, 0, NULL);
	n = json_array_size(json_object_get(root, "clients"));
	json_decref(root);
	program_done(&ctl);
	return n;
}

static void clients_of_an_age_are_listed(void)
{
	static const char *const wrong[] = {
		"", "0", "h", "1w", "1hh", "-1h", "99999999999999999999"};
	struct fixture f;
	struct program ctl;
	pageclient *client;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	client = fixture_client(&f, "young");
	CU_ASSERT_EQUAL(count_clients(&f, "1h"), 0);
	CU_ASSERT_EQUAL(count_clients(&f, "3600"), 0);
	CU_ASSERT_EQUAL(count_clients(&f, "2d"), 0);
	/* The ages are of the clock of the day: a second passes while we look. */
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);
	     count_clients(&f, "1s") == 0 && clock_pause(until);)
		;
	CU_ASSERT_EQUAL(count_clients(&f, "1s"), 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fixture_ctl(&f, &ctl, "clients", "--older-than", wrong[i], NULL);
		CU_ASSERT_EQUAL(ctl.status, 2);
		CU_ASSERT_TRUE(program_said_one_line(&ctl));
		program_done(&ctl);
	}
	pageclient_close(client);
	fixture_close(&f);
}

static void status_shows_pressure_and_the_largest_block(void)
{
	struct fixture f;
	struct program ctl;
	json_t *root;

	CU_ASSERT_TRUE_FATAL(fixture_open(&f, config));
	root = fixture_ctl_json(&f, "status");
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(root, "pressure"), "own")),
		"none");
	CU_ASSERT(fixture_json_number(root, "largest_free") > 0);
	CU_ASSERT(fixture_json_number(root, "largest_free") <= fixture_json_number(root, "free"));
	CU_ASSERT_EQUAL(fixture_json_number(root, "purgeable"), 0);
	json_decref(root);
	fixture_ctl(&f, &ctl, "status", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "largest block"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.out, "\npressure "));
	program_done(&ctl);
	fixture_close(&f);
}

CU_TestInfo test_why[] = {
	{"a client is found by number and by name", a_client_is_found_by_number_and_by_name},
	{"an answer is an object for programs", an_answer_is_an_object_for_programs},
	{"who is not there or not one is told", who_is_not_there_or_not_one_is_told},
	{"a frame is pinned then not then free", a_frame_is_pinned_then_not_then_free},
	{"a stopped process is the reason", a_stopped_process_is_the_reason},
	{"clients of an age are listed", clients_of_an_age_are_listed},
	{"status shows pressure and the largest block",
	 status_shows_pressure_and_the_largest_block},
	CU_TEST_INFO_NULL,
};
