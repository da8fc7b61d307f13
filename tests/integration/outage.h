/* tests/integration/outage.h - a daemon that is killed and comes back, and clients that see it. */
#ifndef TESTS_INTEGRATION_OUTAGE_H
#define TESTS_INTEGRATION_OUTAGE_H
#include "tests/integration/raw.h"

struct outage {
	struct fixture fixture;
	struct observer observer; /* of the segment, which outlives the daemons */
};

/* A daemon with 512 MiB. */
bool outage_open(struct outage *outage);
/* Asserts that with the clients gone every frame is free and none was ever refused. */
void outage_close(struct outage *outage);

/* SIGKILL, and another serves. The supervisor too: what it kept of the clients is lost, and each
 * Resume has to bring its CTL. */
bool outage_restart_all(struct outage *outage);
bool outage_restart_server(const struct outage *outage);
/* The n-th of many: one in four ends the supervisor, which gives up after ten in a row. */
bool outage_restart(struct outage *outage, uint32_t n);

/* What on_state was told; another thread may dispatch. */
#define OUTAGE_EVENTS_MAX 16u
struct outage_events {
	uint32_t n;
	enum pageclient_state state[OUTAGE_EVENTS_MAX];
};
uint32_t outage_events_count(const struct outage_events *events);
/* Exactly these two. */
bool outage_events_are(const struct outage_events *events, enum pageclient_state first,
		       enum pageclient_state second);

struct outage_client {
	uint32_t call_timeout_ms;
	uint32_t alloc_timeout_ms;    /* 0: CLOCK_PATIENCE_MS */
	struct outage_events *events; /* may be NULL */
};
/* Never NULL: the test ends without one. */
pageclient *outage_client(const struct outage *outage, const struct outage_client *options);
/* Shares, and if there is no answer in the client's own time, again: the lane settles that. */
int outage_share(pageclient *client, void *frame, uint64_t *ret_handle);

#endif
