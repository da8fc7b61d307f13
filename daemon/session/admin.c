/* daemon/session/admin.c - what only the administrator may ask: Check, Drain, Reclaim. */
#include "daemon/session/session_private.h"

#include <errno.h>

/* A client that lies breaks no invariant of ours: it is noted, and the rest is looked at again.
 * More tries: a check takes longer while clients lie one after the other; fewer: it calls that
 * broken. */
#define CHECK_TRIES 8u

static void do_check(struct session *session, uint32_t conn, const struct message *message)
{
	char text[SHM_TEXT_BYTES];
	int r = pool_check(session->pool, text, sizeof text);

	for (uint32_t i = 0; r == POOL_HOSTILE && i < CHECK_TRIES; i++) {
		(void)pool_note_liars(session->pool);
		r = pool_check(session->pool, text, sizeof text);
	}
	if (r)
		session_refuse(session, conn, message->id, condition_status((enum pool_condition)r),
			       "%s", text);
	else
		session_reply(session, conn, message->id);
}

static void do_drain(struct session *session, uint32_t conn, const struct message *message)
{
	client_id client = message->drain.client;

	if (client != CLIENT_NONE && !pool_client_is_attached(session->pool, client)) {
		session_refuse(session, conn, message->id, -ESRCH,
			       "no client %u is attached; pagectl clients lists them", client);
		return;
	}
	if (pool_claim_all(session->pool, client, false) == 0) {
		session_reply(session, conn, message->id);
		return;
	}
	session_barrier(session, STEAL_ADMIN);
	session->steal.conn = conn;
	session->steal.id = message->id;
}

void admin_drained(struct session *session, const struct steal *steal, uint64_t frames)
{
	session_reply(session, steal->conn, steal->id)->count = frames;
}

static void do_reclaim(struct session *session, uint32_t conn, const struct message *message)
{
	struct reclaim *reclaim = &session->reclaim;

	if (message->reclaim.nr_frames == 0) {
		session_refuse(session, conn, message->id, -EINVAL,
			       "Reclaim of 0 frames; ask for 1 or more");
		return;
	}
	if (reclaim->admin_target) {
		session_refuse(session, conn, message->id, -EBUSY,
			       "another Reclaim is under way; try again when it has ended");
		return;
	}
	/* A run of the background goes on as this one: what it returned so far was not asked for.
	 */
	reclaim->running = false;
	reclaim->admin_target = message->reclaim.nr_frames;
	reclaim->admin_conn = conn;
	reclaim->admin_id = message->id;
}

void admin_reclaimed(struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;

	if (reclaim->admin_conn != CONN_NONE)
		session_reply(session, reclaim->admin_conn, reclaim->admin_id)->count =
			reclaim->nr_returned;
}

void admin_dispatch(struct session *session, uint32_t conn, const struct message *message)
{
	uint32_t uid = session->connection[conn].peer.uid;

	if (message->kind != MESSAGE_CHECK && message->kind != MESSAGE_DRAIN &&
	    message->kind != MESSAGE_RECLAIM) {
		session_refuse(session, conn, message->id, -EPERM,
			       "an observer may ask for Check, Drain and Reclaim only");
		return;
	}
	if (uid != 0 && uid != session->limits.admin_uid) {
		session_refuse(
			session, conn, message->id, -EPERM,
			session->limits.admin_uid
				? "only root and user %u, who runs the daemon, may ask for this"
				: "only root may ask for this",
			session->limits.admin_uid);
		return;
	}
	if (message->kind == MESSAGE_CHECK)
		do_check(session, conn, message);
	else if (message->kind == MESSAGE_DRAIN)
		do_drain(session, conn, message);
	else
		do_reclaim(session, conn, message);
}
