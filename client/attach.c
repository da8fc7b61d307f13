/* client/attach.c - from a socket's name to an attached client.
 *
 *   register for the barrier -> connect -> Hello -> reply with META, DATA, CTL, event socket -> map
 *
 * The barrier comes first: the daemon may steal as soon as it has granted. Without it a steal and a
 * pop could both take a frame, once in a million, so an attach without a registration that is known
 * to be there is refused. Nothing here waits past connect_timeout_ms. */
#include "client/client_private.h"
#include "client/socket.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTACH_RUN_PATH "/run/paged/paged.sock"
#define ATTACH_FDS 4u
#define MEMBARRIER_GET_REGISTRATIONS (1 << 9) /* Linux 6.3; older headers lack it */

static int membarrier(int command)
{
	long r = syscall(SYS_membarrier, command, 0, 0);

	return r < 0 ? -errno : (int)r;
}

static int attach_register_barrier(void)
{
	int r = membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);

	if (r < 0)
		return error_set(-ENOSYS,
				 "this process cannot register for membarrier() (%s): Linux 4.16 "
				 "and a seccomp filter that allows it are needed",
				 strerrordesc_np(-r));
	r = membarrier(MEMBARRIER_GET_REGISTRATIONS);
	if (r >= 0 && (r & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0)
		return error_set(-ENOSYS, "the kernel took the registration for membarrier() and "
					  "does not show it: is membarrier() emulated here?");
	return 0;
}

/* --- which socket --- */

struct attach_paths {
	char path[2][CLIENT_PATH_BYTES];
	uint32_t n;
};

static int attach_add_path(struct attach_paths *paths, const char *directory, const char *name)
{
	char *path = paths->path[paths->n];
	int n = snprintf(path, CLIENT_PATH_BYTES, "%s%s", directory, name);

	if (n < 0 || (uint32_t)n >= CLIENT_PATH_BYTES)
		return error_set(-ENAMETOOLONG,
				 "the socket's path %s%s is too long: at most %u bytes, use a "
				 "shorter one",
				 directory, name, CLIENT_PATH_BYTES - 1);
	paths->n++;
	return 0;
}

/* One that was named, and no other; else the user's instance, then the system's. */
static int attach_find_paths(const char *named, struct attach_paths *ret_paths)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int r = 0;

	memset(ret_paths, 0, sizeof(*ret_paths));
	if (!named)
		named = secure_getenv("PAGED_SOCKET");
	if (named && named[0] != '\0')
		return attach_add_path(ret_paths, named, "");
	if (runtime && runtime[0] != '\0')
		r = attach_add_path(ret_paths, runtime, "/paged/paged.sock");
	return r < 0 ? r : attach_add_path(ret_paths, ATTACH_RUN_PATH, "");
}

static int attach_connect_error(int r, const char *path)
{
	if (r == -ENOTCONN)
		return error_set(r,
				 "no daemon listens at %s: start paged, or set PAGED_SOCKET to "
				 "its socket",
				 path);
	if (r == -ETIMEDOUT)
		return error_set(r, "the daemon at %s does not accept connections: is it stopped?",
				 path);
	return error_set(r, "cannot connect to %s: %s", path, strerrordesc_np(-r));
}

static int attach_connect(pageclient *client, const char *named, uint64_t deadline_ns)
{
	struct attach_paths paths;
	int r = attach_find_paths(named, &paths);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < paths.n; i++) {
		r = socket_connect(paths.path[i], deadline_ns, &client->call_fd);
		if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR)
			continue;
		memcpy(client->socket_path, paths.path[i], CLIENT_PATH_BYTES);
		return r < 0 ? attach_connect_error(r, paths.path[i]) : 0;
	}
	return attach_connect_error(-ENOTCONN, paths.path[paths.n - 1]);
}

/* --- Hello --- */

static uint32_t attach_indexes(const pageclient *client)
{
	/* One more than get their own: those who share. All of them is as many as there are. */
	return client->options.max_threads < SHM_MAX_THREADS ? client->options.max_threads + 1
							     : SHM_MAX_THREADS;
}

/* The daemon may have attached a client whose answer never came here. The next Hello of this thread
 * has the same nonce, so that the daemon ends that one; the first open that succeeds ends it here.
 * 0, which is none, where there is no memory or no random number. */
