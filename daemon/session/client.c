/* daemon/session/client.c - clients come back after a crash of the server, and end.
 *
 * A client ends by Goodbye, by its pidfd, or because its CTL lies; never by EOF alone. From then on
 * it is DYING, its CTL is unmapped at once (nothing of it is needed) and its frames are swept in
 * slices. One whose connection ended lives on as AWAY: its frames stay its own, and its shrinkers
 * are not asked.
 *
 * Where the server dies, or the connection ends, between an attach and the answer to its Hello, the
 * process does not know that it is a client. If it says Hello again it names the same nonce, and
 * that client is ended before there is another. So where it did not wait for the answer: then the
 * client may have its connection still, for the Hellos that came while we were stopped are all read
 * before the end of any of their connections is. The nonce does nothing else: it counts for the
 * process that it came from, until that has shown by any request or a Resume that it had the
 * answer; a thread whose open succeeded names another one. (Adopting the old row instead would have
 * to change its options, its CTL and its limits in place; it has no frames that were worth it.) */
#include "daemon/session/session_private.h"

#include <string.h>

void client_adopted(struct session *session, const struct session_event *event)
{
	if (!pool_client_is_attached(session->pool, event->client))
		return;
	if (event->status) {
		client_end(session, event->client);
		pool_count(session->pool, COUNTER_client_death, 1);
		return;
	}
	memcpy(session->unit[event->client], event->peer.unit, SESSION_UNIT_BYTES);
	session->groups[event->client] = event->peer.groups;
	if (event->ctl)
		pool_client_adopt(session->pool, event->client, event->ctl);
	limits_apply(session, event->client);
}

void client_end(struct session *session, client_id client)
{
	uint32_t conn = session->client[client].conn;

	if (!pool_client_is_attached(session->pool, client))
		return;
	if (conn != CONN_NONE)
		handshake_end(session, conn);
	bell_forget(session, client);
	reclaim_forget_client(session, client);
	shrinker_unregister_all(session->pool, client);
	pool_client_kill(session->pool, client);
	session_push(session, ACTION_RELEASE)->client = client;
	session->client[client] = (struct session_client){.conn = CONN_NONE};
	session->nr_clients--;
	session->dying[client] = true;
	session->nr_dying++;
}

void client_end_hostile(struct session *session)
{
	while (session_has_room(session, 4)) {
		client_id client = pool_next_hostile(session->pool);
		const struct shm_client *shown;

		if (client == CLIENT_NONE)
			return;
		shown = pool_client(session->pool, client);
		session_log(session, LOG_LEVEL_WARNING, LOG_ID_CLIENT_HOSTILE, client,
			    "client %u (%s, pid %u, uid %u) is hostile: its CTL lies; disconnected",
			    client, shown->name, shown->pid, shown->uid);
		client_end(session, client);
	}
	session->again = true;
}

/* One slice. */
static void sweep(struct session *session, client_id client)
{
	if (!pool_client_sweep(session->pool, client, SWEEP_BLOCKS))
		return;
	session->dying[client] = false;
	session->nr_dying--;
}

void client_sweep(struct session *session)
{
	for (client_id id = 1; session->nr_dying && id <= SHM_MAX_CLIENTS; id++) {
		if (!session->dying[id])
			continue;
		sweep(session, id);
		session->again |= session->nr_dying > 0;
		return;
	}
}

static bool is_unanswered(const struct session *session, client_id client,
			  const struct session_peer *peer, uint64_t nonce)
{
	const struct shm_record *record;

	if (!pool_client_is_attached(session->pool, client))
		return false;
	record = pool_client_record(session->pool, client);
	return record->hello_nonce == nonce && record->pid == peer->pid &&
	       record->uid == peer->uid && record->pid_start == peer->pid_start;
}

void client_end_unanswered(struct session *session, const struct session_peer *peer, uint64_t nonce)
{
	for (client_id id = 1; nonce && id <= SHM_MAX_CLIENTS; id++) {
		if (!is_unanswered(session, id, peer, nonce))
			continue;
		client_end(session, id);
		sweep(session, id); /* so that its id is free for the one that comes */
		return;
	}
}
