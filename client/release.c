/* client/release.c - giving frames back when the inline path does not do. Never fails, never waits
 * for long, keeps errno.
 *
 *   free --> magazine of its order --full--> PcpDrain --> magazine
 *        \-> order 10 and up: Free request     |
 *         \-> not ours: Free request, so that  '-- daemon away, hung, or the shared pcp is busy:
 *             the daemon refuses and counts it     the deferred list
 *
 * The deferred list is threaded through the frames themselves: it needs no memory, so it cannot
 * fail, and its frames are still OWNED by this client, so its death loses none. Another client can
 * scribble over a frame (one instance is one trust domain); so a link is followed only to a frame
 * that META says is ours, and a broken list costs what was behind the break until this client ends.
 */
#include "client/client_private.h"

#include "client/near.h"
#include "paged/bits.h"

#include <errno.h>

int client_frame_pfn(const pageclient *client, const void *frame, pfn_t *ret_pfn)
{
	uint64_t offset = (uint64_t)((const char *)frame - client->data);

	if (offset >= client->data_bytes)
		return -EFAULT;
	if ((offset & ((UINT64_C(1) << client->page_shift) - 1)) != 0)
		return -EFAULT;
	*ret_pfn = (pfn_t)(offset >> client->page_shift);
	return 0;
}

/* A pfn counts exactly if its word is OWNED by the client: such a word is a head. But META is
 * sparse, and a look at the word of a frame in a block of the largest order that was never split
 * would give it memory, or be a SIGBUS where there is none: the first word of 1 << ORDER_MAX
 * frames, which is always there, tells whether they were. */
bool client_block(const pageclient *client, pfn_t pfn, order_t *ret_order)
{
	pfn_t first = pfn >> ORDER_MAX << ORDER_MAX;
	struct page_word word;

	if (pfn >= client->nr_frames)
		return false;
	word = page_word_unpack(shm_load(&client->view.map[first].word));
	if (first != pfn) {
		if (word.order >= ORDER_MAX)
			return false;
		word = page_word_unpack(shm_load(&client->view.map[pfn].word));
	}
	if (word.state != PAGE_OWNED || word.owner != client->id)
		return false;
	*ret_order = word.order;
	return true;
}

/* --- the deferred list --- */

static uint32_t *deferred_link(const pageclient *client, pfn_t pfn)
{
	return (uint32_t *)(void *)(client->data + ((size_t)pfn << client->page_shift));
}

void deferred_push(pageclient *client, pfn_t pfn)
{
	(void)pthread_mutex_lock(&client->deferred.lock);
	*deferred_link(client, pfn) = client->deferred.first;
	client->deferred.first = pfn;
	/* relaxed; readers take it for a hint */
	(void)__atomic_add_fetch(&client->deferred.nr, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&client->deferred.lock);
}

/* PFN_NONE: empty. */
static pfn_t deferred_pop(pageclient *client, order_t *ret_order)
{
	pfn_t pfn;

	(void)pthread_mutex_lock(&client->deferred.lock);
	pfn = client->deferred.first;
	if (pfn != PFN_NONE && client_block(client, pfn, ret_order)) {
		client->deferred.first = *deferred_link(client, pfn);
		/* relaxed; a hint */
		(void)__atomic_sub_fetch(&client->deferred.nr, 1, __ATOMIC_RELAXED);
	} else {
		client->deferred.first = pfn = PFN_NONE;
		__atomic_store_n(&client->deferred.nr, 0, __ATOMIC_RELAXED);
	}
	(void)pthread_mutex_unlock(&client->deferred.lock);
	return pfn;
}

void *deferred_take(pageclient *client, order_t order)
{
	order_t found = 0;
	pfn_t pfn = deferred_pop(client, &found);

	if (pfn == PFN_NONE)
		return NULL;
	if (found == order)
		return client->data + ((size_t)pfn << client->page_shift);
	deferred_push(client, pfn);
	return NULL;
}

/* --- one frame, the easy way first; pcp is held --- */

static uint32_t release_magazine(order_t order, unsigned flags)
{
	if (order > MAGAZINE_ORDER_MAX)
		return MAGAZINE_NONE;
	if (order == 0)
		return flags & PAGECLIENT_COLD ? MAGAZINE_COLD : MAGAZINE_HOT;
	return MAGAZINE_ORDER_1 + order - 1;
}

