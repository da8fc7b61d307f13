/* pagectl/act_why.c - why: who holds a client's, a cache's or a frame's memory, and why it was not
 * reclaimed.
 *
 * The daemon answers with a fact a line and, last, what to do. Who is meant is found here, by
 * number or by name, in META. What the daemon cannot see is added: whether the process is stopped,
 * which only /proc says. */
#include "pagectl/host.h"
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define FACTS_MAX 16u /* more do not fit into a reply */

struct subject {
	struct message_why why;
	char text[80];    /* "client 3" */
	client_id client; /* whose process is looked at; CLIENT_NONE: of none */
};

/* --- who is meant ---------------------------------------------------------------------------- */

/* A whole number, up to max; base 0: 0x is hexadecimal. */
static bool parse_number(const char *text, int base, uint32_t max, uint32_t *ret_number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, base);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value > max)
		return false;
	*ret_number = (uint32_t)value;
	return true;
}

static int usage(const char *text, const char *wanted)
{
	fprintf(stderr, "pagectl: '%s' is not %s; try pagectl why --help\n", text, wanted);
	return PAGECTL_USAGE;
}

/* How many clients have the name; *ret_client is the last. Their numbers are added to list. */
static uint32_t clients_named(const struct pagectl *ctl, const char *name, uint32_t *ret_client,
			      char *list, size_t list_bytes)
{
	uint32_t n_clients, n = 0;
	struct shm_client *clients = clients_copy(&ctl->view, &n_clients);
	size_t at = 0;

	list[0] = '\0';
	for (uint32_t i = 0; i < n_clients; i++) {
		clients[i].name[sizeof(clients[i].name) - 1] = '\0';
		if (strcmp(clients[i].name, name) != 0)
			continue;
		*ret_client = clients[i].id;
		n++;
		if (at + 16 < list_bytes)
			at += (size_t)snprintf(list + at, list_bytes - at, " %u", clients[i].id);
	}
	free(clients);
	return n;
}

static uint32_t caches_named(const struct pagectl *ctl, const char *name, struct message_why *why,
			     char *list, size_t list_bytes)
{
	size_t at = 0;
	uint32_t n = 0;

	list[0] = '\0';
	for (uint32_t i = 0; i < SHM_MAX_CACHES; i++) {
		struct shm_cache cache = ctl->view.caches[i];

		cache.name[sizeof(cache.name) - 1] = '\0';
		if (cache.state == SHM_CACHE_FREE || strcmp(cache.name, name) != 0)
			continue;
		why->number = cache.id;
		why->client = cache.client;
		n++;
		if (at + 24 < list_bytes)
			at += (size_t)snprintf(list + at, list_bytes - at, " %u:%u", cache.client,
					       cache.id);
	}
	return n;
}

/* None, or several: says which. */
static int not_one(const char *what, const char *name, uint32_t n, const char *list)
{
	char clean[64];

	human_clean_into(clean, sizeof(clean), name, strlen(name));
	if (n == 0)
		fprintf(stderr, "pagectl: there is no %s '%s'; pagectl %ss lists them\n", what,
			clean, what[0] == 'c' && what[1] == 'a' ? "cache" : "client");
	else
		fprintf(stderr, "pagectl: %u %ss are called '%s'; one of these would be right:%s\n",
			n, what, clean, list);
	return PAGECTL_FAILED;
}

static int find_client(const struct pagectl *ctl, const char *text, struct subject *subject)
{
	char list[128];
	uint32_t n;

	subject->why.kind = WHY_CLIENT;
	if (parse_number(text, 10, SHM_MAX_CLIENTS, &subject->why.number))
		return PAGECTL_OK;
	n = clients_named(ctl, text, &subject->why.number, list, sizeof(list));
	return n == 1 ? PAGECTL_OK : not_one("client", text, n, list);
}

/* CLIENT:ID, or a name. */
static int find_cache(const struct pagectl *ctl, const char *text, struct subject *subject)
{
	char list[128];
	uint32_t n;

	subject->why.kind = WHY_CACHE;
	if (act_parse_cache(text, &subject->why.client, &subject->why.number))
		return PAGECTL_OK;
	n = caches_named(ctl, text, &subject->why, list, sizeof(list));
	return n == 1 ? PAGECTL_OK : not_one("cache", text, n, list);
}

static int find_pfn(const char *text, struct subject *subject)
{
	subject->why.kind = WHY_PFN;
	return parse_number(text, 0, UINT32_MAX, &subject->why.number)
		       ? PAGECTL_OK
		       : usage(text, "a page frame number");
}

