/* daemon/core/psi.h - pressure stall information: how much of the time somebody waited for frames.
 *
 * The kernel's PSI does not see that our segment is full: who waits for a frame sleeps in a read of
 * a socket. So the segment has PSI of its own, with the kernel's meaning and numbers:
 *
 *   stalled      a client with at least one request parked for want of frames. One that waits for a
 *                commit (NO_COMMIT) or for its own quota is not: there is no lack of frames.
 *   some         at least one client was stalled
 *   full         at least one was stalled, and no other was active, that is, had a request met
 *                within PSI_ACTIVE_NS. A client that lives on its magazines alone asks for nothing,
 *                and counts as idle.
 *   of a zone    the same, of the requests that the zone could have served
 *   of a client  some: one of its requests is parked; full: as many as it has threads
 *
 * total is in microseconds. The averages are those of kernel/sched/psi.c (update_averages(),
 * calc_avgs()) and include/linux/sched/loadavg.h: every PSI_PERIOD_NS the share of the period is
 * taken as a whole percentage and runs into three exponential averages in 11-bit fixed point, with
 * e^(-2/10), e^(-2/60) and e^(-2/300); periods that nobody looked at count as idle, but for the
 * last. So the averages are right after any pause, and idle time costs nothing.
 *
 * A window is that of a PSI trigger (window_update() there): how much a total grew in the last
 * `size`, with the window before fading out.
 *
 * Pure; time is CLOCK_MONOTONIC and never goes back. Memory: the caller's. */
#ifndef DAEMON_CORE_PSI_H
#define DAEMON_CORE_PSI_H
#include "shm/layout.h"

#include <stdbool.h>

#define PSI_PERIOD_NS UINT64_C(2000000000)
/* Lower: clients that ask now and then count as idle, and full comes too early. Higher: it comes
 * late. */
#define PSI_ACTIVE_NS UINT64_C(1000000000)

struct psi {
	uint64_t total_ns[SHM_PSI_KINDS];
	uint64_t sampled_ns[SHM_PSI_KINDS]; /* the part of total_ns that the averages have */
	uint64_t avg[SHM_PSI_KINDS][3];     /* percent << 11 */
	uint64_t last_ns;                   /* of the last update */
	uint64_t next_ns;                   /* when the next is due */
};

/* Begins at now. from: what an earlier server published, whose numbers go on; all zero for a new
 * group. */
void psi_init(struct psi *psi, const struct shm_psi *from, uint64_t now_ns);
/* So much time was spent in that state. */
void psi_add(struct psi *psi, enum shm_psi_kind kind, uint64_t ns);
/* Brings the averages up to now, if a period has ended; false: not yet. O(log of the pause). */
bool psi_update(struct psi *psi, uint64_t now_ns);
/* Writes totals and averages for readers. */
void psi_publish(const struct psi *psi, struct shm_psi *to);

struct psi_window {
	uint64_t size_ns;
	uint64_t start_ns, start_value, last_growth;
};

void psi_window_init(struct psi_window *window, uint64_t size_ns, uint64_t now_ns, uint64_t value);
/* How much value grew in the window that ends now. */
uint64_t psi_window_update(struct psi_window *window, uint64_t now_ns, uint64_t value);

#endif
