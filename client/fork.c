/* client/fork.c - the child of a fork shares nothing with its parent's daemon.
 *
 * A child that popped its parent's frames would own them twice. Three nets, each for what the one
 * before misses: the handler here clears the thread's descriptor and marks every client FORKED
 * (fork); CTL is MADV_DONTFORK, so that the inline path faults instead (_Fork, clone, vfork never
 * returns into it); the daemon serves a connection, and a child must open its own.
 *
 * The registry is the one list of all clients of the process, which a fork handler needs. It is
 * locked across the fork so that the child finds it whole. Other locks may be held by threads that
 * the child does not have: it takes none of them (C5). */
#include "client/client_private.h"

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	int r;
	pageclient *clients;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void registry_before_fork(void)
{
	(void)pthread_mutex_lock(&registry.lock);
}

static void registry_in_parent(void)
{
	(void)pthread_mutex_unlock(&registry.lock);
}

static void registry_in_child(void)
{
	struct thread *thread = thread_peek();

	pageclient_fast_v1 = NULL;
	if (thread)
		thread->scanning = NULL;
	for (pageclient *client = registry.clients; client; client = client->next)
		client_set_state(client, PAGECLIENT_FORKED);
	(void)pthread_mutex_unlock(&registry.lock);
}

static void registry_init(void)
{
	registry.r = -pthread_atfork(registry_before_fork, registry_in_parent, registry_in_child);
}

int registry_add(pageclient *client)
{
	(void)pthread_once(&registry.once, registry_init);
	if (registry.r < 0)
		return error_set(registry.r, "no memory for the fork handler");
	(void)pthread_mutex_lock(&registry.lock);
	client->prev = NULL;
	client->next = registry.clients;
	if (client->next)
		client->next->prev = client;
	registry.clients = client;
	(void)pthread_mutex_unlock(&registry.lock);
	return 0;
}

void registry_visit(void (*visit)(pageclient *client))
{
	(void)pthread_mutex_lock(&registry.lock);
	for (pageclient *client = registry.clients; client; client = client->next)
		visit(client);
	(void)pthread_mutex_unlock(&registry.lock);
}

void registry_remove(pageclient *client)
{
	(void)pthread_mutex_lock(&registry.lock);
	if (client->next)
		client->next->prev = client->prev;
	if (client->prev)
		client->prev->next = client->next;
	else
		registry.clients = client->next;
	(void)pthread_mutex_unlock(&registry.lock);
}
