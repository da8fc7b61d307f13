/* bench/peers/peer_boost.cpp - Boost.Interprocess: a managed segment of POSIX shared memory, which
 * several processes may allocate from under its mutex.
 *
 * PEER_POOL: a cached_adaptive_pool, whose objects have one size: order 0 alone. Else
 * allocate_aligned(), which takes any. Both as they come. The segment's name is removed as soon as
 * it is open, so that nothing is left however this ends. */
#include "bench/peers/peer.h"

#include <boost/interprocess/allocators/cached_adaptive_pool.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <unistd.h>

namespace bi = boost::interprocess;

namespace
{

constexpr std::size_t frame_bytes = 4096;

struct Frame {
	char byte[frame_bytes];
};

using Segment = bi::managed_shared_memory;
using Pool = bi::cached_adaptive_pool<Frame, Segment::segment_manager>;

struct Heap {
	explicit Heap(std::size_t bytes, const std::string &name)
	    : segment(bi::create_only, name.c_str(), bytes), pool(segment.get_segment_manager())
	{
	}
	Segment segment;
	Pool pool;
};

#ifdef PEER_POOL
LOOPS_INLINE void *hook_alloc(void *heap, unsigned)
{
	try {
		return static_cast<Heap *>(heap)->pool.allocate_one().get();
	} catch (const bi::bad_alloc &) {
		return nullptr;
	}
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned)
{
	static_cast<Heap *>(heap)->pool.deallocate_one(static_cast<Frame *>(frame));
}
#else
LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	return static_cast<Heap *>(heap)->segment.allocate_aligned(frame_bytes << order,
								   frame_bytes, std::nothrow);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned)
{
	static_cast<Heap *>(heap)->segment.deallocate(frame);
}
#endif

/* One by one: the pool's own calls for many (allocate_individual and deallocate_individual) were
 * slower when tried, 52 ns a page against 42. */
PEER_ONE_BY_ONE;

const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(boost_loops, hooks);

/* All blocks that are held, as much again for what lies between them, and some. */
std::size_t segment_bytes(const struct peer_job *job)
{
	std::size_t bytes = std::size_t{64} << 20;

	for (unsigned order = 0; order <= WORK_ORDER_LAST; order++)
		bytes += 2 * peer_job_blocks(job, order) * (frame_bytes << order);
	return bytes;
}

int backend_open(const struct peer_job *job, void **ret_heap, char *text, std::size_t text_bytes)
{
	const std::string name = "paged-peer-boost-" + std::to_string(getpid());

#ifdef PEER_POOL
	if (job->kind == PEER_ORDER9 || job->kind == PEER_MIXED) {
		(void)std::snprintf(text, text_bytes, "a pool has objects of one size");
		return -1;
	}
#endif
	try {
		auto heap = std::make_unique<Heap>(segment_bytes(job), name);

		bi::shared_memory_object::remove(name.c_str());
		*ret_heap = heap.release();
	} catch (const std::exception &failure) {
		bi::shared_memory_object::remove(name.c_str());
		(void)std::snprintf(text, text_bytes, "a segment: %s", failure.what());
		return -1;
	}
	return 0;
}

void backend_close(void *heap)
{
	delete static_cast<Heap *>(heap);
}

const struct peer_backend backend = {backend_open, backend_close, &boost_loops};

} // namespace

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
