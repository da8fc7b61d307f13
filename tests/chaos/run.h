/* tests/chaos/run.h - one run: who is killed when, the looks at rest, and the end.
 *
 *   main.c     options, signals, the order of things
 *   run.c      the schedule
 *   rest.c     everybody rests, and the walker counts; the end
 *   report.c   what was printed
 *
 * The schedule follows from the seed: when somebody is killed, and who. What the processes do
 * meanwhile follows from it too, but for the order in which the machine lets them. A server is not
 * killed again before one call was answered since its last death (but for the kills in pairs, which
 * meet the recovery): three deaths in recovery are a reason for a new segment. */
#ifndef TESTS_CHAOS_RUN_H
#define TESTS_CHAOS_RUN_H
#include "tests/chaos/cast.h"
#include "tests/chaos/daemon.h"
#include "tests/chaos/walker.h"

struct options {
	double minutes;
	uint64_t seed;
	const char *paged;
	const char *pagectl;
};

struct tally {
	uint32_t server_kills;
	uint32_t client_kills;
	uint32_t supervisor_kills;
	uint32_t stops;
	uint32_t rests;
	uint32_t own_deaths; /* of servers, that nobody killed */
	uint32_t failures;   /* of the run itself: no rest, check broken, segment replaced ... */
	uint64_t lost;
	uint64_t doubled;
	uint64_t claimed;        /* at the last rest */
	uint64_t purged;         /* as META counts */
	uint64_t late_ns;        /* the longest that main itself waited for a processor */
	uint64_t server_late_ns; /* and that a server did from its start to its first answer */
};

struct run {
	struct options options;
	struct board *board;
	struct daemon daemon;
	struct walker walker;
	struct cast cast;
	struct tally tally;
	uint64_t begun_ns;
	uint32_t seen_back; /* the last restart after which the daemon was seen to answer */
	int signal_fd;
	bool interrupted;
	bool fatal; /* to go on would show nothing more */
};

/* run.c: until the time is up. */
void run_schedule(struct run *run);
/* Waits for a signal or ms; reaps, and starts again who ended, the supervisor too. */
void run_attend(struct run *run, uint32_t ms);

/* rest.c */
void rest_look(struct run *run);
/* Everybody gives back and ends, then the daemon; what is left is lost. */
void rest_end(struct run *run);

/* report.c */
void report_begin(const struct run *run);
void report_progress(const struct run *run);
/* True if all is well. */
bool report_end(struct run *run);
__attribute__((format(printf, 2, 3))) void report_failure(struct run *run, const char *format, ...);

#endif
