/* pagectl/show_clients.c - who is attached and what they hold. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/table.h"

#include <time.h>

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {
		[SHM_CLIENT_FREE] = "free",
		[SHM_CLIENT_ATTACHED] = "attached",
		[SHM_CLIENT_AWAY] = "away",
		[SHM_CLIENT_DYING] = "dying",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

struct shm_client *clients_copy(const struct shm_view *view, uint32_t *ret_n)
{
	struct shm_client *clients = xrealloc(NULL, SHM_MAX_CLIENTS * sizeof(*clients));
	uint32_t n = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++) {
		clients[n] = *shm_view_client(view, id);
		clients[n].id = id;
		if (clients[n].state != SHM_CLIENT_FREE)
			n++;
	}
	*ret_n = n;
	return clients;
}

static int by_owned(const void *left, const void *right)
{
	const struct shm_client *a = left, *b = right;

	if (a->nr_owned != b->nr_owned)
		return a->nr_owned < b->nr_owned ? 1 : -1;
	return a->id < b->id ? -1 : 1;
}

static uint64_t age_seconds(const struct shm_client *client)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = now.tv_sec - (int64_t)(client->attached_ns / 1000000000);
	return age < 0 ? 0 : (uint64_t)age;
}

static bool had_trouble(const struct shm_client *client)
{
	return client->nr_bad_free || client->nr_hostile || client->nr_stall || client->nr_oom ||
	       client->nr_reclaimed;
}

static void print_trouble(const struct shm_client *clients, uint32_t n)
{
	static const struct table_column columns[] = {
		{.title = "ID"},        {.title = "NAME", .left = true, .shrinks = true},
		{.title = "BAD FREES"}, {.title = "HOSTILE"},
		{.title = "STALLS"},    {.title = "OOM"},
		{.title = "RECLAIMED"},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_client *c = &clients[i];

		if (!had_trouble(c))
			continue;
		table_cell(&table, "%u", c->id);
		table_cell(&table, "%s", human_clean(c->name, sizeof(c->name)).s);
		table_cell(&table, "%llu", (unsigned long long)c->nr_bad_free);
		table_cell(&table, "%llu", (unsigned long long)c->nr_hostile);
		table_cell(&table, "%llu", (unsigned long long)c->nr_stall);
		table_cell(&table, "%llu", (unsigned long long)c->nr_oom);
		table_cell(&table, "%llu", (unsigned long long)c->nr_reclaimed);
	}
	if (table.n_cells) {
		putchar('\n');
		table_print(&table, table_terminal_width(), stdout);
	}
	table_done(&table);
}

static bool has_limits(const struct shm_client *client)
{
	return client->min || client->low || client->weight || client->limits_from[0];
}

/* The limits of those that have some, and what set them. */
static void print_limits(const struct shm_client *clients, uint32_t n, uint32_t page_shift)
{
	static const struct table_column columns[] = {
		{.title = "ID"},   {.title = "NAME", .left = true, .shrinks = true},
		{.title = "MIN"},  {.title = "LOW"},
		{.title = "HIGH"}, {.title = "MAX"},
		{.title = "WT"},   {.title = "LIMITS FROM", .left = true, .shrinks = true},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_client *c = &clients[i];

		if (!has_limits(c))
			continue;
		table_cell(&table, "%u", c->id);
		table_cell(&table, "%s", human_clean(c->name, sizeof(c->name)).s);
		table_cell(&table, "%s", human_size_short(c->min << page_shift).s);
		table_cell(&table, "%s", human_size_short(c->low << page_shift).s);
		table_cell(&table, "%s", human_size_short(c->high << page_shift).s);
		table_cell(&table, "%s", human_size_short(c->max << page_shift).s);
		table_cell(&table, "%u", c->weight);
		table_cell(&table, "%s", human_clean(c->limits_from, sizeof(c->limits_from)).s);
	}
	if (table.n_cells) {
		putchar('\n');
		table_print(&table, table_terminal_width(), stdout);
	}
	table_done(&table);
}

