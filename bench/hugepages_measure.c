/* bench/hugepages_measure.c - see hugepages_measure.h. */
#include "bench/hugepages_measure.h"

#include "bench/bench.h"
#include "bench/meta.h"
#include "pagectl/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared by both processes. */
struct board {
	uint64_t n; /* frames in pfn */
	struct hugepages_result result;
	uint32_t pfn[];
};

static int open_client(const struct fixture *fixture, pageclient **ret_client)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = fixture->socket;
	options.name = "hugepages";
	return pageclient_open(&options, ret_client);
}

/* --- the second process --------------------------------------------------------------------- */

static uint64_t touch_all(const struct board *board, const volatile char *base, size_t page_size)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < board->n; i++)
		sum += (uint64_t)base[(size_t)board->pfn[i] * page_size];
	return sum;
}

static double per_frame(uint64_t ns, uint64_t n)
{
	return n ? (double)ns / (double)n : 0;
}

/* Returns the exit status. */
static int be_second(const struct fixture *fixture, struct board *board, int socket)
{
	uint64_t before = 0, after = 0, begin, first, again;
	pageclient *client;
	const char *frame;
	const char *base;
	char go;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(socket, &go, 1) != 1 || open_client(fixture, &client) < 0)
		return 1;
	/* One of those that the first left, to find the others by. */
	frame = pageclient_alloc(client, 0, 0);
	if (!frame)
		return 1;
	base = frame - (size_t)pageclient_pfn(client, frame) * pageclient_page_size(client);
	(void)host_page_table_bytes((uint32_t)getpid(), &before);
	begin = bench_now_ns();
	(void)touch_all(board, base, pageclient_page_size(client));
	first = bench_now_ns();
	(void)touch_all(board, base, pageclient_page_size(client));
	again = bench_now_ns();
	(void)host_page_table_bytes((uint32_t)getpid(), &after);
	board->result.table_bytes = after - before;
	board->result.first_ns = per_frame(first - begin, board->n);
	board->result.again_ns = per_frame(again - first, board->n);
	return 0;
}

/* --- the first ------------------------------------------------------------------------------ */

static void shuffle(struct board *board)
{
	uint64_t random = 1;

	for (uint64_t i = board->n; i-- > 1;) {
		uint32_t pfn = board->pfn[i];
		uint64_t other;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		other = (random >> 33) % (i + 1);
		board->pfn[i] = board->pfn[other];
		board->pfn[other] = pfn;
	}
}

static int take_all(pageclient *client, uint64_t n_frames, struct board *board)
{
	uint64_t begin = bench_now_ns();
	char *frame;

	while (board->n < n_frames && (frame = pageclient_alloc(client, 0, 0)) != NULL) {
		*frame = 1;
		board->pfn[board->n++] = pageclient_pfn(client, frame);
	}
	board->result.own_ns = per_frame(bench_now_ns() - begin, board->n);
	return board->n == n_frames ? 0 : -ENOMEM;
}

static int be_first(const struct fixture *fixture, struct board *board, uint64_t n_frames,
		    int socket, pid_t second, char *text, size_t text_bytes)
{
	pageclient *client;
	int status, r = open_client(fixture, &client);

	if (r < 0) {
		(void)snprintf(text, text_bytes, "a client: %s", pageclient_error());
		return r;
	}
	r = take_all(client, n_frames, board);
	if (r < 0)
		(void)snprintf(text, text_bytes, "only %llu frames were to be had: %s",
			       (unsigned long long)board->n, pageclient_error());
	shuffle(board);
	if (r == 0 &&
	    (write(socket, "", 1) != 1 || waitpid(second, &status, 0) != second || status != 0)) {
		(void)snprintf(text, text_bytes, "the second process did not get that far");
		r = -ECHILD;
	}
	pageclient_close(client);
	return r;
}

/* --- both ----------------------------------------------------------------------------------- */

/* What the daemon got, from its META. */
static int look_at_pages(const struct fixture *fixture, struct hugepages_result *result, char *text,
			 size_t text_bytes)
{
	struct bench bench = {.options = NULL};
	const struct shm_meta_header *header;
	struct host_huge huge;
	struct shm_view view;
	const char *advice;
	int r = meta_attach(&bench, fixture, &view);

	if (r < 0) {
		(void)snprintf(text, text_bytes, "%s", bench.text);
		return r;
	}
	header = view.header;
	host_read_huge(&huge);
	result->is_huge = host_huge_verdict(&huge, header, &advice);
	if (header->small_bytes)
		result->is_huge = false;
	result->is_reserved = header->hugetlb;
	(void)snprintf(result->advice, sizeof(result->advice), "%s", advice);
	shm_view_detach(&view);
	return 0;
}

static int run(const struct fixture *fixture, struct board *board, uint64_t n_frames, char *text,
	       size_t text_bytes)
{
	int pair[2], r;
	pid_t second;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	second = fork();
	if (second == 0) {
		(void)close(pair[0]);
		_exit(be_second(fixture, board, pair[1]));
	}
	(void)close(pair[1]);
	r = second < 0 ? -errno
		       : be_first(fixture, board, n_frames, pair[0], second, text, text_bytes);
	(void)close(pair[0]);
	if (r < 0 && second > 0)
		(void)waitpid(second, NULL, 0);
	return r;
}

int hugepages_measure(const char *paged, const struct hugepages_mode *mode, uint64_t size_bytes,
		      struct hugepages_result *ret_result, char *text, size_t text_bytes)
{
	char configuration[256];
	const struct fixture_options options = {
		.paged = paged, .configuration = configuration, .cpu = PLACE_ANYWHERE};
	/* A sixteenth is left: for the second, and for the watermarks. */
	uint64_t n_frames = (size_bytes >> 12) / 16 * 15;
	size_t bytes = sizeof(struct board) + n_frames * sizeof(uint32_t);
	struct fixture fixture;
	struct board *board =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	(void)snprintf(configuration, sizeof(configuration), "[segment]\nsize = %lluM\n%s",
		       (unsigned long long)(size_bytes >> 20), mode->configuration);
	if (board == MAP_FAILED)
		return -ENOMEM;
	text[0] = '\0';
	r = fixture_start(&fixture, &options, text, text_bytes);
	if (r == 0) {
		r = run(&fixture, board, n_frames, text, text_bytes);
		if (r == 0)
			r = look_at_pages(&fixture, &board->result, text, text_bytes);
		fixture_stop(&fixture);
	}
	board->result.nr_frames = board->n;
	*ret_result = board->result;
	(void)munmap(board, bytes);
	if (r < 0 && !text[0])
		(void)snprintf(text, text_bytes, "%s", strerror(-r));
	return r;
}
