/* daemon/host/numa.c - mbind(2) without libnuma: one system call does not need a library. */
#include "daemon/host/numa.h"

#include <errno.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODES 1024u /* the kernel's most; a mask of fewer would refuse large machines */
#define LONG_BITS (sizeof(unsigned long) * CHAR_BIT)

int numa_prefer(int fd, uint64_t offset, uint64_t bytes, uint32_t node)
{
	unsigned long mask[NODES / LONG_BITS] = {0};
	void *map;
	int r = 0;

	if (node >= NODES)
		return -EINVAL;
	mask[node / LONG_BITS] |= 1UL << node % LONG_BITS;
	map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return -errno;
	/* The last argument counts one bit more than there are. */
	if (syscall(SYS_mbind, map, bytes, MPOL_PREFERRED, mask, NODES + 1UL, 0) < 0)
		r = -errno;
	(void)munmap(map, bytes);
	return r;
}
