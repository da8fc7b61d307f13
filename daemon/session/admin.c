/* daemon/session/admin.c - what only the administrator may ask: Check, Drain, Reclaim, Set, Why,
 * Look; and Config, which everybody may: META tells of limits and who has them already. */
#include "daemon/session/session_private.h"

#include "daemon/core/inspect_list.h"
#include "paged/bits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
	if (session->drain.active) {
		session_refuse(session, conn, message->id, -EBUSY,
			       "another Drain is under way; try again when it has ended");
		return;
	}
	session->drain = (struct drain){.active = true,
					.pass = pool_pass_begin(session->pool, client, false),
					.conn = conn,
					.id = message->id};
}

void admin_drained(struct session *session, uint64_t frames)
{
	session->drain.nr_returned += frames;
}

void admin_pump(struct session *session)
{
	struct drain *drain = &session->drain;

	if (!drain->active || session_claim(session, &drain->pass, STEAL_ADMIN))
		return;
	drain->active = false;
	session_reply(session, drain->conn, drain->id)->count = drain->nr_returned;
}

void admin_forget_conn(struct session *session, uint32_t conn)
{
	/* What comes back from now on would be for nobody. */
	if (session->reclaim.admin_target && session->reclaim.admin_conn == conn) {
		session->reclaim.admin_conn = CONN_NONE;
		reclaim_end(session, true);
	}
	if (session->drain.conn == conn)
		session->drain.active = false;
}

/* Is what the Reclaim is limited to there? *ret_cache is the row of its cache, CACHE_ALL if it
 * names none. false: it has been refused. */
static bool find_scope(struct session *session, uint32_t conn, const struct message *message,
		       uint32_t *ret_cache)
{
	const struct message_reclaim *wanted = &message->reclaim;
	client_id client = (client_id)wanted->client;

	*ret_cache = CACHE_ALL;
	if (wanted->client == 0 && wanted->cache)
		session_refuse(session, conn, message->id, -EINVAL,
			       "cache %u of which client? Its number is the client's own",
			       wanted->cache);
	else if (wanted->client > SHM_MAX_CLIENTS ||
		 (wanted->client && !pool_client_is_attached(session->pool, client)))
		session_refuse(session, conn, message->id, -ESRCH,
			       "no client %u is attached; pagectl clients lists them",
			       wanted->client);
	else if (wanted->cache && !shrinker_find(session->pool, client, wanted->cache, ret_cache))
		session_refuse(session, conn, message->id, -ESRCH,
			       "client %u has no cache %u; pagectl caches lists them",
			       wanted->client, wanted->cache);
	else
		return true;
	return false;
}

/* What a Reclaim may bring back at most: what is held now. Without an end, who asks for more would
 * empty caches as fast as they are filled, for ever. */
static uint64_t held_by(const struct session *session, client_id client)
{
	uint64_t held = pool_nr_managed(session->pool) - pool_nr_free(session->pool);

	if (client != CLIENT_NONE)
		held = pool_client(session->pool, client)->nr_owned +
		       pool_client(session->pool, client)->nr_shared;
	return bits_max(held, 1);
}

