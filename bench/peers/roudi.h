/* bench/peers/roudi.h - iceoryx's daemon, with pools for our sizes. There is one for a machine:
 * where somebody else's runs ours ends at once, and the peer uses theirs or says that it cannot. */
#ifndef BENCH_PEERS_ROUDI_H
#define BENCH_PEERS_ROUDI_H
#include "bench/peers/server.h"

int roudi_start(struct bench *bench, struct server *ret_server);

#endif
