/* bench/peers/machine.h - what it was measured on, in a few words. */
#ifndef BENCH_PEERS_MACHINE_H
#define BENCH_PEERS_MACHINE_H

struct machine {
	char cpu[96];
	char kernel[96];
	int n_cpus; /* that this process may use */
};

void machine_read(struct machine *ret_machine);

#endif
