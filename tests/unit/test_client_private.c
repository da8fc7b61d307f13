/* tests/unit/test_client_private.c - the public interface without a daemon.
 *
 * Everything here goes through <pageclient/pageclient.h> alone, over private memory
 * (PAGECLIENT_FALLBACK_PRIVATE with a socket that nobody listens at), so it also says what a
 * program may rely on when no daemon runs. */
#include <pageclient/pageclient.h>

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY "/nonexistent/paged.sock"
#define N_MODEL_BLOCKS 512u
#define N_MODEL_STEPS 20000u

static struct pageclient_options private_options(void)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.flags = PAGECLIENT_FALLBACK_PRIVATE;
	options.socket = NOBODY;
	return options;
}

static pageclient *open_private(uint64_t max_frames)
{
	struct pageclient_options options = private_options();
	pageclient *client = NULL;

	options.max_frames = max_frames;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	return client;
}

static struct pageclient_status status_of(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	return status;
}

/* --- open --- */

static void open_without_daemon_fails_at_once(void)
{
	struct pageclient_options options = private_options();
	pageclient *client = NULL;

	options.flags = 0;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -ENOTCONN);
	CU_ASSERT_PTR_NULL(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), NOBODY));
}

static void open_refuses_a_path_that_is_too_long(void)
{
	struct pageclient_options options = private_options();
	pageclient *client = NULL;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	options.socket = path;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -ENAMETOOLONG);
	CU_ASSERT_PTR_NULL(client);
}

static void open_refuses_unknown_flags_and_fields(void)
{
	struct {
		struct pageclient_options known;
		uint64_t newer;
	} options = {.known = private_options()};
	pageclient *client = NULL;

	options.known.flags |= 1u << 30;
	CU_ASSERT_EQUAL(pageclient_open(&options.known, &client), -EINVAL);
	options.known.flags = PAGECLIENT_FALLBACK_PRIVATE;
	options.known.size = (uint32_t)sizeof(options);
	options.newer = 1;
	CU_ASSERT_EQUAL(pageclient_open(&options.known, &client), -E2BIG);
	options.newer = 0;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options.known, &client), 0);
	pageclient_close(client);
}

static void open_takes_an_older_programs_options(void)
{
	struct pageclient_options options = private_options();
	pageclient *client = NULL;

	options.size = (uint32_t)offsetof(struct pageclient_options, connect_timeout_ms);
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	pageclient_close(client);
	options.size = 2;
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -EINVAL);
}

static void open_refuses_a_name_of_32_bytes(void)
{
	struct pageclient_options options = private_options();
	pageclient *client = NULL;

	options.name = "0123456789abcdef0123456789abcdef";
	CU_ASSERT_EQUAL(pageclient_open(&options, &client), -ENAMETOOLONG);
	options.name = "0123456789abcdef0123456789abcde";
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	pageclient_close(client);
}

static void status_says_private(void)
{
	pageclient *client = open_private(0);
	struct pageclient_status status = status_of(client);

	CU_ASSERT_EQUAL(status.state, PAGECLIENT_PRIVATE);
	CU_ASSERT_EQUAL(status.page_size, pageclient_page_size(client));
	CU_ASSERT_EQUAL(status.nr_owned, 0);
	pageclient_close(client);
}

static void status_fills_an_older_programs_struct_only(void)
{
	pageclient *client = open_private(0);
	struct pageclient_status status;

	memset(&status, 0x5a, sizeof(status));
	status.size = (uint32_t)offsetof(struct pageclient_status, nr_owned);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	CU_ASSERT_EQUAL(status.state, PAGECLIENT_PRIVATE);
	CU_ASSERT_EQUAL(status.nr_owned, 0x5a5a5a5a5a5a5a5aull);
	pageclient_close(client);
}

/* --- frames --- */

static void alloc_gives_aligned_blocks_of_every_order(void)
{
	pageclient *client = open_private(0);
	size_t page = pageclient_page_size(client);

	for (unsigned order = 0; order <= 18; order++) {
		char *frame = pageclient_alloc(client, order, 0);

		CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
		CU_ASSERT_EQUAL((uintptr_t)frame % (page << order), 0);
		frame[0] = 1;
		frame[(page << order) - 1] = 2;
		CU_ASSERT_EQUAL(status_of(client).nr_owned, UINT64_C(1) << order);
		pageclient_free(client, frame, order);
	}
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 0);
	pageclient_close(client);
}

