/* bench/peers/peer_iceoryx.cpp - iceoryx: a publisher loans a chunk of a pool that RouDi owns, and
 * releases it unpublished. RouDi has to run (peers starts one). A publisher may hold eight chunks
 * at a time, and no more: that is built into the library. */
#include "bench/peers/peer.h"

#include <cstdio>
#include <string>
#include <unistd.h>

#include "iceoryx_posh/iceoryx_posh_types.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

namespace
{

constexpr std::uint32_t frame_bytes = 4096;

using Publisher = iox::popo::UntypedPublisher;

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	auto chunk = static_cast<Publisher *>(heap)->loan(frame_bytes << order);

	return chunk.has_error() ? nullptr : chunk.value();
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned)
{
	static_cast<Publisher *>(heap)->release(frame);
}

LOOPS_INLINE std::size_t hook_alloc_bulk(void *, void **, std::size_t)
{
	return 0; /* nobody asks: more than it may hold */
}

LOOPS_INLINE void hook_free_bulk(void *, void *const *, std::size_t)
{
}

const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(iceoryx_loops, hooks);

int backend_open(const struct peer_job *job, void **ret_heap, char *text, std::size_t text_bytes)
{
	const std::string name = "paged-peer-" + std::to_string(getpid());

	if (job->n_frames > iox::MAX_CHUNKS_ALLOCATED_PER_PUBLISHER_SIMULTANEOUSLY) {
		(void)std::snprintf(text, text_bytes, "a publisher holds at most %u chunks",
				    iox::MAX_CHUNKS_ALLOCATED_PER_PUBLISHER_SIMULTANEOUSLY);
		return -1;
	}
	iox::runtime::PoshRuntime::initRuntime(
		iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
	*ret_heap = new Publisher({"Paged", "Peers", "Frame"});
	return 0;
}

void backend_close(void *heap)
{
	delete static_cast<Publisher *>(heap);
}

const struct peer_backend backend = {backend_open, backend_close, &iceoryx_loops};

} // namespace

const struct peer_backend *peer_backend(void)
{
	return &backend;
}
