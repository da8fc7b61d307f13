/* bench/hooks_paged.h - libpageclient's hooks for the loops: the inline functions of its public
 * header, as a program makes the calls. Of bench and of the peers, so that both measure the same.
 */
#ifndef BENCH_HOOKS_PAGED_H
#define BENCH_HOOKS_PAGED_H
#include "bench/loops.h"

#include <pageclient/pageclient.h>

LOOPS_INLINE void *hook_alloc(void *heap, unsigned order)
{
	return pageclient_alloc(heap, order, 0);
}

LOOPS_INLINE void hook_free(void *heap, void *frame, unsigned order)
{
	pageclient_free(heap, frame, order);
}

LOOPS_INLINE size_t hook_alloc_bulk(void *heap, void **ret_frames, size_t n_frames)
{
	return pageclient_alloc_bulk(heap, 0, 0, ret_frames, n_frames);
}

LOOPS_INLINE void hook_free_bulk(void *heap, void *const *frames, size_t n_frames)
{
	pageclient_free_bulk(heap, 0, 0, frames, n_frames);
}

static const struct loops_hooks hooks = {hook_alloc, hook_free, hook_alloc_bulk, hook_free_bulk};

LOOPS_DEFINE(paged, hooks);

#endif
