/* tests/integration/raw.c - see raw.h. */
#include "tests/integration/raw.h"

#include "proto/codec.h"
#include "tests/integration/clock.h"
#include "tests/support/received.h"

#include <CUnit/CUnit.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- encoding ------------------------------------------------------------------------------- */

static void put_byte(struct raw *raw, uint8_t byte)
{
	if (raw->n < sizeof(raw->byte))
		raw->byte[raw->n++] = byte;
}

void raw_varint(struct raw *raw, uint64_t value)
{
	for (; value > 127; value >>= 7)
		put_byte(raw, (uint8_t)(value | 128));
	put_byte(raw, (uint8_t)value);
}

void raw_number(struct raw *raw, uint32_t field, uint64_t value)
{
	raw_varint(raw, field << 3);
	raw_varint(raw, value);
}

void raw_fixed64(struct raw *raw, uint32_t field, uint64_t value)
{
	raw_varint(raw, field << 3 | 1);
	for (int i = 0; i < 8; i++)
		put_byte(raw, (uint8_t)(value >> 8 * i));
}

void raw_bytes(struct raw *raw, uint32_t field, const void *bytes, size_t n)
{
	raw_varint(raw, field << 3 | 2);
	raw_varint(raw, n);
	for (size_t i = 0; i < n; i++)
		put_byte(raw, ((const uint8_t *)bytes)[i]);
}

void raw_message(struct raw *ret_raw, uint64_t id, enum message_kind kind, const struct raw *body)
{
	ret_raw->n = 0;
	raw_number(ret_raw, 1, id);
	raw_bytes(ret_raw, (uint32_t)kind + 1, body->byte, body->n);
}

void raw_request(struct raw *ret_raw, uint64_t id, enum message_kind kind, uint32_t n,
		 const uint64_t *fields)
{
	struct raw body = {.n = 0};

	for (uint32_t i = 0; i < n; i++)
		if (fields[i])
			raw_number(&body, i + 1, fields[i]);
	raw_message(ret_raw, id, kind, &body);
}

/* --- the socket ----------------------------------------------------------------------------- */

int raw_connect(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

bool raw_send(int fd, const struct raw *raw)
{
	return send(fd, raw->byte, raw->n, MSG_NOSIGNAL) == (ssize_t)raw->n;
}

int raw_receive(int fd, struct message *ret_message, int *fds)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	struct iovec part = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	const char *text;
	ssize_t n;

	for (uint32_t i = 0; fds && i < MESSAGE_FDS_MAX; i++)
		fds[i] = -1;
	if (poll(&pollfd, 1, (int)CLOCK_PATIENCE_MS) != 1)
		return -1;
	n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return 0; /* an RST after an EOF is one too */
	received_fds(&header, fds);
	return codec_decode(buffer, (size_t)n, ret_message, &text) ? -1 : 1;
}

int32_t raw_call(int fd, const struct raw *raw, struct message *ret_reply)
{
	if (!raw_send(fd, raw) || raw_receive(fd, ret_reply, NULL) != 1 ||
	    ret_reply->kind != MESSAGE_REPLY)
		return INT32_MIN;
	return ret_reply->reply.status;
}

int32_t raw_ask(int fd, enum message_kind kind, uint32_t n, const uint64_t *fields,
		struct message *ret_reply)
{
	struct message reply;
	struct raw request;
	int32_t status;

	raw_request(&request, 7, kind, n, fields);
	status = raw_call(fd, &request, &reply);
	CU_ASSERT_TRUE(status == INT32_MIN || reply.reply.id == 7);
	CU_ASSERT_TRUE(status >= 0 || status == INT32_MIN || reply.reply.text[0]);
	if (ret_reply && status != INT32_MIN)
		*ret_reply = reply;
	return status;
}

