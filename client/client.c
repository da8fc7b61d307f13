/* client/client.c - opening, closing, and what can be told about a client. */
#include "client/client_private.h"

#include "client/cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* How long close waits for the daemon to have taken everything back. */
#define CLOSE_WAIT_MS 1000u
/* How long it waits for a daemon that is away. Lower: the frames of a client that is closed during
 * a restart stay taken until the process ends; higher: programs end late without a daemon. */
#define CLOSE_AWAY_MS 200u

uint32_t pageclient_version(void)
{
	return PAGECLIENT_VERSION;
}

size_t pageclient_page_size(const pageclient *client)
{
	return client ? (size_t)1 << client->page_shift : 0;
}

uint32_t pageclient_pfn(const pageclient *client, const void *frame)
{
	uint64_t offset = (uint64_t)((const char *)frame - client->data);

	return offset < client->data_bytes ? (uint32_t)(offset >> client->page_shift) : PFN_NONE;
}

void *pageclient_frame(const pageclient *client, uint32_t pfn)
{
	return pfn < client->nr_frames ? client->data + ((size_t)pfn << client->page_shift) : NULL;
}

/* --- open --- */

static uint32_t default_to(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static int client_set_options(pageclient *client, const struct pageclient_options *options)
{
	struct pageclient_options *own = &client->options;
	const char *name;
	int r = options_copy(own, sizeof(*own), options, sizeof(own->size) + sizeof(own->flags),
			     "pageclient_options");

	if (r < 0)
		return r;
	if (own->flags & ~(uint32_t)(PAGECLIENT_FALLBACK_PRIVATE | PAGECLIENT_READ_ONLY))
		return error_set(-EINVAL, "flags 0x%x are none that this library knows",
				 own->flags & ~(uint32_t)(PAGECLIENT_FALLBACK_PRIVATE |
							  PAGECLIENT_READ_ONLY));
	if (own->reserved != 0)
		return error_set(-EINVAL, "the reserved field of the options must be 0");
	name = own->name ? own->name : program_invocation_short_name;
	if (own->name && strnlen(name, MESSAGE_NAME_BYTES) == MESSAGE_NAME_BYTES)
		return error_set(-ENAMETOOLONG, "the client's name is too long: at most %u bytes",
				 MESSAGE_NAME_BYTES - 1);
	(void)strncpy(client->name, name, MESSAGE_NAME_BYTES - 1);
	own->connect_timeout_ms = default_to(own->connect_timeout_ms, CLIENT_CONNECT_MS);
	own->call_timeout_ms = default_to(own->call_timeout_ms, CLIENT_CALL_MS);
	own->alloc_timeout_ms = default_to(own->alloc_timeout_ms, CLIENT_ALLOC_MS);
	own->max_threads = default_to(own->max_threads, SHM_MAX_THREADS);
	own->socket = NULL;
	own->name = NULL;
	return 0;
}

static pageclient *client_new(void)
{
	pageclient *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->call_fd = client->event_fd = client->epoll_fd = client->wake_fd = -1;
	client->ctl_fd = client->timer_fd = client->stop_fd = -1;
	client->away.fd = client->away.event_fd = -1;
	client->refs = 1;
	client->deferred.first = PFN_NONE;
	(void)pthread_mutex_init(&client->threads.lock, NULL);
	(void)pthread_mutex_init(&client->deferred.lock, NULL);
	(void)pthread_mutex_init(&client->caches.lock, NULL);
	purge_open(client);
	(void)pthread_mutex_init(&client->dispatch_lock, NULL);
	(void)pthread_mutex_init(&client->away.lock, NULL);
	clock_cond_init(&client->caches.idle);
	clock_cond_init(&client->away.changed);
	away_init(client);
	return client;
}

/* What a child has of its parent's client: memory and descriptors, and nobody to talk to. */
static bool client_is_ours(const pageclient *client)
{
	return client_state(client) != PAGECLIENT_FORKED;
}

/* Everything but struct pageclient, which members of other threads may still name. */
static void client_release(pageclient *client)
{
	bool ours = client_is_ours(client);

	if (ours)
		(void)pthread_mutex_lock(&client->threads.lock);
	/* release; pairs with the acquire in member_find() */
	__atomic_store_n(&client->closed, 1u, __ATOMIC_RELEASE);
	if (ours)
		(void)pthread_mutex_unlock(&client->threads.lock);
	cache_free_all(client);
	for (uint32_t i = 0; i < client->threads.nr; i++) {
		if (ours)
			pcp_done(client->threads.pcp[i]);
		free(client->threads.pcp[i]);
	}
	share_close(client);
	purge_close(client);
	dispatch_close(client);
	rpc_done(&client->rpc);
	map_detach(client);
	private_close(client);
	client_unref(client);
}

static int client_attach(pageclient *client, const char *socket_path)
{
	int r = attach_open(client, socket_path);

	if (r == 0) {
		client_set_state(client, PAGECLIENT_CONNECTED);
		return 0;
	}
	if (r != -ENOTCONN || client->call_fd >= 0 ||
	    !(client->options.flags & PAGECLIENT_FALLBACK_PRIVATE))
		return r;
	client->rpc.ended = true;
	client_set_state(client, PAGECLIENT_PRIVATE);
	return private_open(client);
}

int pageclient_open(const struct pageclient_options *options, pageclient **ret_client)
{
	CANCEL_OFF;
	struct pageclient_options given;
	pageclient *client;
	int r = options_copy(&given, sizeof(given), options, sizeof(uint32_t),
			     "pageclient_options");

	if (r == 0)
		r = thread_init_key();
	if (r < 0)
		return r;
	client = client_new();
	if (!client)
		return error_set(-ENOMEM, "no memory for a client");
	r = client_set_options(client, options ? &given : NULL);
	if (r == 0)
		r = rpc_init(&client->rpc);
	if (r == 0)
		r = share_open(client);
	if (r == 0)
		r = client_attach(client, given.socket);
	if (r == 0)
		r = dispatch_open(client);
	if (r == 0)
		r = registry_add(client);
	if (r < 0) {
		client_release(client);
		return r;
	}
	attach_done();
	client->state_told = (uint32_t)client_state(client);
	client->generation_told = rpc_generation(client);
	*ret_client = client;
	return 0;
}

/* --- close --- */

void pageclient_close(pageclient *client)
{
	CANCEL_OFF;
	struct message request = {.kind = MESSAGE_GOODBYE};
	struct message_reply reply;
	int saved_errno = errno;

	if (!client)
		return;
	if (client_is_ours(client)) {
		dispatch_stop_thread(client);
		if (client_state(client) == PAGECLIENT_CONNECTED ||
		    client_state(client) == PAGECLIENT_AWAY)
			(void)rpc_request(client, &request, CLOSE_WAIT_MS, CLOSE_AWAY_MS, &reply);
	}
	if (pageclient_fast_v1 && pageclient_fast_v1->client == client)
		pageclient_fast_v1 = NULL;
	registry_remove(client);
	client_release(client);
	errno = saved_errno;
}

/* --- status --- */

static void status_from_meta(const pageclient *client, struct pageclient_status *status)
{
	const struct shm_client *shown = shm_view_client(&client->view, client->id);

	status->nr_owned = shm_load(&shown->nr_owned);
	status->nr_shared = shm_load(&shown->nr_shared);
	status->nr_magazine = shm_load(&shown->nr_magazine);
	status->nr_bad_free = shm_load(&shown->nr_bad_free);
	status->min = shm_load(&shown->min);
	status->low = shm_load(&shown->low);
	status->high = shm_load(&shown->high);
	status->max = shm_load(&shown->max);
	status->nr_purged = shm_load(&shown->nr_purged);
}

static int status_from_daemon(pageclient *client, struct pageclient_status *status)
{
	struct message request = {.kind = MESSAGE_STATUS};
	struct message_reply reply;
	int r = rpc_request(client, &request, client->options.call_timeout_ms, 0, &reply);

	if (r < 0)
		return r;
	status->nr_owned = reply.nr_owned;
	status->nr_shared = reply.nr_shared;
	status->nr_magazine = reply.nr_magazine;
	status->nr_bad_free = reply.nr_bad_free;
	status->min = reply.min;
	status->low = reply.low;
	status->high = reply.high;
	status->max = reply.max;
	status->nr_purged = reply.nr_purged;
	status->level = (enum pageclient_level)reply.level;
	return 0;
}

static int status_fill(pageclient *client, struct pageclient_status *status)
{
	int r = 0;

	status->client_id = client->id;
	status->page_size = (uint32_t)pageclient_page_size(client);
	/* relaxed; numbers for people */
	status->daemon_version = __atomic_load_n(&client->daemon_version, __ATOMIC_RELAXED);
	status->level = (enum pageclient_level)__atomic_load_n(&client->level, __ATOMIC_RELAXED);
	client_resume_step(client);
	if (client_state(client) == PAGECLIENT_CONNECTED)
		r = status_from_daemon(client, status);
	if (r < 0 && r != -ENOTCONN)
		return r;
	status->state = client_state(client);
	if (status->state == PAGECLIENT_PRIVATE) {
		status->nr_owned = private_nr_owned(client);
		status->max = client->options.max_frames;
	} else if (status->state != PAGECLIENT_CONNECTED) {
		status_from_meta(client, status);
	}
	status->nr_purgeable = purge_count(client);
	status->nr_bad_free += __atomic_load_n(&client->nr_bad_free, __ATOMIC_RELAXED);
	return 0;
}

int pageclient_read_status(pageclient *client, struct pageclient_status *status)
{
	struct pageclient_status own;
	uint32_t size;
	int r = client_check(client);

	if (r == 0 && !status)
		r = error_set(-EINVAL, "no status was given to fill");
	if (r == 0)
		r = options_copy(&own, sizeof(own), status,
				 offsetof(struct pageclient_status, level), "pageclient_status");
	if (r < 0)
		return r;
	size = status->size;
	PAGECLIENT_INIT(struct pageclient_status, &own);
	r = status_fill(client, &own);
	if (r < 0)
		return r;
	own.size = size;
	memcpy(status, &own, size < sizeof(own) ? size : sizeof(own));
	return 0;
}
