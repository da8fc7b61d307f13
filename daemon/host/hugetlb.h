/* daemon/host/hugetlb.h - DATA of huge pages that the administrator has reserved.
 *
 * They are for hugepages = always with backing = memfd: a name in /dev/shm cannot have them, and
 * what is reserved is somebody's decision and perhaps meant for somebody else, so `auto` leaves it
 * alone. They are taken as frames are committed, never swapped, and charged to no cgroup's memory.
 * Where they do not suffice for the whole segment it is made of ordinary memory, with a line in the
 * log. */
#ifndef DAEMON_HOST_HUGETLB_H
#define DAEMON_HOST_HUGETLB_H
#include "daemon/host/segments.h"

#define HUGETLB_FOLDER "/sys/kernel/mm/hugepages/hugepages-2048kB"

/* Free and not promised to anybody, in bytes; 0 where the kernel has none. folder is HUGETLB_FOLDER
 * but for tests. */
uint64_t hugetlb_free_bytes(const char *folder);

/* Makes DATA of a new nameless segment, of reserved huge pages or else of ordinary memory. Returns
 * 0, or -errno with a text. */
int hugetlb_create_data(struct segments *segments, char *text, size_t text_bytes);

#endif
