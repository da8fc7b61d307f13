/* pagectl/act.c - what the daemon is asked to do: check, drain, reclaim. One call each. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/verdict.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int act_call(struct pagectl *ctl, struct message *request, struct message_reply *ret_reply)
{
	char text[CONNECT_TEXT_BYTES];
	int r = connection_call(&ctl->connection, request, ret_reply, text, sizeof(text));

	if (r < 0) {
		fprintf(stderr, "pagectl: %s\n", text);
		return PAGECTL_FAILED;
	}
	return PAGECTL_OK;
}

int act_refused(const struct pagectl *ctl, const struct message_reply *reply)
{
	fprintf(stderr, "pagectl: %s: %s\n", ctl->connection.address.sun_path,
		reply->text[0] ? reply->text : human_errno(-reply->status).s);
	return PAGECTL_FAILED;
}

int act_check(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_CHECK};
	struct message_reply reply;
	int r = act_call(ctl, &request, &reply);

	if (r != PAGECTL_OK)
		return r;
	if (reply.status < 0 && !verdict_invariant_length(reply.text))
		return act_refused(ctl, &reply);
	return verdict_print(reply.status >= 0, reply.text, ctl->want_json ? json_new() : NULL);
}

/* Asks for frames to come back and says how many did. asked is shown in JSON under its name; for
 * people it reads
 * "<done> N frames (M MiB)<tail>", and a line from whom. */
static int bring_back(struct pagectl *ctl, struct message *request, const char *name,
		      uint64_t asked, const char *done, const char *tail)
{
	char text[MESSAGE_TEXT_BYTES];
	struct message_reply reply;
	uint64_t bytes;
	int r = act_call(ctl, request, &reply);

	if (r != PAGECTL_OK)
		return r;
	if (reply.status < 0)
		return act_refused(ctl, &reply);
	bytes = reply.count << ctl->view.header->page_shift;
	if (ctl->want_json) {
		json_t *root = json_new();

		json_put_number(root, name, asked);
		json_put_number(root, "frames", reply.count);
		json_put_number(root, "bytes", bytes);
		json_put_text(root, "text", reply.text, sizeof(reply.text));
		return json_print(root);
	}
	human_clean_into(text, sizeof(text), reply.text, sizeof(reply.text));
	printf("%s %llu frames (%s)%s\n%s%s", done, (unsigned long long)reply.count,
	       human_size(bytes).s, tail, text, text[0] ? "\n" : "");
	return PAGECTL_OK;
}

int act_drain(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_DRAIN, .drain = {.client = ctl->client}};

	return bring_back(ctl, &request, "client", ctl->client, "drained", "");
}

/* Digits alone, up to `end`; 0 is no number of a client or a cache. */
static bool parse_id(const char *text, char end, unsigned long max, uint32_t *ret_id,
		     const char **ret_rest)
{
	char *rest;
	unsigned long id;

	errno = 0;
	id = strtoul(text, &rest, 10);
	if (!isdigit((unsigned char)text[0]) || *rest != end || errno || id < 1 || id > max)
		return false;
	*ret_id = (uint32_t)id;
	*ret_rest = rest;
	return true;
}

bool act_parse_cache(const char *text, uint32_t *ret_client, uint32_t *ret_cache)
{
	uint32_t client, cache;

	if (!parse_id(text, ':', SHM_MAX_CLIENTS, &client, &text) ||
	    !parse_id(text + 1, '\0', UINT32_MAX, &cache, &text))
		return false;
	*ret_client = client;
	*ret_cache = cache;
	return true;
}

/* The one cache of that name, of the client that --client gave, if it did. */
static int find_cache(const struct pagectl *ctl, struct message_reclaim *reclaim)
{
	uint32_t n = 0;

	if (act_parse_cache(ctl->cache, &reclaim->client, &reclaim->cache)) {
		if (!ctl->client || ctl->client == reclaim->client)
			return PAGECTL_OK;
		fprintf(stderr,
			"pagectl: --cache %s is not one of --client %u; try pagectl "
			"reclaim --help\n",
			ctl->cache, ctl->client);
		return PAGECTL_USAGE;
	}
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache cache = ctl->view.caches[i];

		cache.name[sizeof(cache.name) - 1] = '\0';
		if (cache.state == SHM_CACHE_FREE || strcmp(cache.name, ctl->cache) != 0 ||
		    (ctl->client && cache.client != ctl->client))
			continue;
		reclaim->client = cache.client;
		reclaim->cache = cache.id;
		n++;
	}
	if (n == 1)
		return PAGECTL_OK;
	fprintf(stderr,
		n ? "pagectl: %u caches are called '%s'; CLIENT:ID would be right, as pagectl "
		    "caches shows them\n"
		  : "pagectl: there are %u caches called '%s'; pagectl caches lists them\n",
		n, ctl->cache);
	return PAGECTL_FAILED;
}

int act_reclaim(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_RECLAIM,
				  .reclaim = {.nr_frames = ctl->n_frames,
					      .client = ctl->client,
					      .dry_run = ctl->want_dry_run}};
	char tail[64];
	int r = ctl->cache ? find_cache(ctl, &request.reclaim) : PAGECTL_OK;

	if (r != PAGECTL_OK)
		return r;
	(void)snprintf(tail, sizeof(tail), ", %llu wanted", (unsigned long long)ctl->n_frames);
	return bring_back(ctl, &request, "wanted", ctl->n_frames,
			  ctl->want_dry_run ? "could reclaim" : "reclaimed", tail);
}