static bool release_usable(pageclient *client, struct pcp *pcp, uint32_t magazine)
{
	return pcp->created && !pcp_is_barred(client, pcp, magazine);
}

/* A full magazine: makes room and tries once more. */
static bool release_after_drain(pageclient *client, struct pcp *pcp, uint32_t magazine, void *frame,
				order_t order)
{
	enum magazine_stop stop;

	if (client_state(client) != PAGECLIENT_CONNECTED || pcp_drain(client, pcp, magazine) < 0)
		return false;
	return magazine_push(&pcp->magazine[magazine], client, &frame, 1, order, &stop) == 1;
}

/* True if the daemon has the block, or will have it: the request is under way, or is repeated
 * before the lane takes another. */
static bool release_by_request(pageclient *client, struct pcp *pcp, pfn_t pfn, order_t order)
{
	struct message request = {.kind = MESSAGE_FREE, .free = {.pfn = pfn, .order = order}};
	struct message_reply reply;
	int r;

	if (client_state(client) != PAGECLIENT_CONNECTED)
		return false;
	pcp_tell_released(client, pcp);
	r = lane_request(client, pcp, &request, CLIENT_FREE_WAIT_MS, 0, &reply);
	if (lane_is_open_with(&pcp->lane, &request))
		return true;
	return r != -ETIMEDOUT && r != -ENOTCONN && r != -EBUSY && r != -EAGAIN;
}

/* What the program gave back was never its: the daemon refuses it, counts it and says why. */
static void release_bad(pageclient *client, struct pcp *pcp, const void *frame, order_t order)
{
	pfn_t pfn = PFN_NONE;

	if (client_frame_pfn(client, frame, &pfn) < 0)
		pfn = PFN_NONE;
	if (pcp && release_by_request(client, pcp, pfn, order))
		return;
	(void)error_set(-EINVAL, "the block given back is not this client's, or has another order");
	/* relaxed; a counter */
	(void)__atomic_add_fetch(&client->nr_bad_free, 1, __ATOMIC_RELAXED);
}

void deferred_flush(pageclient *client, struct pcp *pcp)
{
	for (uint32_t i = 0; i < CLIENT_FLUSH_MAX; i++) {
		order_t order = 0;
		pfn_t pfn = deferred_pop(client, &order);
		uint32_t magazine = release_magazine(order, 0);
		enum magazine_stop stop;
		void *frame;
		bool done;

		if (pfn == PFN_NONE)
			return;
		frame = client->data + ((size_t)pfn << client->page_shift);
		if (magazine == MAGAZINE_NONE)
			done = release_by_request(client, pcp, pfn, order);
		else
			done = release_usable(client, pcp, magazine) &&
			       (magazine_push(&pcp->magazine[magazine], client, &frame, 1, order,
					      &stop) == 1 ||
				release_after_drain(client, pcp, magazine, frame, order));
		if (!done) {
			deferred_push(client, pfn);
			return;
		}
	}
}

/* --- what the calls are made of --- */

static void release_defer(pageclient *client, struct pcp *pcp, void *frame, order_t order)
{
	order_t found;
	pfn_t pfn;

	if (client_frame_pfn(client, frame, &pfn) < 0 || !client_block(client, pfn, &found) ||
	    found != order)
		release_bad(client, pcp, frame, order);
	else
		deferred_push(client, pfn);
}

static void release_to_magazine(pageclient *client, struct pcp *pcp, uint32_t magazine,
				order_t order, void *const *frames, size_t n)
{
	enum magazine_stop stop = MAGAZINE_STOP_NONE;
	size_t i = 0;

	while (i < n) {
		if (!frames[i]) {
			i++;
			continue;
		}
		if (!release_usable(client, pcp, magazine)) {
			release_defer(client, pcp, frames[i++], order);
			continue;
		}
		i += magazine_push(&pcp->magazine[magazine], client, frames + i, n - i, order,
				   &stop);
		if (i == n || !frames[i])
			continue;
		if (stop == MAGAZINE_STOP_FOREIGN)
			release_bad(client, pcp, frames[i], order);
		if (stop == MAGAZINE_STOP_FULL &&
		    !release_after_drain(client, pcp, magazine, frames[i], order))
			release_defer(client, pcp, frames[i], order);
		i++;
	}
}

