/* pagectl/metrics.h - META in Prometheus' text format 0.0.4.
 *
 * What is told comes from two lists: shm/counters.def, whose counters are paged_<name>_total and
 * whose gauges are paged_<name>, and pagectl/metrics.def for the fields of header, zones, clients
 * and caches. Base units only: bytes and seconds.
 *
 * Labels. zone; client (its number) and name; cache (the client's own number of it). Names are the
 * clients' own choice: cleaned, escaped, and never the only label. A process or a user is in
 * paged_client_info alone, so that a restart of a program makes few new series.
 *
 * Bounded: at most METRICS_MAX_CLIENTS clients and METRICS_MAX_CACHES caches are told, those with
 * the lowest numbers, so that the same stay; the rest is counted in paged_metrics_omitted. */
#ifndef PAGECTL_METRICS_H
#define PAGECTL_METRICS_H
#include "shm/view.h"

#include <stdio.h>

/* Lower: a host with many clients is not seen whole. Higher: a scrape and its storage grow by some
 * twenty series each. */
#define METRICS_MAX_CLIENTS 256u
#define METRICS_MAX_CACHES 256u

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Writes everything; view NULL: the daemon is not there, and paged_up 0 is all. The caller looks at
 * ferror(). */
void metrics_write(const struct shm_view *view, FILE *file);

/* One series of one sample, for what the caller has beside META; kind "gauge" or "counter". */
void metrics_write_number(const char *name, const char *kind, const char *help, uint64_t value,
			  FILE *file);

#endif
