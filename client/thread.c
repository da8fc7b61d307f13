/* client/thread.c - the threads of the program: which pcp is whose, and what becomes of it.
 *
 * A thread's list of members is its own and is walked without a lock. Others only set
 * client->closed; the thread drops such members when it meets them. When a thread ends, a
 * pthread_key destructor hands each pcp, magazines and all, to the next thread that joins. If a
 * later destructor of the program allocates again the thread simply joins again, and the key's
 * destructor runs once more.
 *
 * The two globals here (the TLS pointer of the ABI and the one of struct thread) are what a thread
 * is found by; the key is process-wide by nature. */
#include "client/client_private.h"

#include <errno.h>
#include <stdlib.h>

#pragma GCC visibility push(default)
__thread struct pageclient_fast_v1 *pageclient_fast_v1 __attribute__((tls_model("initial-exec")));
#pragma GCC visibility pop
static_assert(sizeof(struct pageclient_fast_v1) == 64, "frozen");
static_assert(offsetof(struct member, near.fast) == 0, "the TLS pointer is cast back");
static_assert(PAGECLIENT_ORDERS_V1 == MAGAZINE_ORDER_MAX + 1, "a magazine for each");

static __thread struct thread *thread_self __attribute__((tls_model("initial-exec")));
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;
static int thread_key_r;

