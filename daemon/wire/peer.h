/* daemon/wire/peer.h - who is at the other end of a socket, and a descriptor that tells of its
 * death.
 *
 * A pid alone names nobody: the process may be gone and its number taken. The kernel's own answer
 * is SO_PEERPIDFD (6.5). Before, pidfd_open() by pid is bracketed: credentials and start time are
 * read before and again after it, and the process must be alive at the end; then the pidfd is that
 * of the process which had that start time all along. */
#ifndef DAEMON_WIRE_PEER_H
#define DAEMON_WIRE_PEER_H
#include "daemon/session/session.h"

/* Returns 0, *ret_pidfd is the caller's then; -ESRCH if the process that connected is gone or
 * cannot be told from another one, -errno. pid_start is 0 where /proc does not show the process. */
int peer_open(int fd, struct session_peer *ret_peer, int *ret_pidfd);

/* The process pid if it is still the one that started at pid_start. -ESRCH if it is not, and only
 * then; -errno if that cannot be told now. */
int peer_find(uint32_t pid, uint64_t pid_start, int *ret_pidfd);

#endif
