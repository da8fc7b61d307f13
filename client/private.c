/* client/private.c - the same calls without a daemon (PAGECLIENT_FALLBACK_PRIVATE).
 *
 * A reservation of address space as large as the machine's memory (1 to 64 GiB), cut up by a small
 * buddy allocator behind a mutex; frames get memory when they are touched and blocks of 2 MiB and
 * more give it back when they are freed. Every call costs a lock and O(orders), which is why this
 * is a fallback. The byte per frame says what it heads, so that a wrong free is refused and counted
 * as the daemon would. */
#include "client/client_private.h"

#include "paged/bits.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lower: a program cannot have a large block. Higher: refused where address space is limited. */
#define PRIVATE_MIN_FRAMES (UINT64_C(1) << ORDER_MAX)
/* Lower: large machines are not used. Higher: tables of 9 bytes per frame take address space. */
#define PRIVATE_MAX_FRAMES (UINT64_C(1) << 24)
#define PRIVATE_FREE 0x80u  /* | order: heads a free block */
#define PRIVATE_TAKEN 0x40u /* | order: heads a block of the program's */

struct private_pool {
	pthread_mutex_t lock;
	uint64_t nr_owned;
	uint64_t max_owned;
	uint32_t first[ORDER_COUNT]; /* free blocks, PFN_NONE: none */
	uint64_t bytes;              /* of this mapping, tables included */
	uint32_t *next;
	uint32_t *prev;
	uint8_t head[]; /* one per frame; 0 inside a block */
};

static void private_insert(struct private_pool *pool, uint32_t pfn, order_t order)
{
	pool->head[pfn] = (uint8_t)(PRIVATE_FREE | order);
	pool->prev[pfn] = PFN_NONE;
	pool->next[pfn] = pool->first[order];
	if (pool->first[order] != PFN_NONE)
		pool->prev[pool->first[order]] = pfn;
	pool->first[order] = pfn;
}

static void private_remove(struct private_pool *pool, uint32_t pfn, order_t order)
{
	if (pool->next[pfn] != PFN_NONE)
		pool->prev[pool->next[pfn]] = pool->prev[pfn];
	if (pool->prev[pfn] != PFN_NONE)
		pool->next[pool->prev[pfn]] = pool->next[pfn];
	else
		pool->first[order] = pool->next[pfn];
	pool->head[pfn] = 0;
}

static struct private_pool *private_map(uint64_t nr_frames)
{
	uint64_t links = bits_align_up(sizeof(struct private_pool) + nr_frames, 64);
	uint64_t bytes = links + nr_frames * 2 * sizeof(uint32_t);
	struct private_pool *pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (pool == MAP_FAILED)
		return NULL;
	pool->bytes = bytes;
	pool->next = (uint32_t *)(void *)((char *)pool + links);
	pool->prev = pool->next + nr_frames;
	return pool;
}

static char *private_reserve(uint64_t bytes)
{
	char *data = map_reserve(bytes);

	if (data && mprotect(data, bytes, PROT_READ | PROT_WRITE) < 0) {
		(void)munmap(data, bytes);
		return NULL;
	}
	return data;
}

int private_open(pageclient *client)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t nr_frames = bits_round_down_pow2(pages > 0 ? (uint64_t)pages : PRIVATE_MIN_FRAMES);
	struct private_pool *pool;

	nr_frames = bits_clamp(nr_frames, PRIVATE_MIN_FRAMES, PRIVATE_MAX_FRAMES);
	client->page_shift = bits_log2((uint64_t)page_bytes);
	while (!(client->data = private_reserve(nr_frames << client->page_shift)) &&
	       nr_frames > PRIVATE_MIN_FRAMES)
		nr_frames /= 2;
	client->data_bytes = client->data ? nr_frames << client->page_shift : 0;
	pool = client->data ? private_map(nr_frames) : NULL;
	if (!pool)
		return error_set(-ENOMEM, "no address space for private frames: raise the limit of "
					  "virtual memory (ulimit -v)");
	(void)pthread_mutex_init(&pool->lock, NULL);
	pool->max_owned = client->options.max_frames ? client->options.max_frames : nr_frames;
	for (order_t order = 0; order < ORDER_COUNT; order++)
		pool->first[order] = PFN_NONE;
	for (uint64_t pfn = nr_frames; pfn > 0; pfn -= PRIVATE_MIN_FRAMES)
		private_insert(pool, (uint32_t)(pfn - PRIVATE_MIN_FRAMES), ORDER_MAX);
	client->nr_frames = (uint32_t)nr_frames;
	client->private_pool = pool;
	return 0;
}

