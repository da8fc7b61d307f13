/* tests/support/received.h - descriptors that came with a message. */
#ifndef TESTS_SUPPORT_RECEIVED_H
#define TESTS_SUPPORT_RECEIVED_H
#include <sys/socket.h>

/* Takes the first MESSAGE_FDS_MAX of header into fds, which are the caller's then, and closes the
 * rest; with NULL it closes all. Places without one are left as they are. */
void received_fds(struct msghdr *header, int *fds);

#endif
