/* daemon/session/client.c - clients come back after a crash of the server, and end.
 *
 * A client ends by Goodbye, by its pidfd, or because its CTL lies; never by EOF alone. From then on
 * it is DYING, its CTL is unmapped at once (nothing of it is needed) and its frames are swept in
 * slices. One whose connection ended lives on as AWAY: its frames stay its own, and its shrinkers
 * are not asked. */
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

void client_sweep(struct session *session)
{
	for (client_id id = 1; session->nr_dying && id <= SHM_MAX_CLIENTS; id++) {
		if (!session->dying[id])
			continue;
		if (pool_client_sweep(session->pool, id, SWEEP_BLOCKS)) {
			session->dying[id] = false;
			session->nr_dying--;
		}
		session->again |= session->nr_dying > 0;
		return;
	}
}
