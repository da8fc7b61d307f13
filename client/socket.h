/* client/socket.h - messages on a SOCK_SEQPACKET socket. */
#ifndef CLIENT_SOCKET_H
#define CLIENT_SOCKET_H
#include "paged/message.h"

int socket_connect(const char *path, uint64_t deadline_ns, int *ret_fd);
/* Never blocks. -EAGAIN: the backlog is full. */
int socket_try_connect(const char *path, int *ret_fd);
/* Never blocks, never raises SIGPIPE. -EAGAIN: the peer does not read. -ENOTCONN: it is gone. */
int socket_send(int fd, const struct message *message);
/* The same with a descriptor, which stays the caller's. */
int socket_send_fd(int fd, const struct message *message, int passed_fd);
/* -EAGAIN nothing there; -ENOTCONN end; -EBADMSG. Descriptors that come with it are dropped. */
int socket_receive(int fd, uint8_t *buffer, struct message *ret_message);
/* The same with *ret_n_fds descriptors, close-on-exec, in fds (MESSAGE_FDS_MAX of them). */
int socket_receive_fds(int fd, uint8_t *buffer, struct message *ret_message, int *fds,
		       uint32_t *ret_n_fds);

/* As socket_receive(), but waits: -EAGAIN it is to be called again, -ETIMEDOUT. */
int socket_await(int fd, uint8_t *buffer, struct message *ret_message, uint64_t deadline_ns);

#endif