void private_close(pageclient *client)
{
	struct private_pool *pool = client->private_pool;

	if (!pool)
		return;
	(void)pthread_mutex_destroy(&pool->lock);
	(void)munmap(pool, pool->bytes);
	client->private_pool = NULL;
}

/* PFN_NONE: no room. The lock is held. */
static uint32_t private_take(struct private_pool *pool, order_t order)
{
	order_t from = order;
	uint32_t pfn;

	while (from < ORDER_COUNT && pool->first[from] == PFN_NONE)
		from++;
	if (from == ORDER_COUNT || pool->nr_owned + (UINT64_C(1) << order) > pool->max_owned)
		return PFN_NONE;
	pfn = pool->first[from];
	private_remove(pool, pfn, from);
	while (from > order) {
		from--;
		private_insert(pool, pfn + (UINT32_C(1) << from), from);
	}
	pool->head[pfn] = (uint8_t)(PRIVATE_TAKEN | order);
	pool->nr_owned += UINT64_C(1) << order;
	return pfn;
}

void *private_alloc(pageclient *client, order_t order)
{
	struct private_pool *pool = client->private_pool;
	uint32_t pfn;

	(void)pthread_mutex_lock(&pool->lock);
	pfn = private_take(pool, order);
	(void)pthread_mutex_unlock(&pool->lock);
	return pfn == PFN_NONE ? NULL : client->data + ((size_t)pfn << client->page_shift);
}

static void private_give(struct private_pool *pool, uint32_t pfn, order_t order)
{
	pool->nr_owned -= UINT64_C(1) << order;
	pool->head[pfn] = 0;
	while (order < ORDER_MAX) {
		uint32_t buddy = pfn ^ UINT32_C(1) << order;

		if (pool->head[buddy] != (PRIVATE_FREE | order))
			break;
		private_remove(pool, buddy, order);
		pfn &= buddy;
		order++;
	}
	private_insert(pool, pfn, order);
}

void private_free(pageclient *client, void *frame, order_t order)
{
	struct private_pool *pool = client->private_pool;
	pfn_t pfn = PFN_NONE;
	bool ok = order <= ORDER_MAX && client_frame_pfn(client, frame, &pfn) == 0;

	(void)pthread_mutex_lock(&pool->lock);
	ok = ok && pool->head[pfn] == (PRIVATE_TAKEN | order);
	if (ok) {
		/* Before anybody else can have it: it must not be emptied under them. */
		if (order >= PAGEBLOCK_ORDER)
			(void)madvise(frame, (size_t)1 << (client->page_shift + order),
				      MADV_DONTNEED);
		private_give(pool, pfn, order);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	if (ok)
		return;
	(void)error_set(-EINVAL, "the block given back is not this client's, or has another order");
	/* relaxed; a counter */
	(void)__atomic_add_fetch(&client->nr_bad_free, 1, __ATOMIC_RELAXED);
}

uint64_t private_nr_owned(pageclient *client)
{
	struct private_pool *pool = client->private_pool;
	uint64_t n;

	(void)pthread_mutex_lock(&pool->lock);
	n = pool->nr_owned;
	(void)pthread_mutex_unlock(&pool->lock);
	return n;
}

bool private_block(const pageclient *client, pfn_t pfn, order_t *ret_order)
{
	uint8_t head = pfn < client->nr_frames ? client->private_pool->head[pfn] : 0;

	*ret_order = head & 31u;
	return (head & PRIVATE_TAKEN) != 0;
}
