/* tests/fault/work.c - see work.h. */
#include "tests/fault/work.h"

#include "tests/fault/host.h"
#include "tests/integration/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS 1000u
#define CALL_MS 1000u
#define BIG_ORDER 10u /* a request of its own, and a commit */

__attribute__((format(printf, 2, 3))) static bool wrong(const struct work *work, const char *format,
							...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(work->text, work->text_bytes, format, list);
	va_end(list);
	return false;
}

/* What any call may give; what it gives has a sentence. */
static bool is_documented(const struct work *work, const char *call, int error)
{
	static const int errors[] = {EAGAIN, ENOMEM, ENOTCONN, ETIMEDOUT};
	bool found = error == work->also;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		found |= error == errors[i];
	if (!found)
		return wrong(work, "%s: %s: %s", call, strerrorname_np(error), pageclient_error());
	if (!pageclient_error()[0])
		return wrong(work, "%s: %s, and no word why", call, strerrorname_np(error));
	return true;
}

/* --- attaching ------------------------------------------------------------------------------ */

bool work_open(struct work *work, int *ret_r)
{
	struct pageclient_options options;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = work->socket;
	options.name = "fault";
	options.connect_timeout_ms = CONNECT_MS;
	options.call_timeout_ms = CALL_MS;
	r = pageclient_open(&options, &work->client);
	*ret_r = r;
	if (r == 0 || pageclient_error()[0])
		return true; /* what the daemon refused with may be any */
	return wrong(work, "pageclient_open: %s, and no word why", strerrorname_np(-r));
}

bool work_open_surely(struct work *work)
{
	uint64_t until = clock_until(HOST_PATIENCE_MS);
	int r;

	do {
		if (!work_open(work, &r))
			return false;
		if (r == 0)
			return true;
	} while (clock_pause(until));
	return wrong(work, "nothing fails any more, and open still does: %s", pageclient_error());
}

void work_close(struct work *work)
{
	pageclient_close(work->client);
	work->client = NULL;
	memset(work->held, 0, sizeof(work->held));
}

/* --- frames --------------------------------------------------------------------------------- */

struct attempt {
	struct work *work;
	uint32_t n_failed;
	bool allowed; /* so far */
};

static void note(struct attempt *attempt, const char *call, int error)
{
	attempt->n_failed++;
	if (attempt->allowed)
		attempt->allowed = is_documented(attempt->work, call, error);
}

static void *take(struct attempt *attempt, unsigned int order, unsigned int flags)
{
	void *frame = pageclient_alloc(attempt->work->client, order, flags);

	if (!frame)
		note(attempt, "pageclient_alloc", errno);
	else
		memset(frame, (int)order + 1, 64);
	return frame;
}

static void try_frames(struct attempt *attempt)
{
	pageclient *client = attempt->work->client;
	void *frames[WORK_FRAMES];
	void *cold, *block, *big;
	size_t n;

	for (n = 0; n < WORK_FRAMES && attempt->n_failed == 0; n++)
		if (!(frames[n] = take(attempt, 0, 0)))
			break;
	cold = take(attempt, 0, PAGECLIENT_COLD);
	block = take(attempt, 3, PAGECLIENT_ZERO);
	big = take(attempt, BIG_ORDER, 0);
	while (n > 0)
		pageclient_free(client, frames[--n], 0);
	if (cold)
		pageclient_free_bulk(client, 0, PAGECLIENT_COLD, &cold, 1);
	pageclient_free(client, block, 3);
	pageclient_free(client, big, BIG_ORDER);
}

/* A put whose answer is not known is repeated by the library; EAGAIN says that it was not done. */
static void put(struct attempt *attempt, void *frame)
{
	uint64_t until = clock_until(HOST_PATIENCE_MS);
	int r;

	do
		r = pageclient_put(attempt->work->client, frame);
	while (r == -EAGAIN && clock_pause(until));
	if (r < 0)
		note(attempt, "pageclient_put", -r);
}

static void try_sharing(struct attempt *attempt)
{
	pageclient *client = attempt->work->client;
	void *frame = take(attempt, 0, 0);
	void *again = NULL;
	uint64_t handle = 0;
	int r;

	if (!frame)
		return;
	r = pageclient_share(client, frame, &handle);
	if (r < 0) {
		note(attempt, "pageclient_share", -r);
		/* It may have happened: then it is not to be freed but to be put. */
		if (r != -ENOTCONN && pageclient_put(client, frame) != 0)
			pageclient_free(client, frame, 0);
		return;
	}
	r = pageclient_import(client, handle, &again, NULL);
	if (r < 0)
		note(attempt, "pageclient_import", -r);
	else
		put(attempt, again);
	put(attempt, frame);
}

static uint64_t count_nothing(void *arg)
{
	(void)arg;
	return PAGECLIENT_SHRINK_EMPTY;
}

static int scan_nothing(void *arg, struct pageclient_scan *scan)
{
	(void)arg;
	scan->nr_scanned = 0;
	return PAGECLIENT_SHRINK_STOP;
}

static void try_caches(struct attempt *attempt)
{
	pageclient *client = attempt->work->client;
	struct pageclient_cache_options options;
	struct pageclient_status status;
	pageclient_cache *cache = NULL;
	int r;

	PAGECLIENT_INIT(struct pageclient_cache_options, &options);
	options.name = "fault";
	options.count = count_nothing;
	options.scan = scan_nothing;
	r = pageclient_cache_register(client, &options, &cache);
	if (r < 0)
		note(attempt, "pageclient_cache_register", -r);
	r = pageclient_dispatch(client);
	if (r < 0)
		note(attempt, "pageclient_dispatch", -r);
	r = pageclient_cache_unregister(cache);
	if (r < 0)
		note(attempt, "pageclient_cache_unregister", -r);
	PAGECLIENT_INIT(struct pageclient_status, &status);
	r = pageclient_read_status(client, &status);
	if (r < 0)
		note(attempt, "pageclient_read_status", -r);
	else if (status.state == PAGECLIENT_LOST)
		attempt->allowed = wrong(attempt->work, "LOST");
}

static bool try_all(struct work *work, uint32_t *ret_n_failed)
{
	struct attempt attempt = {.work = work, .allowed = true};

	try_frames(&attempt);
	try_sharing(&attempt);
	try_caches(&attempt);
	*ret_n_failed = attempt.n_failed;
	return attempt.allowed;
}

bool work_try(struct work *work)
{
	uint32_t n_failed;

	return try_all(work, &n_failed);
}

bool work_surely(struct work *work)
{
	uint64_t until = clock_until(HOST_PATIENCE_MS);
	uint32_t n_failed;

	do {
		if (!try_all(work, &n_failed))
			return false;
		if (n_failed == 0)
			return true;
	} while (clock_pause(until));
	return wrong(work, "nothing fails any more, and calls still do: %s", pageclient_error());
}

bool work_hold(struct work *work)
{
	for (uintptr_t i = 0; i < WORK_HELD; i++) {
		uintptr_t *frame = pageclient_alloc(work->client, 0, 0);

		if (!frame)
			return wrong(work, "no frame to hold: %s", pageclient_error());
		*frame = i;
		work->held[i] = frame;
	}
	return true;
}

bool work_verify(struct work *work)
{
	for (uintptr_t i = 0; i < WORK_HELD; i++) {
		const uintptr_t *frame = work->held[i];

		if (frame && *frame != i)
			return wrong(work, "frame %lu holds %lu", (unsigned long)i,
				     (unsigned long)*frame);
	}
	return true;
}