static void alloc_refuses_bad_order_and_flags(void)
{
	pageclient *client = open_private(0);

	errno = 0;
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 19, 0));
	CU_ASSERT_EQUAL(errno, EINVAL);
	errno = 0;
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 0, 1u << 20));
	CU_ASSERT_EQUAL(errno, EINVAL);
	pageclient_close(client);
}

static void alloc_zero_clears_a_used_frame(void)
{
	pageclient *client = open_private(1);
	size_t page = pageclient_page_size(client);
	unsigned char *frame = pageclient_alloc(client, 0, 0);
	size_t n_set = 0;

	memset(frame, 0xff, page);
	pageclient_free(client, frame, 0);
	frame = pageclient_alloc(client, 0, PAGECLIENT_ZERO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	for (size_t i = 0; i < page; i++)
		n_set += frame[i] != 0;
	CU_ASSERT_EQUAL(n_set, 0);
	pageclient_free(client, frame, 0);
	pageclient_close(client);
}

static void alloc_stops_at_max_frames(void)
{
	pageclient *client = open_private(4);
	void *frames[8];

	errno = 0;
	CU_ASSERT_EQUAL(pageclient_alloc_bulk(client, 0, 0, frames, 8), 4);
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_PTR_NULL(pageclient_alloc(client, 0, 0));
	pageclient_free_bulk(client, 0, 0, frames, 4);
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 0);
	pageclient_close(client);
}

static void free_refuses_and_counts_what_is_not_its(void)
{
	pageclient *client = open_private(0);
	char *frame = pageclient_alloc(client, 3, 0);
	int local = 0;

	errno = 77;
	pageclient_free(client, &local, 0);
	pageclient_free(client, frame, 2);
	pageclient_free(client, frame + pageclient_page_size(client), 0);
	pageclient_free(client, frame + 1, 3);
	pageclient_free(client, frame, 3);
	pageclient_free(client, frame, 3);
	pageclient_free(client, NULL, 0);
	CU_ASSERT_EQUAL(errno, 77);
	CU_ASSERT_EQUAL(status_of(client).nr_bad_free, 5);
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 0);
	pageclient_close(client);
}

static void pfn_and_frame_are_each_others_inverse(void)
{
	pageclient *client = open_private(0);
	char *frame = pageclient_alloc(client, 1, 0);
	uint32_t pfn = pageclient_pfn(client, frame);
	int local = 0;

	CU_ASSERT_NOT_EQUAL(pfn, UINT32_MAX);
	CU_ASSERT_PTR_EQUAL(pageclient_frame(client, pfn), frame);
	CU_ASSERT_EQUAL(pageclient_pfn(client, frame + pageclient_page_size(client) + 5), pfn + 1);
	CU_ASSERT_EQUAL(pageclient_pfn(client, &local), UINT32_MAX);
	CU_ASSERT_PTR_NULL(pageclient_frame(client, UINT32_MAX));
	pageclient_free(client, frame, 1);
	pageclient_close(client);
}

struct model_block {
	char *at;
	unsigned order;
};

static void model_free(pageclient *client, struct model_block *block)
{
	size_t last = (pageclient_page_size(client) << block->order) - 1;

	CU_ASSERT_EQUAL(block->at[0], (char)block->order);
	CU_ASSERT_EQUAL(block->at[last], (char)~block->order);
	pageclient_free(client, block->at, block->order);
	block->at = NULL;
}

/* Blocks of random orders keep what was written to them: no two overlap. */
static void random_blocks_never_overlap(void)
{
	pageclient *client = open_private(0);
	struct model_block block[N_MODEL_BLOCKS] = {0};
	unsigned short seed[3] = {1, 2, 3};

	for (unsigned step = 0; step < N_MODEL_STEPS; step++) {
		struct model_block *b = &block[(unsigned long)nrand48(seed) % N_MODEL_BLOCKS];

		if (b->at) {
			model_free(client, b);
			continue;
		}
		b->order = (unsigned)nrand48(seed) % 7;
		b->at = pageclient_alloc(client, b->order, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b->at);
		b->at[0] = (char)b->order;
		b->at[(pageclient_page_size(client) << b->order) - 1] = (char)~b->order;
	}
	for (unsigned i = 0; i < N_MODEL_BLOCKS; i++) {
		if (block[i].at)
			model_free(client, &block[i]);
	}
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 0);
	CU_ASSERT_EQUAL(status_of(client).nr_bad_free, 0);
	pageclient_close(client);
}

