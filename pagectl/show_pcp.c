/* pagectl/show_pcp.c - every magazine of every client thread.
 *
 * Heads of threads that have no magazines may have no memory behind them, so nothing past a
 * client's nr_threads is touched: a read would allocate it. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/pagectl.h"
#include "pagectl/table.h"

struct magazine {
	const struct shm_client *client;
	uint32_t thread;
	uint32_t magazine;
	uint64_t count;
	struct shm_head head;
};

static struct human magazine_name(uint32_t magazine)
{
	struct human human;

	if (magazine <= MAGAZINE_COLD)
		snprintf(human.s, sizeof(human.s), "%s", magazine == MAGAZINE_HOT ? "hot" : "cold");
	else
		snprintf(human.s, sizeof(human.s), "order-%u", magazine_order(magazine));
	return human;
}

/* What lay between the ends when the daemon last looked. During a steal top is beyond bottom. */
static uint64_t head_count(const struct shm_head *head)
{
	int64_t count = (int64_t)(head->bottom_seen - head->top);

	return count < 0 ? 0 : (uint64_t)count;
}

static void print_row(struct table *table, const struct magazine *m)
{
	table_cell(table, "%u", m->client->id);
	table_cell(table, "%s", human_clean(m->client->name, sizeof(m->client->name)).s);
	table_cell(table, "%u", m->thread);
	table_cell(table, "%s", magazine_name(m->magazine).s);
	table_cell(table, "%llu", (unsigned long long)m->count);
	table_cell(table, "%llu", (unsigned long long)m->head.high);
	table_cell(table, "%u", m->head.high_base);
	table_cell(table, "%u", m->head.batch);
	table_cell(table, "%u", m->head.scale);
	table_cell(table, "%s", human_count(m->head.capacity).s);
	table_cell(table, "%s", human_count(m->head.nr_granted).s);
	table_cell(table, "%s", human_count(m->head.nr_stolen).s);
}

static json_t *magazine_json(const struct magazine *m)
{
	json_t *object = json_object();

	json_put_number(object, "client", m->client->id);
	json_put_number(object, "pid", m->client->pid);
	json_put_text(object, "name", m->client->name, sizeof(m->client->name));
	json_put_number(object, "thread", m->thread);
	json_put_string(object, "magazine", magazine_name(m->magazine).s);
	json_put_number(object, "order", magazine_order(m->magazine));
	json_put_number(object, "count", m->count);
	json_put_number(object, "high", m->head.high);
	json_put_number(object, "high_base", m->head.high_base);
	json_put_number(object, "batch", m->head.batch);
	json_put_number(object, "scale", m->head.scale);
	json_put_number(object, "capacity", m->head.capacity);
	json_put_number(object, "granted", m->head.nr_granted);
	json_put_number(object, "stolen", m->head.nr_stolen);
	return object;
}

/* Every magazine of one client, to table or, if that is NULL, to array. */
static void show_client(const struct pagectl *ctl, const struct shm_client *client,
			struct table *table, json_t *array)
{
	for (uint32_t thread = 0; thread < client->nr_threads && thread < SHM_MAX_THREADS; thread++)
		for (uint32_t i = 0; i < MAGAZINE_COUNT; i++) {
			struct magazine m = {.client = client, .thread = thread, .magazine = i};

			m.head = *shm_view_head(&ctl->view, client->id, thread, i);
			m.count = head_count(&m.head);
			if (!m.head.capacity)
				continue;
			if (!table)
				json_array_append_new(array, magazine_json(&m));
			else if (ctl->want_all || m.head.nr_granted)
				print_row(table, &m);
		}
}

int show_pcp(struct pagectl *ctl)
{
	static const struct table_column columns[] = {
		{.title = "CLIENT"},  {.title = "NAME", .left = true, .shrinks = true},
		{.title = "THREAD"},  {.title = "MAGAZINE", .left = true},
		{.title = "COUNT"},   {.title = "HIGH"},
		{.title = "BASE"},    {.title = "BATCH"},
		{.title = "SCALE"},   {.title = "SLOTS"},
		{.title = "GRANTED"}, {.title = "STOLEN"},
	};
	json_t *root = json_new(), *array = json_array();
	struct table table;
	uint32_t n;
	struct shm_client *clients = clients_copy(&ctl->view, &n);

	json_object_set_new(root, "magazines", array);
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (uint32_t i = 0; i < n; i++)
		show_client(ctl, &clients[i], ctl->want_json ? NULL : &table, array);
	free(clients);
	if (ctl->want_json) {
		table_done(&table);
		return json_print(root);
	}
	table_print(&table, table_terminal_width(), stdout);
	table_done(&table);
	json_decref(root);
	return PAGECTL_OK;
}
