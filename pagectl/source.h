/* pagectl/source.h - META for somebody who looks again and again: the exporter.
 *
 * One connection as an observer stays open. Its end is the end of the server: then META, which is
 * still mapped, is of the past and let go, and the next look connects anew, at most once a second.
 * Each look is bounded by the Hello's timeout (connect.c). */
#ifndef PAGECTL_SOURCE_H
#define PAGECTL_SOURCE_H
#include "pagectl/pagectl.h"

struct source {
	const char *socket, *runtime_dir; /* as in struct pagectl */
	struct connection connection;
	struct shm_view view;
	bool is_connected;
	uint64_t tried_ns;    /* CLOCK_MONOTONIC of the last try that failed, 0: none */
	uint64_t nr_connects; /* that came to META */
};

void source_init(struct source *source, const struct pagectl *ctl);
void source_done(struct source *source);

/* META of a daemon that is there now, or NULL. It stays until the next call. */
const struct shm_view *source_look(struct source *source);

#endif
