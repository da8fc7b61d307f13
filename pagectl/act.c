/* pagectl/act.c - what the daemon is asked to do: check, drain, reclaim. One call each. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <ctype.h>
#include <string.h>

/* Calls, and prints to stderr if no reply comes. What the reply's status means is the caller's to
 * say: a Check that finds a broken invariant is an answer. Returns an enum pagectl_exit. */
static int call(struct pagectl *ctl, struct message *request, struct message_reply *ret_reply)
{
	char text[CONNECT_TEXT_BYTES];
	int r = connection_call(&ctl->connection, request, ret_reply, text, sizeof(text));

	if (r < 0) {
		fprintf(stderr, "pagectl: %s\n", text);
		return PAGECTL_FAILED;
	}
	return PAGECTL_OK;
}

static int refused(const struct pagectl *ctl, const struct message_reply *reply)
{
	fprintf(stderr, "pagectl: %s: %s\n", ctl->connection.address.sun_path,
		reply->text[0] ? reply->text : human_errno(-reply->status).s);
	return PAGECTL_FAILED;
}

/* Length of the invariant's id that text starts with ("I5"), 0 if it starts with none. */
static size_t invariant_length(const char *text)
{
	size_t n = 1;

	if (text[0] != 'I' || !isdigit((unsigned char)text[1]))
		return 0;
	while (isdigit((unsigned char)text[n]))
		n++;
	return n;
}

int act_check(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_CHECK};
	struct message_reply reply;
	size_t id_length;
	int r = call(ctl, &request, &reply);

	if (r != PAGECTL_OK)
		return r;
	id_length = reply.status < 0 ? invariant_length(reply.text) : 0;
	if (reply.status < 0 && !id_length)
		return refused(ctl, &reply);
	r = reply.status < 0 ? PAGECTL_FAILED : PAGECTL_OK;
	if (r == PAGECTL_OK && !reply.text[0])
		snprintf(reply.text, sizeof(reply.text), "every invariant holds");
	if (ctl->want_json) {
		json_t *root = json_new();

		json_object_set_new(root, "ok", json_boolean(r == PAGECTL_OK));
		if (id_length)
			json_put_text(root, "invariant", reply.text, id_length);
		else
			json_put_string(root, "invariant", NULL);
		json_put_text(root, "text", reply.text, sizeof(reply.text));
		json_print(root);
	} else {
		printf("%s: %s\n", r == PAGECTL_OK ? "ok" : "broken", reply.text);
	}
	return r;
}

/* Asks for frames to come back and says how many did. asked is shown in JSON under its name; for
 * people it reads
 * "<done> N frames (M MiB)<tail>". */
static int bring_back(struct pagectl *ctl, struct message *request, const char *name,
		      uint64_t asked, const char *done, const char *tail)
{
	struct message_reply reply;
	uint64_t bytes;
	int r = call(ctl, request, &reply);

	if (r != PAGECTL_OK)
		return r;
	if (reply.status < 0)
		return refused(ctl, &reply);
	bytes = reply.count << ctl->view.header->page_shift;
	if (ctl->want_json) {
		json_t *root = json_new();

		json_put_number(root, name, asked);
		json_put_number(root, "frames", reply.count);
		json_put_number(root, "bytes", bytes);
		return json_print(root);
	}
	printf("%s %llu frames (%s)%s\n", done, (unsigned long long)reply.count,
	       human_size(bytes).s, tail);
	return PAGECTL_OK;
}

int act_drain(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_DRAIN, .drain = {.client = ctl->client}};

	return bring_back(ctl, &request, "client", ctl->client, "drained", "");
}

int act_reclaim(struct pagectl *ctl)
{
	struct message request = {.kind = MESSAGE_RECLAIM, .reclaim = {.nr_frames = ctl->n_frames}};
	char tail[64];

	(void)snprintf(tail, sizeof(tail), ", %llu wanted", (unsigned long long)ctl->n_frames);
	return bring_back(ctl, &request, "wanted", ctl->n_frames, "reclaimed", tail);
}
