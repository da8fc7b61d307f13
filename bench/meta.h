/* bench/meta.h - the daemon's books, read as pagectl reads them: what no client is told.
 *
 * A client learns what it owns itself and not what others own. When the frames of a dead client are
 * back stands in META alone. */
#ifndef BENCH_META_H
#define BENCH_META_H
#include "bench/bench.h"
#include "shm/view.h"

/* Maps META of the daemon; shm_view_detach() ends it. */
int meta_attach(struct bench *bench, const struct fixture *fixture, struct shm_view *ret_view);

/* Spins until no client owns a frame. Returns 0 or -ETIMEDOUT. */
int meta_wait_until_free(struct bench *bench, const struct shm_view *view);

#endif