void client_unref(pageclient *client)
{
	/* acq_rel; pairs with itself: the last one sees what the others did */
	if (__atomic_sub_fetch(&client->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(client);
}

/* The pcp of a thread that ends goes to the next one. */
static void member_leave(struct member *member)
{
	pageclient *client = member->client;

	if (client_state(client) != PAGECLIENT_FORKED) {
		(void)pthread_mutex_lock(&client->threads.lock);
		if (!client->closed && !member->pcp->shared) {
			member->pcp->next_free = client->threads.free;
			client->threads.free = member->pcp;
		}
		(void)pthread_mutex_unlock(&client->threads.lock);
	}
	client_unref(client);
	free(member);
}

static void thread_end(void *arg)
{
	struct thread *thread = arg;

	pageclient_fast_v1 = NULL;
	thread_self = NULL;
	while (thread->members) {
		struct member *member = thread->members;

		thread->members = member->next;
		member_leave(member);
	}
	free(thread);
}

static void thread_make_key(void)
{
	thread_key_r = -pthread_key_create(&thread_key, thread_end);
}

int thread_init_key(void)
{
	(void)pthread_once(&thread_once, thread_make_key);
	return thread_key_r;
}

struct thread *thread_peek(void)
{
	return thread_self;
}

struct thread *thread_current(void)
{
	struct thread *thread = thread_self;

	if (thread || thread_init_key() < 0)
		return thread;
	thread = calloc(1, sizeof(*thread));
	if (thread && pthread_setspecific(thread_key, thread) != 0) {
		free(thread);
		return NULL;
	}
	thread_self = thread;
	return thread;
}

bool thread_is_scanning(const pageclient *client)
{
	return thread_self && thread_self->scanning == client;
}

/* A free pcp, a new one, or the shared one. NULL: no memory. */
static struct pcp *member_take_pcp(pageclient *client)
{
	struct pcp *pcp;

	(void)pthread_mutex_lock(&client->threads.lock);
	pcp = client->threads.free;
	if (pcp) {
		client->threads.free = pcp->next_free;
	} else {
		uint32_t last = client->max_threads - 1;

		if (client->threads.nr <= last) {
			pcp = pcp_new(client->threads.nr, client->threads.nr == last);
			if (pcp)
				client->threads.pcp[client->threads.nr++] = pcp;
		} else {
			pcp = client->threads.pcp[last];
		}
	}
	(void)pthread_mutex_unlock(&client->threads.lock);
	return pcp;
}

static int member_join(pageclient *client, struct thread *thread, struct member **ret_member)
{
	struct member *member = aligned_alloc(_Alignof(struct member), sizeof(*member));
	struct pcp *pcp = member ? member_take_pcp(client) : NULL;

	if (!pcp) {
		free(member);
		return error_set(-ENOMEM, "no memory for this thread's magazines");
	}
	memset(member, 0, sizeof(*member));
	member->client = client;
	member->pcp = pcp;
	member->next = thread->members;
	thread->members = member;
	/* relaxed; the caller holds a reference by calling with an open client */
	(void)__atomic_add_fetch(&client->refs, 1, __ATOMIC_RELAXED);
	*ret_member = member;
	return 0;
}

/* The thread's member of client; those of closed clients are dropped on the way. */
static struct member *member_find(struct thread *thread, const pageclient *client)
{
	struct member **link = &thread->members;

	while (*link) {
		struct member *member = *link;

		if (member->client == client)
			return member;
		/* acquire; pairs with the release in pageclient_close() */
		if (__atomic_load_n(&member->client->closed, __ATOMIC_ACQUIRE)) {
			*link = member->next;
			if (pageclient_fast_v1 == &member->near.fast)
				pageclient_fast_v1 = NULL;
			client_unref(member->client);
			free(member);
			continue;
		}
		link = &member->next;
	}
	return NULL;
}

uint32_t thread_index(const struct thread *thread, const pageclient *client)
{
	for (const struct member *member = thread->members; member; member = member->next)
		if (member->client == client)
			return member->pcp->index;
	return SHM_MAX_THREADS;
}

int member_enter(pageclient *client, struct member **ret_member)
{
	struct pageclient_fast_v1 *fast = pageclient_fast_v1;
	struct thread *thread;
	struct member *member;

	if (fast && fast->client == client) {
		*ret_member = (struct member *)(void *)fast;
		return 0;
	}
	thread = thread_current();
	if (!thread)
		return -ENOMEM;
	member = member_find(thread, client);
	if (!member)
		return member_join(client, thread, ret_member);
	*ret_member = member;
	return 0;
}

static struct pageclient_magazine_v1 member_show(const struct magazine *magazine)
{
	return (struct pageclient_magazine_v1){
		.bottom = magazine->bottom,
		.head = (const struct pageclient_head_v1 *)(const void *)magazine->head,
		.slot = magazine->slot,
		.mask = magazine->mask,
	};
}

/* All that programs' inline path reads. A copy takes more than what else there is to publish, and
 * most slow calls change nothing of it: who has copied a shape of the pcp has it until that is
 * another. */
static void member_copy(struct member *member)
{
	const struct pcp *pcp = member->pcp;
	struct pageclient_fast_v1 *fast = &member->near.fast;

	for (order_t order = 0; order <= MAGAZINE_ORDER_MAX; order++)
		member->near.magazine[order] =
			member_show(&pcp->magazine[order ? MAGAZINE_COLD + order : MAGAZINE_HOT]);
	fast->client = member->client;
	fast->bottom = member->near.magazine[0].bottom;
	fast->head = member->near.magazine[0].head;
	fast->slot = member->near.magazine[0].slot;
	fast->mask = member->near.magazine[0].mask;
	fast->data = member->client->data;
	fast->shift = member->client->page_shift;
	member->shown = pcp->shape;
}

void member_publish(struct member *member)
{
	const struct pcp *pcp = member->pcp;
	struct pageclient_fast_v1 *fast = &member->near.fast;
	enum pageclient_state state = client_state(member->client);

	if (pcp->shared || !pcp->created || pcp->refill_open ||
	    thread_is_scanning(member->client) || state == PAGECLIENT_FORKED ||
	    state == PAGECLIENT_LOST) {
		if (pageclient_fast_v1 == fast)
			pageclient_fast_v1 = NULL;
		return;
	}
	/* relaxed; a hint */
	member->is_near = !pcp->lane.open &&
			  __atomic_load_n(&member->client->deferred.nr, __ATOMIC_RELAXED) == 0;
	if (member->shown != pcp->shape)
		member_copy(member);
	pageclient_fast_v1 = fast;
}
