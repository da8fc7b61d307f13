/* client/spin.h - waiting without sleeping, for a daemon that does not sleep; see spin.c. */
#ifndef CLIENT_SPIN_H
#define CLIENT_SPIN_H
#include "client/client_private.h"

/* Does the daemon look for what comes at this moment, on another processor than ours? Then
 * it answers sooner than we could fall asleep. A few loads. */
bool spin_is_worth(const pageclient *client);
/* How long a spin of this client may last: as the daemon's do. 0: never. */
uint32_t spin_max_ns(const pageclient *client);
/* Rings for an empty magazine, and watches for a while whether frames come. CAME; VAIN: the daemon
 * looks, and they did not; REFUSED: it says that none will; ASLEEP: it does not look. pcp is the
 * caller's (C1) and no refill is open. */
enum spin_end { SPIN_CAME, SPIN_VAIN, SPIN_REFUSED, SPIN_ASLEEP };
enum spin_end spin_ring(pageclient *client, struct pcp *pcp, uint32_t magazine, size_t n_wanted);

#endif