/* One word: a client's number, a cache's CLIENT:ID, else a client's name before a cache's. */
static int find_any(const struct pagectl *ctl, const char *text, struct subject *subject)
{
	char list[128];
	uint32_t number;

	if (isdigit((unsigned char)text[0]) && strchr(text, ':'))
		return find_cache(ctl, text, subject);
	if (parse_number(text, 10, SHM_MAX_CLIENTS, &number) ||
	    clients_named(ctl, text, &number, list, sizeof(list)))
		return find_client(ctl, text, subject);
	if (caches_named(ctl, text, &subject->why, list, sizeof(list)))
		return find_cache(ctl, text, subject);
	return not_one("client or cache", text, 0, "");
}

static int find_subject(const struct pagectl *ctl, struct subject *subject)
{
	const char *kind = ctl->operand[0], *text = ctl->operand[1];
	int r;

	if (ctl->n_operands == 1)
		r = find_any(ctl, kind, subject);
	else if (strcmp(kind, "client") == 0)
		r = find_client(ctl, text, subject);
	else if (strcmp(kind, "cache") == 0)
		r = find_cache(ctl, text, subject);
	else if (strcmp(kind, "pfn") == 0)
		r = find_pfn(text, subject);
	else
		r = usage(kind, "client, cache or pfn");
	if (r != PAGECTL_OK)
		return r;
	if (subject->why.kind == WHY_CACHE) {
		subject->client = (client_id)subject->why.client;
		(void)snprintf(subject->text, sizeof(subject->text), "cache %u:%u",
			       subject->why.client, subject->why.number);
	} else {
		bool is_client = subject->why.kind == WHY_CLIENT;

		subject->client = is_client ? (client_id)subject->why.number : CLIENT_NONE;
		(void)snprintf(subject->text, sizeof(subject->text), "%s %u",
			       is_client ? "client" : "pfn", subject->why.number);
	}
	return PAGECTL_OK;
}

/* --- the answer ------------------------------------------------------------------------------ */

struct answer {
	uint32_t n;
	char fact[FACTS_MAX][MESSAGE_TEXT_BYTES]; /* the last line of the daemon's is no fact */
	char advice[MESSAGE_TEXT_BYTES];
};

static void split(const char *text, struct answer *answer)
{
	const char *end;

	for (; (end = strchr(text, '\n')) && answer->n < FACTS_MAX - 1; text = end + 1)
		human_clean_into(answer->fact[answer->n++], MESSAGE_TEXT_BYTES, text,
				 (size_t)(end - text));
	human_clean_into(answer->advice, sizeof(answer->advice), text, strlen(text));
}

/* A process that is stopped answers nothing: that is why its caches are not shrunk. */
static void add_process(const struct pagectl *ctl, const struct subject *subject,
			struct answer *answer)
{
	uint32_t pid;
	char state;

	if (subject->client == CLIENT_NONE || subject->client > SHM_MAX_CLIENTS)
		return;
	pid = shm_view_client(&ctl->view, subject->client)->pid;
	if (!host_process_state(pid, &state) || (state != 'T' && state != 't' && state != 'Z'))
		return;
	if (state == 'Z')
		(void)snprintf(answer->fact[answer->n++], MESSAGE_TEXT_BYTES,
			       "process %u has ended, and its parent has not waited for it", pid);
	else
		(void)snprintf(answer->fact[answer->n++], MESSAGE_TEXT_BYTES,
			       "process %u is %s: no cache of it answers; what is purgeable or in "
			       "magazines can be taken all the same",
			       pid, state == 'T' ? "stopped" : "stopped by a debugger");
}

static int print_json(const struct subject *subject, const struct answer *answer)
{
	json_t *root = json_new(), *facts = json_array();

	json_put_string(root, "subject", subject->text);
	for (uint32_t i = 0; i < answer->n; i++)
		json_array_append_new(facts, json_string(answer->fact[i]));
	json_object_set_new(root, "facts", facts);
	json_put_string(root, "advice", answer->advice);
	return json_print(root);
}

int act_why(struct pagectl *ctl)
{
	struct subject subject = {.text = ""};
	struct message request = {.kind = MESSAGE_WHY};
	struct message_reply reply;
	struct answer answer = {.n = 0};
	int r = find_subject(ctl, &subject);

	if (r != PAGECTL_OK)
		return r;
	request.why = subject.why;
	r = act_call(ctl, &request, &reply);
	if (r != PAGECTL_OK)
		return r;
	if (reply.status < 0)
		return act_refused(ctl, &reply);
	split(reply.text, &answer);
	add_process(ctl, &subject, &answer);
	if (ctl->want_json)
		return print_json(&subject, &answer);
	for (uint32_t i = 0; i < answer.n; i++)
		printf("%s\n", answer.fact[i]);
	printf("What next: %s\n", answer.advice);
	return PAGECTL_OK;
}
