/* daemon/host/granted.h - what was asked for and not given, said once at the start.
 *
 * A unit file asks for more than a manager may be able to give (a user's, one in a container),
 * which clamps it in silence. So it is read back; descriptors are files.h's. None of it ends a
 * start: the daemon serves with what it has. */
#ifndef DAEMON_HOST_GRANTED_H
#define DAEMON_HOST_GRANTED_H
#include "daemon/host/log.h"

struct granted {
	int oom_score_adj;      /* of /proc/self; 0 where it cannot be read */
	bool wants_oom_score;   /* the system's daemon: one that is killed first serves nobody */
	uint64_t segment_bytes; /* the most that may be asked for */
	uint64_t machine_bytes; /* the smaller of RAM and the cgroup's limits */
};

/* Fills in oom_score_adj. proc is "/proc". */
void granted_read(struct granted *granted, const char *proc);
/* A line for each thing that is less than it should be. */
void granted_log(const struct granted *granted, const struct log *log);

#endif
