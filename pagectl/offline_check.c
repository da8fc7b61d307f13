/* pagectl/offline_check.c - `pagectl check --offline`: what the next daemon would find.
 *
 * The daemon's own core recovers the copies and recounts them (pool_attach(), pool_check()); so
 * what is said here is what a server that starts would do, and nothing is known about segments
 * twice. What recovery is about to settle (journal, saved tops, clients) is noted before it, the
 * blocks after it. */
#include "daemon/core/pool.h"
#include "pagectl/human.h"
#include "pagectl/offline.h"
#include "pagectl/verdict.h"

#include <stdio.h>
#include <string.h>

struct counts {
	uint64_t blocks;
	uint64_t frames;
};

struct report {
	/* as the daemon left it */
	uint64_t journal_items;
	uint64_t saved_tops;
	uint32_t attached, dying; /* clients */
	uint64_t edges;           /* references to shared blocks */
	/* recovered */
	bool recovered; /* else these are 0 */
	struct counts state[PAGE_NR_STATES];
	uint64_t holes;    /* free frames without memory */
	uint64_t in_doubt; /* frames that recovery made BAD */
	/* the verdict */
	bool ok;
	char text[SHM_TEXT_BYTES];
};

/* --- as it was left ------------------------------------------------------------------------- */

static uint64_t count_saved_tops(const struct shm_state_client *client)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SHM_MAX_THREADS * MAGAZINE_COUNT; i++)
		n += client->saved_top[i] != 0;
	return n;
}

/* STATE's header was found sound (pool_mismatch). */
static void read_state(const struct offline *offline, struct report *report)
{
	const struct shm_state_header *header = offline->state;
	const char *base = offline->state;
	const uint64_t *status = (const void *)(base + header->status_offset);
	const struct shm_journal *journal = (const void *)(base + header->journal_offset);
	const struct shm_edge *edges = (const void *)(base + header->edges_offset);
	const struct shm_state_client *clients = (const void *)(base + header->clients_offset);

	report->journal_items = journal->n;
	for (uint32_t i = 0; i < SHM_MAX_CLIENTS; i++) {
		if (status[i] == SHM_RECORD_FREE)
			continue;
		report->attached += status[i] == SHM_RECORD_ATTACHED;
		report->dying += status[i] != SHM_RECORD_ATTACHED;
		report->saved_tops += count_saved_tops(&clients[i]);
	}
	for (uint32_t i = 0; i < SHM_MAX_EDGES; i++)
		report->edges += edges[i].client != 0;
}

/* --- recovered ------------------------------------------------------------------------------ */

/* After recovery heads tile every zone. */
static void count_blocks(const struct offline *offline, struct report *report)
{
	const struct shm_meta_header *header = offline->meta;
	const char *base = offline->meta;
	const struct shm_zone *zones = (const void *)(base + header->zones_offset);
	const struct shm_page *map = (const void *)(base + header->map_offset);

	for (uint64_t pfn = 0; pfn < header->nr_frames;) {
		struct page_word word = page_word_unpack(map[pfn].word);

		report->state[word.state].blocks++;
		report->state[word.state].frames += UINT64_C(1) << word.order;
		pfn += UINT64_C(1) << word.order;
	}
	for (uint32_t z = 0; z < header->nr_zones; z++)
		report->holes += zones[z].nr_hole;
	report->recovered = true;
}

/* Says what no crash leaves behind, if the walk met any. */
static bool has_damage(const struct pool_damage *damage, struct report *report)
{
	const struct {
		const struct pool_damage_count *count;
		const char *what;
		const char *unit;
	} kinds[] = {
		{&damage->bad, "I4: the walk meets a word that is no head", "frames are in doubt"},
		{&damage->orphans, "I1: owned by a client that does not exist", "frames"},
		{&damage->types, "I2: a pageblock of no type", "pageblocks"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].count->n == 0)
			continue;
		(void)snprintf(report->text, sizeof(report->text), "%s, pfn %u; %llu %s",
			       kinds[i].what, kinds[i].count->pfn,
			       (unsigned long long)kinds[i].count->n, kinds[i].unit);
		return true;
	}
	return false;
}

static void recover(const struct offline *offline, struct pool *pool, struct report *report)
{
	static const struct pool_options options = {.nr_zones = 0};
	int r = pool_attach(pool, offline->meta, offline->meta_bytes, offline->state,
			    offline->state_bytes, &options, &report->in_doubt);

	if (r == 0)
		count_blocks(offline, report);
	if (has_damage(pool_damage(pool), report))
		return;
	if (r)
		(void)snprintf(report->text, sizeof(report->text),
			       "I7: the journal is damaged, items %llu",
			       (unsigned long long)report->journal_items);
	else
		report->ok = pool_check(pool, report->text, sizeof(report->text)) == 0;
}

