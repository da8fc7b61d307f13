/* daemon/host/numa.h - which NUMA node the memory of a file comes from. */
#ifndef DAEMON_HOST_NUMA_H
#define DAEMON_HOST_NUMA_H
#include <stdint.h>

/* Memory that a part of DATA is given from now on comes from that node, and from others where that
 * one has none: a commit must not end in an OOM kill while the machine has memory. The kernel keeps
 * it with the file. Returns 0 or -errno. */
int numa_prefer(int fd, uint64_t offset, uint64_t bytes, uint32_t node);

#endif