static void *hammer(void *arg)
{
	pageclient *client = arg;
	void *frames[32];

	for (unsigned i = 0; i < 200; i++) {
		size_t n = pageclient_alloc_bulk(client, i % 3, 0, frames, 32);

		for (size_t k = 0; k < n; k++)
			memset(frames[k], (int)k, 64);
		pageclient_free_bulk(client, i % 3, 0, frames, n);
	}
	return NULL;
}

static void threads_share_a_client(void)
{
	pageclient *client = open_private(0);
	pthread_t threads[4];

	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer, client), 0);
	for (unsigned i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 0);
	pageclient_close(client);
}

/* --- what needs a daemon, or another version --- */

static void sharing_needs_a_daemon(void)
{
	pageclient *client = open_private(0);
	void *frame = pageclient_alloc(client, 0, 0);
	uint64_t handle = 0;
	void *other = NULL;

	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), -ENOTCONN);
	CU_ASSERT_EQUAL(pageclient_import(client, 1, &other, NULL), -ENOTCONN);
	CU_ASSERT_EQUAL(pageclient_put(client, frame), -ENOTCONN);
	pageclient_free(client, frame, 0);
	pageclient_close(client);
}

static int child_of_fork(pageclient *client, void *frame)
{
	struct pageclient_status status;
	pageclient *own;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	if (pageclient_alloc(client, 0, 0) || errno != EOWNERDEAD)
		return 1;
	if (pageclient_read_status(client, &status) != -EOWNERDEAD)
		return 2;
	if (pageclient_dispatch(client) != -EOWNERDEAD)
		return 3;
	pageclient_free(client, frame, 0);
	pageclient_close(client);
	own = open_private(0);
	frame = own ? pageclient_alloc(own, 0, 0) : NULL;
	if (!frame)
		return 4;
	pageclient_free(own, frame, 0);
	pageclient_close(own);
	return 0;
}

static void child_of_fork_has_to_open_its_own(void)
{
	pageclient *client = open_private(0);
	void *frame = pageclient_alloc(client, 0, 0);
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_of_fork(client, frame));
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	CU_ASSERT_EQUAL(status_of(client).nr_owned, 1);
	pageclient_free(client, frame, 0);
	pageclient_close(client);
}

static void several_clients_keep_apart(void)
{
	pageclient *a = open_private(0);
	pageclient *b = open_private(0);
	void *frame = pageclient_alloc(a, 0, 0);
	void *other = pageclient_alloc(b, 0, 0);

	CU_ASSERT_EQUAL(pageclient_pfn(b, frame), UINT32_MAX);
	pageclient_free(b, frame, 0);
	CU_ASSERT_EQUAL(status_of(b).nr_bad_free, 1);
	CU_ASSERT_EQUAL(status_of(a).nr_owned, 1);
	pageclient_free(a, frame, 0);
	pageclient_close(a);
	pageclient_free(b, other, 0);
	CU_ASSERT_EQUAL(status_of(b).nr_owned, 0);
	pageclient_close(b);
}

extern CU_TestInfo test_client_private[];
CU_TestInfo test_client_private[] = {
	{"open without a daemon fails at once", open_without_daemon_fails_at_once},
	{"open refuses a path that is too long", open_refuses_a_path_that_is_too_long},
	{"open refuses unknown flags and fields", open_refuses_unknown_flags_and_fields},
	{"open takes an older program's options", open_takes_an_older_programs_options},
	{"open refuses a name of 32 bytes", open_refuses_a_name_of_32_bytes},
	{"status says private", status_says_private},
	{"status fills an older program's struct only", status_fills_an_older_programs_struct_only},
	{"alloc gives aligned blocks of every order", alloc_gives_aligned_blocks_of_every_order},
	{"alloc refuses bad order and flags", alloc_refuses_bad_order_and_flags},
	{"alloc zero clears a used frame", alloc_zero_clears_a_used_frame},
	{"alloc stops at max_frames", alloc_stops_at_max_frames},
	{"free refuses and counts what is not its", free_refuses_and_counts_what_is_not_its},
	{"pfn and frame are each other's inverse", pfn_and_frame_are_each_others_inverse},
	{"random blocks never overlap", random_blocks_never_overlap},
	{"threads share a client", threads_share_a_client},
	{"sharing needs a daemon", sharing_needs_a_daemon},
	{"child of fork has to open its own", child_of_fork_has_to_open_its_own},
	{"several clients keep apart", several_clients_keep_apart},
	CU_TEST_INFO_NULL,
};
