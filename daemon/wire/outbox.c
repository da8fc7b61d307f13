/* daemon/wire/outbox.c - see daemon/wire/outbox.h. A singly linked list of copies; each copy is one
 * allocation and owns its descriptors. One thread. */
#include "daemon/wire/outbox.h"

#include "paged/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct outbox_item {
	struct outbox_item *next;
	size_t n_bytes;
	uint32_t n_fds;
	int fds[MESSAGE_FDS_MAX];
	uint8_t bytes[];
};

void outbox_init(struct outbox *outbox, size_t bytes_max, uint32_t messages_max)
{
	*outbox = (struct outbox){.bytes_max = bytes_max, .messages_max = messages_max};
}

static void item_free(struct outbox_item *item)
{
	for (uint32_t i = 0; i < item->n_fds; i++)
		close(item->fds[i]);
	free(item);
}

/* Unlinks the first item and frees it. */
static void outbox_pop(struct outbox *outbox)
{
	struct outbox_item *item = outbox->head;

	outbox->head = item->next;
	if (!outbox->head)
		outbox->tail = NULL;
	outbox->n_messages--;
	outbox->n_fds -= item->n_fds;
	outbox->bytes -= sizeof(*item) + item->n_bytes;
	item_free(item);
}

void outbox_done(struct outbox *outbox)
{
	while (outbox->head)
		outbox_pop(outbox);
}

bool outbox_is_empty(const struct outbox *outbox)
{
	return !outbox->head;
}

static ssize_t send_with_fds(int fd, const uint8_t *bytes, size_t n_bytes, const int *fds,
			     uint32_t n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov; /* iov_base is not const, though sendmsg() only reads */
	struct msghdr packet = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	iov.iov_len = n_bytes;
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	return sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int outbox_send(int fd, const uint8_t *bytes, size_t n_bytes, const int *fds, uint32_t n_fds)
{
	ssize_t n;

	if (n_fds > MESSAGE_FDS_MAX)
		return -EINVAL;
	do
		n = n_fds > 0 ? send_with_fds(fd, bytes, n_bytes, fds, n_fds)
			      : send(fd, bytes, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Duplicates the descriptors into item; on failure item owns those that were made. */
static int item_dup(struct outbox_item *item, const int *fds, uint32_t n_fds)
{
	for (uint32_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		item->fds[item->n_fds++] = fd;
	}
	return 0;
}

int outbox_push(struct outbox *outbox, const uint8_t *bytes, size_t n_bytes, const int *fds,
		uint32_t n_fds)
{
	struct outbox_item *item;
	size_t cost = sizeof(*item) + n_bytes;
	int r;

	if (outbox->n_messages >= outbox->messages_max || cost > outbox->bytes_max ||
	    outbox->bytes > outbox->bytes_max - cost || n_fds > MESSAGE_FDS_MAX ||
	    outbox->n_fds + n_fds > OUTBOX_FDS_MAX)
		return -ENOBUFS;
	item = malloc(cost);
	if (!item)
		return -ENOMEM;
	*item = (struct outbox_item){.n_bytes = n_bytes};
	memcpy(item->bytes, bytes, n_bytes);
	r = item_dup(item, fds, n_fds);
	if (r < 0) {
		item_free(item);
		return r;
	}
	if (outbox->tail)
		outbox->tail->next = item;
	else
		outbox->head = item;
	outbox->tail = item;
	outbox->n_messages++;
	outbox->n_fds += n_fds;
	outbox->bytes += cost;
	return 0;
}

int outbox_flush(struct outbox *outbox, int fd)
{
	while (outbox->head) {
		const struct outbox_item *item = outbox->head;
		int r = outbox_send(fd, item->bytes, item->n_bytes, item->fds, item->n_fds);

		if (r < 0)
			return r;
		outbox_pop(outbox);
	}
	return 0;
}
