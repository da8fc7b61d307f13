/* daemon/session/pressure.h - who waits for frames (stall.c), how short memory is, and what is
 * given back (pressure.c): their part of a session. Included by session_private.h. */
#ifndef DAEMON_SESSION_PRESSURE_H
#define DAEMON_SESSION_PRESSURE_H
#include "daemon/core/psi.h"
#include "daemon/session/session.h"

struct parked;

/* PSI of one client, and since when it is not accounted. */
struct stall_client {
	struct psi psi;
	uint64_t since_ns;
};

struct stall {
	uint32_t nr_clients;                /* that are stalled */
	uint32_t nr_in_zone[SHM_MAX_ZONES]; /* requests that wait and that the zone could serve */
	uint64_t since_ns;                  /* accounted up to then */
	/* When a client that is not stalled last had a request met; 0: never. */
	uint64_t active_ns;
	struct psi all, zone[SHM_MAX_ZONES];
	uint32_t nr_of[SHM_MAX_CLIENTS + 1];  /* requests of a client that wait for frames */
	uint64_t met_ns[SHM_MAX_CLIENTS + 1]; /* when one of its requests was last met */
	struct stall_client client[SHM_MAX_CLIENTS + 1];
};

/* What free pageblocks the machine gets, while it is short (pressure.c). */
struct give_back {
	bool is_short;
	uint64_t from_ns; /* of the time in which `fewest` counts */
	uint64_t fewest;  /* idle pageblocks at any moment of it */
	uint64_t allowed; /* to be punched now: the fewest of the time before */
	uint64_t ask_ns;  /* caches are asked again then */
};

struct pressure {
	uint32_t machine; /* as the shell says */
	bool is_simulated;
	uint32_t simulated; /* in its place */
	uint32_t own, level;
	uint32_t calmer;       /* the highest since calm_from_ns, of those below own */
	uint64_t calm_from_ns; /* own was last reached */
	bool failed;           /* a request, for want of frames, since the last look */
	client_id tell_from;   /* clients from that one on are to be told; 0: none */
	struct psi_window some, full;
	struct give_back give_back;
};

/* --- stall.c ------------------------------------------------------------------------------------
 */

/* At the first step: goes on with the numbers of the server before. */
void stall_begin(struct session *session);
/* The client is new, or comes from the server before. */
void stall_attached(struct session *session, client_id client);
/* Brings the totals up to now. At the start of each step, before anything changes. */
void stall_account(struct session *session);
/* The request has another condition than it had, perhaps; or it is not parked any more. */
void stall_follow(struct session *session, struct parked *request);
void stall_leave(struct session *session, struct parked *request);
/* At the end of each step: looks whose requests were met in it. */
void stall_met(struct session *session);
/* Once a second. */
void stall_tick(struct session *session);

/* --- pressure.c ---------------------------------------------------------------------------------
 */

void pressure_begin(struct session *session);
/* A client is new: the reply tells it the level. */
void pressure_attached(struct session *session, client_id client);
/* It is back, and may not have heard of a level that it was told. */
void pressure_resumed(struct session *session, client_id client);
/* A request of that order failed for want of frames. */
void pressure_failed(struct session *session, order_t order);
/* The shell says how short the machine is. */
void pressure_reported(struct session *session, uint32_t level);
/* Set with key PRESSURE. */
void pressure_set(struct session *session, uint32_t conn, uint64_t id, uint64_t value);
/* At the end of each step: levels, who is to be told, what is to be given back. */
void pressure_pump(struct session *session);

#endif
