/* pagectl/act_set.c - set: the limits of one client.
 *
 * All of the command line is understood before the first call, so that a slip of the pen in the
 * last value does not leave the first one set. Each key is a call of its own; the daemon judges the
 * values, and what it refuses ends the command. */
#include "pagectl/command.h"
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int usage(const struct pagectl *ctl, const char *what, const char *text)
{
	fprintf(stderr, "pagectl: '%s' %s; try pagectl %s --help\n", text, what,
		ctl->command->name);
	return PAGECTL_USAGE;
}

/* --- the client ------------------------------------------------------------------------------ */

/* By number, or the one of that name. */
static int find_client(const struct pagectl *ctl, const char *text, uint32_t *ret_client)
{
	struct shm_client *clients;
	uint32_t n_clients, n = 0;
	unsigned long number;
	char *end;

	number = strtoul(text, &end, 10);
	if (isdigit((unsigned char)text[0]) && *end == '\0' && number > 0 &&
	    number <= SHM_MAX_CLIENTS) {
		*ret_client = (uint32_t)number;
		return PAGECTL_OK;
	}
	clients = clients_copy(&ctl->view, &n_clients);
	for (uint32_t i = 0; i < n_clients; i++)
		if (strncmp(clients[i].name, text, sizeof(clients[i].name)) == 0) {
			*ret_client = clients[i].id;
			n++;
		}
	free(clients);
	if (n == 1)
		return PAGECTL_OK;
	fprintf(stderr, "pagectl: %u clients are called '%s'; pagectl clients numbers them\n", n,
		text);
	return PAGECTL_FAILED;
}

/* --- values ---------------------------------------------------------------------------------- */

static int unit_shift(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *letter = unit[0] ? strchr(letters, unit[0]) : NULL;

	if (!letter || (unit[1] && strcmp(unit + 1, "B") != 0 && strcmp(unit + 1, "iB") != 0))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

int act_parse_frames(const struct pagectl *ctl, const char *text, uint64_t *ret_frames)
{
	const struct shm_meta_header *header = ctl->view.header;
	unsigned long long n;
	char *end;
	int shift;

	if (strcmp(text, "none") == 0) {
		*ret_frames = 0;
		return PAGECTL_OK;
	}
	errno = 0;
	n = strtoull(text, &end, 10);
	shift = unit_shift(end);
	if (!isdigit((unsigned char)text[0]) || errno || n > UINT32_MAX)
		return usage(ctl,
			     "is no amount; 64M, 25%, 4096 (frames), none or default would be "
			     "right",
			     text);
	if (*end == '\0') {
		*ret_frames = n;
	} else if (strcmp(end, "%") == 0) {
		if (n > 100)
			return usage(ctl, "is more than the segment; 100% at most", text);
		*ret_frames = (uint64_t)header->wanted_frames * n / 100;
	} else if (shift >= 0 && n << shift >> shift != n) {
		return usage(ctl, "is more than any machine has", text);
	} else if (shift >= 0) {
		*ret_frames = (n << shift) >> header->page_shift;
		if (n && *ret_frames == 0)
			return usage(ctl, "is less than a frame", text);
	} else {
		return usage(ctl, "has no unit that is known; K, M, G, T or % would be right",
			     text);
	}
	return PAGECTL_OK;
}

static int parse_value(const struct pagectl *ctl, uint32_t key, const char *text,
		       uint64_t *ret_value)
{
	char *end;
	int r;

	if (strcmp(text, "default") == 0) {
		*ret_value = SET_DEFAULT;
		return PAGECTL_OK;
	}
	if (key != SET_WEIGHT) {
		r = act_parse_frames(ctl, text, ret_value);
		/* 0 means none on the wire. */
		if (r == PAGECTL_OK && *ret_value == 0 && (key == SET_MAX || key == SET_HIGH) &&
		    strcmp(text, "none") != 0)
			r = usage(ctl,
				  "would be nothing at all; 1 or more frames, or none, would be "
				  "right",
				  text);
		return r;
	}
	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || *ret_value > 10000)
		return usage(ctl, "is no weight; 0 to 10000 or default would be right", text);
	return PAGECTL_OK;
}

/* `key=value` into a request for the client. */
static int parse_setting(const struct pagectl *ctl, const char *text, uint32_t client,
			 struct message *ret_request)
{
	static const char *const names[] = {
#define X(key, name, unit) [SET_##key] = name,
		SET_KEYS(X)
#undef X
	};
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : 0;

	*ret_request = (struct message){.kind = MESSAGE_SET, .set = {.client = client}};
	for (uint32_t key = SET_MIN; key <= SET_WEIGHT; key++)
		if (n && strlen(names[key]) == n && strncmp(names[key], text, n) == 0) {
			ret_request->set.key = key;
			return parse_value(ctl, key, equals + 1, &ret_request->set.value);
		}
	return usage(ctl, "is no setting; min=, low=, high=, max= or weight= would be right", text);
}

/* --- the command ------------------------------------------------------------------------------ */

static void print_limits(const struct pagectl *ctl, uint32_t id)
{
	struct shm_client client = *shm_view_client(&ctl->view, (client_id)id);
	uint32_t shift = ctl->view.header->page_shift;

	if (ctl->want_json) {
		json_t *root = json_new();

		json_put_number(root, "client", id);
		json_put_number(root, "min", client.min);
		json_put_number(root, "low", client.low);
		json_put_number(root, "high", client.high);
		json_put_number(root, "max", client.max);
		json_put_number(root, "weight", client.weight);
		json_put_text(root, "limits_from", client.limits_from, sizeof(client.limits_from));
		(void)json_print(root);
		return;
	}
	printf("client %u (%s): min %s, low %s, high %s, max %s, weight %u\n", id,
	       human_clean(client.name, sizeof(client.name)).s, human_size(client.min << shift).s,
	       human_size(client.low << shift).s, human_size(client.high << shift).s,
	       human_size(client.max << shift).s, client.weight);
}

int act_set(struct pagectl *ctl)
{
	struct message request[PAGECTL_MAX_OPERANDS];
	struct message_reply reply;
	uint32_t client = 0;
	int r = find_client(ctl, ctl->operand[0], &client);

	for (uint32_t i = 1; r == PAGECTL_OK && i < ctl->n_operands; i++)
		r = parse_setting(ctl, ctl->operand[i], client, &request[i]);
	for (uint32_t i = 1; r == PAGECTL_OK && i < ctl->n_operands; i++) {
		r = act_call(ctl, &request[i], &reply);
		if (r == PAGECTL_OK && reply.status < 0)
			r = act_refused(ctl, &reply);
	}
	if (r == PAGECTL_OK)
		print_limits(ctl, client);
	return r;
}
