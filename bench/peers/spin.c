/* bench/peers/spin.c - see spin.h. Even numbers are the client's turn, odd ones the other's. */
#include "bench/peers/spin.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPIN_END UINT64_MAX

struct spin {
	uint64_t turn;
	pid_t pid;
};

static _Noreturn void become_other(struct spin *spin, int cpu)
{
	uint64_t turn;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)place_take(cpu);
	while ((turn = __atomic_load_n(&spin->turn, __ATOMIC_ACQUIRE)) != SPIN_END) {
		if (turn & 1)
			__atomic_store_n(&spin->turn, turn + 1, __ATOMIC_RELEASE);
		else
			__builtin_ia32_pause();
	}
	_exit(0);
}

int spin_setup(struct bench *bench, const struct benchmark *benchmark, void **ret_state)
{
	struct spin *spin;

	(void)benchmark;
	if (bench->place.client_cpu == bench->place.daemon_cpu)
		return bench_fail(bench, -EOPNOTSUPP, "needs two CPUs, and --pin");
	spin = mmap(NULL, sizeof(*spin), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (spin == MAP_FAILED)
		return bench_fail(bench, -errno, "shared memory: %s", strerror(errno));
	spin->pid = fork();
	if (spin->pid == 0)
		become_other(spin, bench->place.daemon_cpu);
	if (spin->pid < 0) {
		(void)munmap(spin, sizeof(*spin));
		return bench_fail(bench, -EAGAIN, "no process");
	}
	*ret_state = spin;
	return 0;
}

int spin_run(struct bench *bench, const struct benchmark *benchmark, void *state, uint64_t n,
	     struct sample *ret_sample)
{
	struct spin *spin = state;
	uint64_t turn = __atomic_load_n(&spin->turn, __ATOMIC_ACQUIRE), some;
	struct slices slices = slices_of(n);

	(void)bench;
	(void)benchmark;
	while ((some = slices_next(&slices)) > 0) {
		for (uint64_t i = 0; i < some; i++) {
			__atomic_store_n(&spin->turn, turn + 1, __ATOMIC_RELEASE);
			turn += 2;
			while (__atomic_load_n(&spin->turn, __ATOMIC_ACQUIRE) != turn)
				__builtin_ia32_pause();
		}
	}
	*ret_sample = slices_sum(&slices);
	return 0;
}

void spin_teardown(struct bench *bench, void *state)
{
	struct spin *spin = state;
	pid_t pid = spin->pid;

	(void)bench;
	__atomic_store_n(&spin->turn, SPIN_END, __ATOMIC_RELEASE);
	(void)waitpid(pid, NULL, 0);
	(void)munmap(spin, sizeof(*spin));
}