static int hello(const struct fixture *fixture, uint32_t flags, struct message *ret_reply, int *fds)
{
	struct raw request;
	int fd = raw_connect(fixture);

	raw_request(&request, 1, MESSAGE_HELLO, 3, (uint64_t[]){1, 1, flags});
	if (fd >= 0 && raw_send(fd, &request) && raw_receive(fd, ret_reply, fds) == 1 &&
	    ret_reply->reply.status == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

uint32_t raw_take(int fd, uint64_t seq, uint64_t order)
{
	struct message reply = {0};

	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_ALLOC, RAW_FIELDS(0, seq, order, 0, 5000), &reply), 0);
	return (uint32_t)(reply.reply.result >> 32);
}

uint64_t raw_bad_frees(int fd)
{
	struct message reply = {0};

	CU_ASSERT_EQUAL(raw_ask(fd, MESSAGE_STATUS, 0, NULL, &reply), 0);
	return reply.reply.nr_bad_free;
}

int raw_hello(const struct fixture *fixture, uint32_t flags, uint32_t *ret_client)
{
	struct message reply;
	int fd = hello(fixture, flags, &reply, NULL);

	if (fd >= 0 && ret_client)
		*ret_client = reply.reply.client;
	return fd;
}

bool raw_is_closed(int fd)
{
	struct message message;

	return raw_receive(fd, &message, NULL) == 0;
}

/* --- META ----------------------------------------------------------------------------------- */

bool observer_open(struct observer *observer, const struct fixture *fixture)
{
	struct message reply;
	int fds[MESSAGE_FDS_MAX];
	char text[256];

	*observer = (struct observer){.meta_fd = -1};
	observer->fd = hello(fixture, HELLO_OBSERVER, &reply, fds);
	if (observer->fd < 0)
		return false;
	observer->meta_fd = fds[0];
	if (shm_view_attach(&observer->view, fds[0], text, sizeof(text)) == 0)
		return true;
	(void)close(observer->fd);
	(void)close(observer->meta_fd);
	observer->fd = observer->meta_fd = -1;
	return false;
}

void observer_close(struct observer *observer)
{
	if (observer->fd < 0)
		return;
	shm_view_detach(&observer->view);
	(void)close(observer->fd);
	(void)close(observer->meta_fd);
	observer->fd = -1;
}

static bool is_there(const struct shm_client *client)
{
	return __atomic_load_n(&client->state, __ATOMIC_ACQUIRE) != SHM_CLIENT_FREE;
}

const struct shm_client *observer_find(const struct observer *observer, pid_t pid, const char *name)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		const struct shm_client *client = shm_view_client(&observer->view, id);

		if (is_there(client) && client->pid == (uint32_t)pid &&
		    (!name || strcmp(client->name, name) == 0))
			return client;
	}
	return NULL;
}

uint32_t observer_count_clients(const struct observer *observer)
{
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		n += is_there(shm_view_client(&observer->view, id));
	return n;
}

bool observer_adds_up(const struct observer *observer)
{
	const struct shm_view *view = &observer->view;
	uint64_t owned = shm_view_counter(view, COUNTER_nr_owned);
	uint64_t all = shm_view_counter(view, COUNTER_nr_free_pages) + owned +
		       shm_view_counter(view, COUNTER_nr_shared);
	uint64_t managed = 0;

	for (uint32_t i = 0; i < view->header->nr_zones; i++)
		managed += view->zones[i].managed;
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (is_there(shm_view_client(view, id)))
			owned -= shm_view_client(view, id)->nr_owned;
	return owned == 0 && all == managed;
}

bool observer_settles(const struct observer *observer)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (!observer_adds_up(observer))
		if (!clock_pause(until))
			return false;
	return true;
}

bool observer_all_free(const struct observer *observer)
{
	uint64_t until = clock_until(CLOCK_PATIENCE_MS);

	while (observer_count_clients(observer) ||
	       shm_view_counter(&observer->view, COUNTER_nr_free_pages) !=
		       observer->view.header->nr_frames)
		if (!clock_pause(until))
			return false;
	return true;
}
