/* bench/peers/get.h - a block of 4 KiB out of a cache that evicts: a GET of redis and of memcached,
 * over a Unix socket, on the client's CPU (ours are pin_* of bench_purge.h). A private server each,
 * without persistence; the client is as thin as can be: one send, and receives until all is there.
 */
#ifndef BENCH_PEERS_GET_H
#define BENCH_PEERS_GET_H
#include "bench/bench.h"

int redis_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int redis_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	      struct sample *ret_sample);
void redis_teardown(struct bench *bench, void *state);

int memcached_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state);
int memcached_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
		  struct sample *ret_sample);
void memcached_teardown(struct bench *bench, void *state);

#endif
