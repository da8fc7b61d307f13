/* pagectl/host.h - what /proc and /sys know beside META: page tables, processes, huge pages. */
#ifndef PAGECTL_HOST_H
#define PAGECTL_HOST_H
#include "shm/view.h"

#include <stdbool.h>

#define HOST_WORD_BYTES 32u

/* Bytes of pid's page tables (VmPTE in /proc/PID/status). False if it cannot be read. */
bool host_page_table_bytes(uint32_t pid, uint64_t *ret_bytes);

/* The state of process pid in /proc/PID/stat: 'R', 'S', 'T' (stopped) ... False if it cannot be
 * read. */
bool host_process_state(uint32_t pid, char *ret_state);

/* Descriptors that process pid may have open. False if it cannot be read. */
bool host_file_limit(uint32_t pid, uint64_t *ret_limit);

/* How the kernel gives huge pages to shared memory. Each word is "" where it could not be read. */
struct host_huge {
	char shmem_enabled[HOST_WORD_BYTES]; /* the chosen one: always, within_size, advise ... */
	char dev_shm[HOST_WORD_BYTES];       /* the huge= option of /dev/shm's tmpfs, or "never" */
	uint64_t n_reserved, n_free; /* pages of 2 MiB that the administrator reserved (hugetlb) */
};
void host_read_huge(struct host_huge *ret_huge);

/* Can the segment of that header get huge pages? *ret_advice is what the administrator can do, or
 * why nothing is to be done. shmem_enabled rules memfds; a POSIX object lies in the tmpfs of
 * /dev/shm, whose huge= option rules it, unless shmem_enabled says deny or force, which rule both.
 * hugepages = always makes them of what is there, unless it says deny. Pure. */
bool host_huge_verdict(const struct host_huge *huge, const struct shm_meta_header *header,
		       const char **ret_advice);

#endif