static void print_clients(const struct shm_client *clients, uint32_t n, uint32_t page_shift)
{
	static const struct table_column columns[] = {
		{.title = "ID"},
		{.title = "PID"},
		{.title = "UID"},
		{.title = "NAME", .left = true, .shrinks = true},
		{.title = "STATE", .left = true},
		{.title = "THR"},
		{.title = "OWNED"},
		{.title = "MAG"},
		{.title = "SHARED"},
		{.title = "MAX"},
		{.title = "AGE"},
	};
	struct table table;

	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_client *c = &clients[i];
		bool has_max = c->max && c->max < UINT32_MAX;

		table_cell(&table, "%u", c->id);
		table_cell(&table, "%u", c->pid);
		table_cell(&table, "%u", c->uid);
		table_cell(&table, "%s", human_clean(c->name, sizeof(c->name)).s);
		table_cell(&table, "%s", state_name(c->state));
		table_cell(&table, "%u", c->nr_threads);
		table_cell(&table, "%s", human_size_short(c->nr_owned << page_shift).s);
		table_cell(&table, "%s", human_size_short(c->nr_magazine << page_shift).s);
		table_cell(&table, "%s", human_size_short(c->nr_shared << page_shift).s);
		table_cell(&table, "%s", has_max ? human_size_short(c->max << page_shift).s : "-");
		table_cell(&table, "%s", human_age(age_seconds(c)).s);
	}
	table_print(&table, table_terminal_width(), stdout);
	table_done(&table);
	print_limits(clients, n, page_shift);
	print_trouble(clients, n);
}

static json_t *client_json(const struct shm_client *client)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"threads", client->nr_threads},
		{"max_threads", client->max_threads},
		{"owned", client->nr_owned},
		{"magazine", client->nr_magazine},
		{"shared", client->nr_shared},
		{"min", client->min},
		{"low", client->low},
		{"high", client->high},
		{"max", client->max},
		{"weight", client->weight},
		{"nr_bad_free", client->nr_bad_free},
		{"hostile", client->nr_hostile},
		{"stalls", client->nr_stall},
		{"oom", client->nr_oom},
		{"reclaimed", client->nr_reclaimed},
		{"caches", client->nr_caches},
		{"level", client->level},
		{"attached_ns", client->attached_ns},
		{"age_s", age_seconds(client)},
	};
	json_t *object = json_object();

	json_put_number(object, "id", client->id);
	json_put_number(object, "pid", client->pid);
	json_put_number(object, "uid", client->uid);
	json_put_number(object, "gid", client->gid);
	json_put_text(object, "name", client->name, sizeof(client->name));
	json_put_string(object, "state", state_name(client->state));
	json_put_text(object, "limits_from", client->limits_from, sizeof(client->limits_from));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_put_number(object, numbers[i].key, numbers[i].value);
	return object;
}

/* Those that have been attached for so long. */
static uint32_t keep_older(struct shm_client *clients, uint32_t n, uint64_t seconds)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (age_seconds(&clients[i]) >= seconds)
			clients[kept++] = clients[i];
	return kept;
}

int show_clients(struct pagectl *ctl)
{
	uint32_t n;
	struct shm_client *clients = clients_copy(&ctl->view, &n);
	int r = PAGECTL_OK;

	n = keep_older(clients, n, ctl->older_s);
	qsort(clients, n, sizeof(*clients), by_owned);
	if (ctl->want_json) {
		json_t *root = json_new(), *array = json_array();

		json_put_number(root, "page_size", UINT64_C(1) << ctl->view.header->page_shift);
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(array, client_json(&clients[i]));
		json_object_set_new(root, "clients", array);
		r = json_print(root);
	} else {
		print_clients(clients, n, ctl->view.header->page_shift);
	}
	free(clients);
	return r;
}
