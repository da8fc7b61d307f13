/* tests/support/received.c - see received.h. */
#include "tests/support/received.h"

#include "paged/message.h"

#include <string.h>
#include <unistd.h>

void received_fds(struct msghdr *header, int *fds)
{
	uint32_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			if (fds && n < MESSAGE_FDS_MAX)
				fds[n++] = fd;
			else
				(void)close(fd);
		}
	}
}
