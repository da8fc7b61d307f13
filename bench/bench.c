/* bench/bench.c - what all benchmarks run in: see bench.h. */
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* More than any of BENCH_DAEMONS. */
#define CONFIGURATION_BYTES 1024u

static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void bench_init(struct bench *bench, const struct options *options)
{
	raise_descriptors();
	memset(bench, 0, sizeof(*bench));
	bench->options = options;
}

void bench_done(struct bench *bench)
{
	for (unsigned i = 0; i < BENCH_NR_DAEMONS; i++)
		fixture_stop(&bench->daemon[i]);
}

int bench_start_daemon_on(struct bench *bench, const char *configuration,
			  int (*prepare)(void *arg, const char *instance, char *text,
					 size_t text_bytes),
			  void *arg, struct fixture *ret_fixture)
{
	char text[CONFIGURATION_BYTES];
	struct fixture_options options = {
		.paged = bench->options->paged,
		.configuration = text,
		.cpu = bench->place.daemon_cpu,
		.prepare = prepare,
		.arg = arg,
	};

	(void)snprintf(text, sizeof(text), "%s%s",
		       bench->options->hugepages ? "[segment]\nhugepages = always\n" : "",
		       configuration);
	return fixture_start(ret_fixture, &options, bench->text, sizeof(bench->text));
}

int bench_start_daemon(struct bench *bench, const char *configuration, struct fixture *ret_fixture)
{
	return bench_start_daemon_on(bench, configuration, NULL, NULL, ret_fixture);
}

int bench_find_daemon(struct bench *bench, enum bench_daemon which, struct fixture **ret_fixture)
{
	static const char *const configuration[] = {
#define X(name, text) text,
		BENCH_DAEMONS(X)
#undef X
	};
	struct fixture *fixture = &bench->daemon[which];
	int r = fixture->pid > 0 ? 0 : bench_start_daemon(bench, configuration[which], fixture);

	if (r == 0)
		*ret_fixture = fixture;
	return r;
}

int bench_open_client(struct bench *bench, const struct fixture *fixture, pageclient **ret_client)
{
	struct pageclient_options options;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.socket = fixture->socket;
	options.name = "bench";
	r = pageclient_open(&options, ret_client);
	return r < 0 ? bench_fail(bench, r, "a client: %s", pageclient_error()) : 0;
}