static uint64_t attach_nonce(void)
{
	struct thread *thread = thread_current();

	if (!thread)
		return 0;
	if (thread->hello_nonce == 0 &&
	    getrandom(&thread->hello_nonce, sizeof(thread->hello_nonce), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(thread->hello_nonce))
		thread->hello_nonce = 0;
	return thread->hello_nonce;
}

static int attach_send_hello(const pageclient *client)
{
	struct message request = {.kind = MESSAGE_HELLO, .id = 1};

	request.hello.version_min = PROTOCOL_VERSION_MIN;
	request.hello.version_max = PROTOCOL_VERSION;
	request.hello.flags = client->options.flags & PAGECLIENT_READ_ONLY ? HELLO_READ_ONLY : 0u;
	request.hello.max_threads = attach_indexes(client);
	request.hello.max_frames = client->options.max_frames;
	request.hello.nonce = attach_nonce();
	memcpy(request.hello.name, client->name, sizeof(request.hello.name));
	return socket_send(client->call_fd, &request);
}

/* Waits for the reply; its descriptors are the caller's whatever it says. */
static int attach_receive(pageclient *client, uint64_t deadline_ns, struct message *ret_message,
			  int *fds, uint32_t *ret_n_fds)
{
	int r;

	do {
		r = clock_poll(client->call_fd, POLLIN, deadline_ns);
		if (r == 0)
			r = socket_receive_fds(client->call_fd, client->rpc.buffer, ret_message,
					       fds, ret_n_fds);
	} while (r == -EAGAIN);
	if (r == -ETIMEDOUT)
		return error_set(r, "the daemon does not answer: is it stopped?");
	if (r == -EBADMSG)
		return error_set(-EPROTO, "what answers at the socket does not speak paged's "
					  "protocol");
	return r < 0 ? error_set(r, "the daemon ended the connection: its log says why") : 0;
}

static int attach_check_reply(const struct message *message, uint32_t n_fds)
{
	const struct message_reply *reply = &message->reply;

	/* A refusal of the connection as such has id 0: it was said before Hello was read. */
	if (message->kind != MESSAGE_REPLY ||
	    (reply->id != 1 && (reply->id != 0 || reply->status >= 0)))
		return error_set(-EPROTO, "the daemon answered Hello with something else");
	if (reply->status < 0)
		return error_set(reply->status, "%s", reply->text);
	if (reply->version < PROTOCOL_VERSION_MIN || reply->version > PROTOCOL_VERSION)
		return error_set(-EPROTONOSUPPORT,
				 "the daemon speaks version %u, this library %u to %u: update the "
				 "older one",
				 reply->version, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
	if (n_fds != ATTACH_FDS || reply->client == CLIENT_NONE ||
	    reply->client > SHM_MAX_CLIENTS || reply->max_threads == 0 ||
	    reply->max_threads > SHM_MAX_THREADS)
		return error_set(-EPROTO, "the daemon's answer to Hello is incomplete");
	return 0;
}

static void attach_note_reply(pageclient *client, const struct message_reply *reply)
{
	client->id = reply->client;
	client->max_threads = reply->max_threads;
	client->daemon_version = reply->daemon_version;
	client->away.random = (reply->token[0] ^ clock_now_ns()) | 1;
	client->token[0] = reply->token[0];
	client->token[1] = reply->token[1];
	client->level = reply->level;
	client->rpc.last_id = 1;
}

void attach_done(void)
{
	struct thread *thread = thread_peek();

	if (thread)
		thread->hello_nonce = 0;
}

int attach_open(pageclient *client, const char *socket_path)
{
	uint64_t deadline = clock_deadline_ns(client->options.connect_timeout_ms);
	int fds[MESSAGE_FDS_MAX] = {-1, -1, -1, -1};
	struct message message;
	uint32_t n_fds = 0;
	int r;

	r = attach_connect(client, socket_path, deadline);
	if (r == 0)
		r = attach_register_barrier();
	if (r == 0) {
		/* One that refuses us may be gone already: what it said is there all the same. */
		r = attach_send_hello(client);
		if (r < 0 && r != -ENOTCONN)
			r = error_set(r, "Hello cannot be sent: %s", strerror(-r));
		else
			r = attach_receive(client, deadline, &message, fds, &n_fds);
	}
	if (r == 0)
		r = attach_check_reply(&message, n_fds);
	if (r == 0) {
		attach_note_reply(client, &message.reply);
		client->event_fd = fds[3];
		fds[3] = -1;
		r = map_attach(client, fds);
		client->ctl_fd = fds[2];
		fds[2] = -1;
	}
	for (uint32_t i = 0; i < MESSAGE_FDS_MAX; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	return r;
}
