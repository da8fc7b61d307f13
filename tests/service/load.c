/* tests/service/load.c - a client that works on until it is told to stop, whatever happens to the
 * daemon.
 *
 *   load FRAMES FILE
 *
 * Holds FRAMES frames with a pattern, and all the time takes, fills, compares and frees others.
 * Each round it writes "rounds outages state held" to FILE. SIGTERM ends it: exit 0 if every frame
 * always held what it had put there; 1 if not; 2 if it could not begin; 3 if the segment was lost.
 */
#include <fcntl.h>
#include <pageclient/pageclient.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND_FRAMES 64
#define HOLD_MAX 4096u
#define PAUSE_NS                                                                                   \
	1000000 /* a load, and not a burn: a machine runs the whole test on few processors */

static volatile sig_atomic_t told_to_stop;

struct load {
	pageclient *client;
	size_t bytes; /* of a frame */
	unsigned held;
	uint64_t *frame[HOLD_MAX];
	unsigned long rounds, outages;
	enum pageclient_state state;
};

static void on_terminate(int number)
{
	(void)number;
	told_to_stop = 1;
}

static void on_state(void *arg, enum pageclient_state state)
{
	struct load *load = arg;

	load->state = state;
	if (state == PAGECLIENT_AWAY)
		load->outages++;
}

static void fill(const struct load *load, uint64_t *frame, uint64_t tag)
{
	for (size_t i = 0; i < load->bytes / sizeof(*frame); i++)
		frame[i] = tag ^ i;
}

static bool is_filled(const struct load *load, const uint64_t *frame, uint64_t tag)
{
	for (size_t i = 0; i < load->bytes / sizeof(*frame); i++)
		if (frame[i] != (tag ^ i))
			return false;
	return true;
}

static bool round_is_good(struct load *load)
{
	void *frames[ROUND_FRAMES];
	size_t n = pageclient_alloc_bulk(load->client, 0, 0, frames, ROUND_FRAMES);
	bool good = true;

	for (size_t i = 0; i < n; i++)
		fill(load, frames[i], load->rounds + i);
	for (size_t i = 0; i < n; i++)
		good &= is_filled(load, frames[i], load->rounds + i);
	pageclient_free_bulk(load->client, 0, 0, frames, n);
	for (unsigned i = 0; i < load->held; i++)
		good &= is_filled(load, load->frame[i], ~(uint64_t)i);
	load->rounds++;
	return good;
}

static void tell(const struct load *load, int fd)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "%-10lu %-6lu %d %u\n", load->rounds, load->outages,
			 load->state, load->held);

	if (pwrite(fd, line, (size_t)n, 0) < 0)
		perror("load");
}

static int begin(struct load *load, unsigned held)
{
	struct pageclient_options options;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.name = "load";
	options.on_state = on_state;
	options.arg = load;
	if (pageclient_open(&options, &load->client) < 0)
		return -1;
	load->bytes = pageclient_page_size(load->client);
	for (; load->held < held; load->held++) {
		load->frame[load->held] = pageclient_alloc(load->client, 0, 0);
		if (!load->frame[load->held])
			return -1;
		fill(load, load->frame[load->held], ~(uint64_t)load->held);
	}
	return 0;
}

static int work(struct load *load, int fd)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	while (!told_to_stop) {
		if (!round_is_good(load)) {
			fprintf(stderr,
				"load: a frame holds what was not put there, in round %lu\n",
				load->rounds);
			return 1;
		}
		(void)pageclient_dispatch(load->client);
		tell(load, fd);
		if (load->state == PAGECLIENT_LOST)
			return 3;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct load load = {.state = PAGECLIENT_CONNECTED};
	unsigned long held = argc == 3 ? strtoul(argv[1], NULL, 10) : HOLD_MAX + 1;
	int fd, r;

	if (held > HOLD_MAX) {
		fprintf(stderr, "usage: load FRAMES FILE\n");
		return 2;
	}
	(void)signal(SIGTERM, on_terminate);
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || begin(&load, (unsigned)held) < 0) {
		fprintf(stderr, "load: %s\n", fd < 0 ? "no file" : pageclient_error());
		return 2;
	}
	r = work(&load, fd);
	pageclient_close(load.client);
	return r;
}