static void do_reclaim(struct session *session, uint32_t conn, const struct message *message)
{
	struct reclaim *reclaim = &session->reclaim;
	uint32_t cache;

	if (message->reclaim.nr_frames == 0) {
		session_refuse(session, conn, message->id, -EINVAL,
			       "Reclaim of 0 frames; ask for 1 or more");
		return;
	}
	if (!find_scope(session, conn, message, &cache))
		return;
	if (message->reclaim.dry_run) {
		struct message_reply *reply = session_reply(session, conn, message->id);

		reply->count = report_dry_run(session, message->reclaim.nr_frames,
					      (client_id)message->reclaim.client, cache,
					      reply->text, sizeof reply->text);
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
	reclaim->client = (client_id)message->reclaim.client;
	reclaim->admin_target =
		bits_min(message->reclaim.nr_frames, held_by(session, reclaim->client));
	reclaim->cache = cache;
	reclaim->admin_conn = conn;
	reclaim->admin_id = message->id;
}

void admin_reclaimed(struct session *session)
{
	const struct reclaim *reclaim = &session->reclaim;
	struct message_reply *reply;

	if (reclaim->admin_conn == CONN_NONE)
		return;
	reply = session_reply(session, reclaim->admin_conn, reclaim->admin_id);
	reply->count = reclaim->nr_returned;
	report_write(session, reply->text, sizeof reply->text);
}

static void do_set(struct session *session, uint32_t conn, const struct message *message)
{
	const struct message_set *set = &message->set;

	switch ((enum set_key)set->key) {
	case SET_MIN:
	case SET_LOW:
	case SET_HIGH:
	case SET_MAX:
	case SET_WEIGHT:
		limits_set(session, conn, message->id, set);
		return;
	case SET_PRESSURE:
		pressure_set(session, conn, message->id, set->value);
		return;
	case SET_SIZE:
		resize_set(session, conn, message->id, set->value);
		return;
	case SET_NR_KEYS:
		break;
	}
	session_refuse(session, conn, message->id, -EOPNOTSUPP,
		       "key %u is not known here; min, low, high, max, weight, size or pressure "
		       "would be right",
		       set->key);
}

static void do_config(struct session *session, uint32_t conn, const struct message *message)
{
	const struct session_config *config = &session->limits.config;
	uint32_t number = message->config.number;
	struct message_reply *reply;

	if (number >= config->nr_lines) {
		session_refuse(session, conn, message->id, -ENOENT,
			       "the configuration has %u lines, there is no line %u",
			       config->nr_lines, number);
		return;
	}
	reply = session_reply(session, conn, message->id);
	memcpy(reply->text, config->line[number], sizeof reply->text);
	reply->text[sizeof reply->text - 1] = '\0';
	reply->count = config->nr_lines;
	reply->result = config->serial;
}

/* Nothing is kept of it: the next request says where to go on. */
static void do_look(struct session *session, uint32_t conn, const struct message *message)
{
	const struct message_look *look = &message->look;
	struct message_reply *reply;
	struct inspect_list list;
	size_t n = 0;

	if (look->kind >= LOOK_NR_KINDS || look->client < 1 || look->client > SHM_MAX_CLIENTS) {
		session_refuse(session, conn, message->id, -EINVAL,
			       "kind %u of client %u; 0 or 1, of a client, would be right",
			       look->kind, look->client);
		return;
	}
	if (look->kind == LOOK_MAGAZINES)
		inspect_list_magazines(session->pool, look->client, look->at, &list);
	else
		inspect_list_purgeable(session->pool, look->client, look->at, &list);
	reply = session_reply(session, conn, message->id);
	reply->result = list.at;
	for (uint32_t i = 0; i < list.n_runs; i++)
		n += (size_t)snprintf(reply->text + n, sizeof(reply->text) - n, "%x %x\n",
				      list.run[i].first, list.run[i].n_frames);
}
static_assert(INSPECT_RUNS * 18 < MESSAGE_TEXT_BYTES && INSPECT_LIST_END == LOOK_END,
	      "each run is two numbers of at most 8 digits");

void admin_dispatch(struct session *session, uint32_t conn, const struct message *message)
{
	static void (*const handlers[MESSAGE_NR_KINDS])(struct session *, uint32_t,
							const struct message *) = {
		[MESSAGE_CHECK] = do_check,     [MESSAGE_DRAIN] = do_drain,
		[MESSAGE_RECLAIM] = do_reclaim, [MESSAGE_SET] = do_set,
		[MESSAGE_WHY] = why_dispatch,   [MESSAGE_LOOK] = do_look,
	};
	uint32_t uid = session->connection[conn].peer.uid;

	if (message->kind == MESSAGE_CONFIG) {
		do_config(session, conn, message);
		return;
	}
	if (!handlers[message->kind]) {
		session_refuse(
			session, conn, message->id, -EPERM,
			"an observer may ask for Check, Config, Drain, Look, Reclaim, Set and Why "
			"only");
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
	handlers[message->kind](session, conn, message);
}
