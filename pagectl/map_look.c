/* pagectl/map_look.c - what only the owners' CTL says, asked of the daemon.
 *
 * A Look answers with a few runs of frames, so a client whose frames lie side by side takes some
 * requests and one whose frames are scattered takes many. There is a bound on all of them together:
 * a picture is not worth more of the daemon's time. */
#include "pagectl/connect.h"
#include "pagectl/map.h"

/* Lower: a large segment is drawn without. Higher: the daemon answers us for longer; at some 20 us
 * a request it is less than a second, and others get their turn in between. */
#define LOOKS_MAX 20000u

struct look {
	struct map *map;
	struct connection *connection;
	uint32_t n; /* requests so far */
};

static bool look_at(struct look *look, client_id client, enum look_kind what, enum map_kind kind)
{
	struct message request = {.kind = MESSAGE_LOOK,
				  .look = {.client = client, .kind = (uint32_t)what}};
	struct message_reply reply;
	char text[CONNECT_TEXT_BYTES];

	while (request.look.at != LOOK_END) {
		if (look->n++ == LOOKS_MAX ||
		    connection_call(look->connection, &request, &reply, text, sizeof(text)) != 0 ||
		    reply.status != 0 || !map_note(look->map, kind, reply.text))
			return false;
		request.look.at = reply.result;
	}
	return true;
}

bool map_look(struct map *map, struct connection *connection, const struct shm_client *clients,
	      uint32_t n)
{
	struct look look = {.map = map, .connection = connection};

	for (uint32_t i = 0; i < n; i++)
		if (!look_at(&look, clients[i].id, LOOK_MAGAZINES, KIND_MAGAZINE) ||
		    (clients[i].purge_slots &&
		     !look_at(&look, clients[i].id, LOOK_PURGEABLE, KIND_PURGEABLE)))
			return false;
	return true;
}
