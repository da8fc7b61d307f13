/* bench/peers/machine.h - what it was measured on, in a few words. */
#ifndef BENCH_PEERS_MACHINE_H
#define BENCH_PEERS_MACHINE_H
#include <stdbool.h>

struct machine {
	char cpu[96];
	char kernel[96];
	int n_cpus;     /* online */
	bool hugepages; /* as asked for */
};

void machine_read(bool hugepages, struct machine *ret_machine);

#endif
