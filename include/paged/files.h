/* paged/files.h - how many clients a limit of descriptors allows.
 *
 * The server has five for each: call socket, event socket, pidfd, CTL, and for a moment the
 * client's end of the event socket, or the old connection of one that resumes. The supervisor keeps
 * one more, the CTL, under a limit of its own. */
#ifndef PAGED_FILES_H
#define PAGED_FILES_H
#include <stdint.h>

#define FILES_PER_CLIENT 5u
/* What the server has without a client, observers and subscribers to pressure among it. Lower:
 * the last clients that are promised are refused; higher: too few are promised. */
#define FILES_OF_SERVER 96u

static inline uint64_t files_clients_that_fit(uint64_t limit)
{
	return limit > FILES_OF_SERVER ? (limit - FILES_OF_SERVER) / FILES_PER_CLIENT : 0;
}

#endif
