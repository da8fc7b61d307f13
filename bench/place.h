/* bench/place.h - which CPU the client runs on, and which the daemon.
 *
 * Unpinned, the scheduler moves both, and a round trip takes 5 us or 50 us by its mood. With two
 * CPUs or more the daemon gets the first that this process may use and the client the second; with
 * one they share it. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#define PLACE_ANYWHERE (-1)

struct place {
	int daemon_cpu; /* or PLACE_ANYWHERE */
	int client_cpu;
};

/* text: "auto", "none" or "DAEMON,CLIENT". Returns 0, or -EINVAL if it is none of these or names a
 * CPU that this process may not use. */
int place_parse(const char *text, struct place *ret_place);

/* Moves the calling process to cpu. Returns 0 or -errno. */
int place_take(int cpu);

#endif
