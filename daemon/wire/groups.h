/* daemon/wire/groups.h - the supplementary groups of a process.
 *
 * Those of a peer are the kernel's word of the moment in which it connected (SO_PEERGROUPS), as its
 * user is. A client that is adopted has no socket: /proc/PID/status says what it has now. Of a
 * process in more groups than are kept the lowest numbers count, in both: the kernel has them
 * sorted. */
#ifndef DAEMON_WIRE_GROUPS_H
#define DAEMON_WIRE_GROUPS_H
#include "daemon/session/session.h"

/* -errno: they cannot be told now; who is kept out by a group must not be taken for one in none. */
int groups_of_peer(int fd, struct session_groups *ret_groups);

/* From the text of the file. Pure. */
void groups_parse(const char *status, struct session_groups *ret_groups);
/* The same for a process; none if /proc does not show it. -errno. */
int groups_of(uint32_t pid, struct session_groups *ret_groups);

#endif
