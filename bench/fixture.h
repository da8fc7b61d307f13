/* bench/fixture.h - a private daemon: its own folder, instance, configuration and log.
 *
 * Everything lies in a fresh folder under $TMPDIR: paged.conf, paged.log, paged.sock. The instance
 * is named after the folder, so two benches never meet. Stopping ends the daemon, waits for it, and
 * removes the folder and the files of the instance in /dev/shm, however the daemon ended. Where the
 * bench itself is killed the daemon is told to stop by the kernel. */
#ifndef BENCH_FIXTURE_H
#define BENCH_FIXTURE_H
#include <limits.h>
#include <pageclient/pageclient.h>
#include <stdint.h>
#include <sys/types.h>

#define FIXTURE_TEXT_BYTES 1024u

struct fixture {
	pid_t pid; /* 0: does not run */
	char folder[PATH_MAX - 32];
	char instance[32];
	char socket[PATH_MAX];
	uint64_t exec_ns;  /* CLOCK_MONOTONIC, when paged was executed */
	uint64_t ready_ns; /* when its Hello was answered */
};

struct fixture_options {
	const char *paged;
	const char *configuration;
	int cpu; /* or PLACE_ANYWHERE */
	/* NULL, or called before paged is executed: leaves a segment for it to take over. 0, or
	 * -errno with a sentence in text. */
	int (*prepare)(void *arg, const char *instance, char *text, size_t text_bytes);
	void *arg;
};

/* Returns once a client was attached (and has left), or -errno with a sentence in text and nothing
 * left behind. */
int fixture_start(struct fixture *ret_fixture, const struct fixture_options *options, char *text,
		  size_t text_bytes);
/* One that does not run is nothing. */
void fixture_stop(struct fixture *fixture);

#endif