static void release_all_by_request(pageclient *client, struct pcp *pcp, order_t order,
				   void *const *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pfn_t pfn;

		if (!frames[i])
			continue;
		if (client_frame_pfn(client, frames[i], &pfn) < 0)
			release_bad(client, pcp, frames[i], order);
		else if (!release_by_request(client, pcp, pfn, order))
			release_defer(client, NULL, frames[i], order);
	}
}

/* What a callback of a cache gives back; a NULL is nothing. */
static void release_count(const pageclient *client, order_t order, void *const *frames, size_t n)
{
	struct thread *thread = thread_peek();

	if (!thread || thread->scanning != client)
		return;
	for (size_t i = 0; i < n; i++)
		thread->scan_frames += (uint64_t)(frames[i] != NULL) << (order & 31u);
}

static void release_blocks(pageclient *client, unsigned order, unsigned flags, void *const *frames,
			   size_t n)
{
	uint32_t magazine = release_magazine(order, flags);
	struct member *member;
	struct pcp *pcp;

	if (member_enter(client, &member) < 0 || !pcp_try_lock(member->pcp)) {
		for (size_t i = 0; i < n; i++) {
			if (frames[i])
				release_defer(client, NULL, frames[i], order);
		}
		return;
	}
	pcp = member->pcp;
	/* A thread that only frees gets its magazines here; without them, the deferred list. */
	if (!pcp->created && client_state(client) == PAGECLIENT_CONNECTED)
		(void)pcp_create(client, pcp, CLIENT_FREE_WAIT_MS, 0);
	lane_poke(client, pcp, false);
	if (__atomic_load_n(&client->deferred.nr, __ATOMIC_RELAXED) != 0) /* relaxed; a hint */
		deferred_flush(client, pcp);
	if (magazine == MAGAZINE_NONE)
		release_all_by_request(client, pcp, order, frames, n);
	else
		release_to_magazine(client, pcp, magazine, order, frames, n);
	pcp_unlock(pcp);
	member_publish(member);
}

/* A single free looks before it gives: a frame that is not ours is not pushed. */
static void release_checked(pageclient *client, void *frame, unsigned order)
{
	struct member *member;
	order_t found = 0;
	pfn_t pfn;

	if (client_frame_pfn(client, frame, &pfn) == 0 && client_block(client, pfn, &found) &&
	    found == order) {
		release_blocks(client, order, 0, &frame, 1);
		return;
	}
	if (member_enter(client, &member) < 0 || !pcp_try_lock(member->pcp)) {
		release_bad(client, NULL, frame, order);
		return;
	}
	release_bad(client, member->pcp, frame, order);
	pcp_unlock(member->pcp);
}

/* 0: there is something to do. After LOST there is not: the frames are gone already. */
static int release_begin(const pageclient *client)
{
	int r = client_check(client);

	return r == 0 && client_state(client) == PAGECLIENT_LOST ? -ENOTCONN : r;
}

void pageclient_free_slow(pageclient *client, void *frame, unsigned order)
{
	int saved_errno = errno;

	if (!frame || release_begin(client) < 0)
		return;
	release_count(client, order, &frame, 1);
	if (client_state(client) == PAGECLIENT_PRIVATE)
		private_free(client, frame, order);
	else
		release_checked(client, frame, order);
	errno = saved_errno;
}

static __attribute__((noinline)) void release_many(pageclient *client, unsigned order,
						   unsigned flags, void *const *frames,
						   size_t n_frames)
{
	int saved_errno = errno;

	if (n_frames == 0 || release_begin(client) < 0)
		return;
	release_count(client, order, frames, n_frames);
	if (client_state(client) == PAGECLIENT_PRIVATE) {
		for (size_t i = 0; i < n_frames; i++) {
			if (frames[i])
				private_free(client, frames[i], order);
		}
	} else {
		release_blocks(client, order, flags, frames, n_frames);
	}
	errno = saved_errno;
}

void pageclient_free_bulk(pageclient *client, unsigned order, unsigned flags, void *const *frames,
			  size_t n_frames)
{
	const struct pageclient_magazine_v1 *magazine = near_magazine(client, order, flags);

	if (!magazine || !near_push(magazine, client, frames, n_frames, order))
		release_many(client, order, flags, frames, n_frames);
}
