/* bench/place.c - see place.h. */
#include "bench/place.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static int next_cpu(const cpu_set_t *set, int after)
{
	for (int cpu = after + 1; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, set))
			return cpu;
	}
	return PLACE_ANYWHERE;
}

int place_parse(const char *text, struct place *ret_place)
{
	struct place place = {PLACE_ANYWHERE, PLACE_ANYWHERE};
	cpu_set_t set;
	char rest;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	if (strcmp(text, "auto") == 0) {
		place.daemon_cpu = next_cpu(&set, -1);
		place.client_cpu = next_cpu(&set, place.daemon_cpu);
		if (place.client_cpu == PLACE_ANYWHERE)
			place.client_cpu = place.daemon_cpu;
	} else if (strcmp(text, "none") != 0) {
		if (sscanf(text, "%d,%d%c", &place.daemon_cpu, &place.client_cpu, &rest) != 2 ||
		    next_cpu(&set, place.daemon_cpu - 1) != place.daemon_cpu ||
		    next_cpu(&set, place.client_cpu - 1) != place.client_cpu ||
		    place.daemon_cpu < 0 || place.client_cpu < 0)
			return -EINVAL;
	}
	*ret_place = place;
	return 0;
}

int place_take(int cpu)
{
	cpu_set_t set;

	if (cpu == PLACE_ANYWHERE)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}