/* --- printed -------------------------------------------------------------------------------- */

/* "journal     3 items to replay", or what there is if there is none. */
static void print_count(const char *name, uint64_t n, const char *unit, const char *none)
{
	if (n)
		printf("%-12s%llu %s\n", name, (unsigned long long)n, unit);
	else
		printf("%-12s%s\n", name, none);
}

static void print_report(const struct offline *offline, const struct report *report)
{
	const struct shm_meta_header *header = offline->meta;

	printf("instance    %s: %u frames of %s, last served by pid %u\n", offline->instance,
	       header->nr_frames, human_size(UINT64_C(1) << header->page_shift).s,
	       header->daemon_pid);
	print_count("journal", report->journal_items, "items to replay", "idle");
	print_count("saved tops", report->saved_tops, "to put back", "none");
	printf("clients     %u attached, %u dying\n", report->attached, report->dying);
	print_count("references", report->edges, "to shared blocks", "none");
	if (!report->recovered)
		return;
	printf("%-12s%12s%12s\n", "recovered", "blocks", "frames");
	for (uint32_t i = PAGE_FREE; i < PAGE_NR_STATES; i++)
		printf("  %-10s%12llu%12llu\n", page_state_name((enum page_state)i),
		       (unsigned long long)report->state[i].blocks,
		       (unsigned long long)report->state[i].frames);
	printf("  of free, %llu frames have no memory yet; of bad, %llu are new\n",
	       (unsigned long long)report->holes, (unsigned long long)report->in_doubt);
}

static json_t *states_json(const struct report *report)
{
	json_t *states = json_object();

	for (uint32_t i = PAGE_FREE; i < PAGE_NR_STATES; i++) {
		json_t *state = json_object();

		json_put_number(state, "blocks", report->state[i].blocks);
		json_put_number(state, "frames", report->state[i].frames);
		json_object_set_new(states, page_state_name((enum page_state)i), state);
	}
	return states;
}

static json_t *report_json(const struct offline *offline, const struct report *report)
{
	const struct shm_meta_header *header = offline->meta;
	json_t *root = json_new(), *clients = json_object();

	json_put_string(root, "instance", offline->instance);
	json_put_number(root, "frames", header->nr_frames);
	json_put_number(root, "page_size", UINT64_C(1) << header->page_shift);
	json_put_number(root, "pid", header->daemon_pid);
	json_put_number(root, "journal_items", report->journal_items);
	json_put_number(root, "saved_tops", report->saved_tops);
	json_put_number(clients, "attached", report->attached);
	json_put_number(clients, "dying", report->dying);
	json_object_set_new(root, "clients", clients);
	json_put_number(root, "references", report->edges);
	json_object_set_new(root, "recovered", json_boolean(report->recovered));
	json_object_set_new(root, "states", states_json(report));
	json_put_number(root, "holes", report->holes);
	json_put_number(root, "in_doubt", report->in_doubt);
	return root;
}

/* --- the command ---------------------------------------------------------------------------- */

static int check(const struct pagectl *ctl, const struct offline *offline)
{
	const char *why = pool_mismatch(offline->meta, offline->meta_bytes, offline->state,
					offline->state_bytes);
	struct report report = {.ok = false};
	struct pool *pool;

	if (why) {
		fprintf(stderr, "pagectl: instance %s: %s\n", offline->instance, why);
		return PAGECTL_FAILED;
	}
	pool = xrealloc(NULL, pool_bytes());
	memset(pool, 0, pool_bytes());
	read_state(offline, &report);
	recover(offline, pool, &report);
	free(pool);
	if (ctl->want_json)
		return verdict_print(report.ok, report.text, report_json(offline, &report));
	print_report(offline, &report);
	return verdict_print(report.ok, report.text, NULL);
}

int act_check_offline(const struct pagectl *ctl)
{
	char text[CONNECT_TEXT_BYTES];
	struct offline offline;
	int r = offline_open(&offline, ctl, text, sizeof(text));

	if (r != PAGECTL_OK) {
		fprintf(stderr, "pagectl: %s\n", text);
		return r;
	}
	r = check(ctl, &offline);
	offline_close(&offline);
	return r;
}
