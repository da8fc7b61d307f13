/* tests/fuzz/fuzz_adopt.c - a server that takes over a segment whose META and STATE hold anything.
 *
 * The start is a segment as a server leaves it that was killed in the middle of its work: magazines
 * with frames, a shared block with two edges, a client that is half swept, a claim that was not
 * settled, a purge that is under way, a journal that is committed and not applied, a cache, memory
 * behind half of it. The
 * input damages it: values stored into fields of its tables, copied from one row to another, or
 * into bytes anywhere. Then comes what a server does: segments_match() over the files, the pool,
 * the session, its clients; and a script (script.h) of what these clients do next.
 *
 * A segment is refused with a text, or it is taken over: then the audit holds at once but for the
 * heads of magazines, which are found by the first tick, and after that for good. */
#include "daemon/host/segments.h"
#include "shm/purge.h"
#include "shm/view.h"
#include "tests/fuzz/script.h"
#include "tests/fuzz/world.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_FRAMES 4096u
#define CLIENTS 4u
#define DAMAGES_MAX 16u
#define RECOVERIES_MAX 3u /* as in segments.c */

/* Rows that an input can name: those in use and some behind them. */
#define ROWS_CLIENTS 6u
#define ROWS_EDGES 16u

enum where {
	WHERE_META_HEADER,
	WHERE_ZONE,
	WHERE_COUNTER,
	WHERE_CLIENT,
	WHERE_CACHE,
	WHERE_PAGEBLOCK,
	WHERE_HEAD,
	WHERE_WORD,
	WHERE_STATE_HEADER,
	WHERE_STATUS,
	WHERE_JOURNAL,
	WHERE_ITEM,
	WHERE_EDGE,
	WHERE_RECORD,
	WHERE_LANE,
	WHERE_SAVED_TOP,
	WHERE_META,
	WHERE_STATE,
	NR_WHERES
};

struct adoption {
	struct shell *shell;
	struct segments segments;
	client_id client[CLIENTS];
};

/* What was there before. */
struct damage {
	int fd;
	off_t at;
	uint32_t width;
	uint64_t value;
};

struct damages {
	uint32_t n;
	struct damage item[DAMAGES_MAX];
};

/* --- the segment --------------------------------------------------------------------------------
 */

/* A purge table with a frame that is pinned, one that is not, two whose purge is under way, before
 * and after the frame was freed, and one that is purged. */
static void keep_purgeable(struct fixture_pool *f, client_id client)
{
	static const uint8_t pins[] = {1, 0, PURGE_PURGING, PURGE_PURGING, PURGE_PURGED};
	uint32_t n = sizeof pins, nr_slots;

	CU_ASSERT_EQUAL_FATAL(pool_purge_table(f->pool, client, 2 * n, &nr_slots), 0);
	for (uint32_t i = 0; i < n; i++) {
		pfn_t pfn = fixture_pool_alloc(f, client, i % 2);
		uint64_t word = purge_pack((struct purge_entry){.pfn = pfn, .pins = pins[i]});

		memcpy(f->ctl[client] + shm_ctl_table_offset(FIXTURE_THREADS) + 8 * (uint64_t)i,
		       &word, sizeof word);
		if (i > 2)
			CU_ASSERT_EQUAL_FATAL(fixture_pool_free(f, client, pfn, i % 2), 0);
	}
}

/* Magazines, blocks, a cache, and a block that the second shares with the first. */
static void live(struct shell *shell, const struct shell_client *client)
{
	struct fixture_pool *f = &shell->pool;
	uint64_t handle;
	pfn_t pfn;

	for (uint32_t i = 0; i < CLIENTS; i++) {
		(void)shell_refill(shell, client[i], MAGAZINE_HOT, 0);
		(void)shell_refill(shell, client[i], MAGAZINE_ORDER_1 + i, 0);
		(void)fixture_pool_alloc(f, client[i].id, 0);
		(void)fixture_pool_alloc(f, client[i].id, i);
		pfn = fixture_pool_pop(f, client[i].id, 0, MAGAZINE_HOT);
		(void)fixture_pool_pop(f, client[i].id, 0, MAGAZINE_HOT);
		fixture_pool_push(f, client[i].id, 0, MAGAZINE_HOT, pfn);
	}
	(void)shell_register(shell, client[0], 1);
	keep_purgeable(f, client[0].id);
	pfn = fixture_pool_alloc(f, client[1].id, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pool_share(f, client[1].id, pfn, CLIENT_NONE, &handle), 0);
	CU_ASSERT_EQUAL_FATAL(fixture_pool_import(f, client[0].id, handle, &handle), 0);
}

/* The server is killed: in a sweep, in a steal and in a Free at once. */
static void leave(struct fixture_pool *f, const struct shell_client *client)
{
	struct pool *pool = f->pool;
	pfn_t pfn = fixture_pool_alloc(f, client[1].id, 0);

	pool_client_kill(pool, client[2].id);
	(void)pool_client_sweep(pool, client[2].id, 3);
	CU_ASSERT_EQUAL_FATAL(pool_claim(pool, client[3].id, 0, MAGAZINE_HOT, 4), 0);
	journal_word(pool, pfn, page_free_word(pool->buddy.map, pfn, 0));
	journal_lane(pool, client[1].id, 0, f->seq[client[1].id] + 1, 0);
	shm_store(&pool->journal->n, pool->n_journal);
}

/* Nothing of the old server is left but what it wrote into META and STATE. Its shell is too large
 * for a stack. */
static void forget(struct shell *shell)
{
	struct fixture_pool pool = shell->pool;
	struct session *session = shell->session;
	struct session_limits limits = shell->limits;
	const char *commit_text = shell->commit_text;
	uint64_t now_ns = shell->now_ns, next_id = shell->next_id;

	memset(session, 0, session_bytes());
	memset(pool.pool, 0, pool_bytes());
	memset(shell, 0, sizeof *shell);
	shell->pool = pool;
	shell->session = session;
	shell->limits = limits;
	shell->commits = COMMITS_AT_ONCE;
	shell->commit_text = commit_text;
	shell->now_ns = now_ns;
	shell->next_id = next_id;
}

static int file_of_data(uint64_t bytes)
{
	int fd = memfd_create("data", MFD_CLOEXEC);

	PAGED_CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && pwrite(fd, "x", 1, 0) == 1);
	return fd;
}

static void start(struct adoption *adoption)
{
	struct shell *shell = shell_open_empty(NR_FRAMES, COMMITS_AT_ONCE);
	struct segments *segments = &adoption->segments;
	struct shell_client client[CLIENTS];

	for (uint32_t i = 0; i < CLIENTS; i++) {
		client[i] = shell_attach(shell, "fuzz", 0);
		adoption->client[i] = client[i].id;
	}
	live(shell, client);
	leave(&shell->pool, client);
	forget(shell);
	adoption->shell = shell;
	segments->options = (struct segments_options){
		.instance = "", .page_shift = 12, .pool = shell->pool.options};
	segments_plan(segments);
	world_keep();
	segments->meta_fd = world_file(shell->pool.meta);
	segments->state_fd = world_file(shell->pool.state);
	segments->data_fd = file_of_data(segments->data_bytes);
}

/* --- the damage ---------------------------------------------------------------------------------
 */

/* Where row `row` of a table lies, and how long it is; of META if *ret_in_meta. */
static void find_row(const struct segments *segments, enum where where, uint32_t row,
		     bool *ret_in_meta, uint64_t *ret_at, uint32_t *ret_bytes)
{
	const struct shm_meta_header *m = &segments->plan;
	const struct shm_state_header *s = &segments->state_plan;
	uint64_t client = row % ROWS_CLIENTS, in_client = row / ROWS_CLIENTS;
	uint64_t record = s->clients_offset + client * sizeof(struct shm_state_client);
	const struct {
		uint64_t at;
		uint32_t bytes, rows;
	} table[NR_WHERES] = {
		[WHERE_META_HEADER] = {0, sizeof *m, 1},
		[WHERE_ZONE] = {m->zones_offset, sizeof(struct shm_zone), 1},
		[WHERE_COUNTER] = {m->counters_offset, 8, m->nr_counters},
		[WHERE_CLIENT] = {m->clients_offset, sizeof(struct shm_client), ROWS_CLIENTS},
		[WHERE_CACHE] = {m->caches_offset, sizeof(struct shm_cache), 3},
		[WHERE_PAGEBLOCK] = {m->pageblocks_offset, 1, NR_FRAMES >> PAGEBLOCK_ORDER},
		[WHERE_HEAD] = {m->heads_offset + client * SHM_CLIENT_HEADS_BYTES +
					shm_head_offset(0, (uint32_t)in_client % MAGAZINE_COUNT),
				sizeof(struct shm_head), 1},
		[WHERE_WORD] = {m->map_offset, sizeof(struct shm_page), NR_FRAMES},
		[WHERE_STATE_HEADER] = {0, sizeof *s, 1},
		[WHERE_STATUS] = {s->status_offset, 8, ROWS_CLIENTS},
		[WHERE_JOURNAL] = {s->journal_offset, 16, 1},
		[WHERE_ITEM] = {s->journal_offset + 16, sizeof(struct shm_journal_item), 8},
		[WHERE_EDGE] = {s->edges_offset, sizeof(struct shm_edge), ROWS_EDGES},
		[WHERE_RECORD] = {record, sizeof(struct shm_record), 1},
		[WHERE_LANE] = {record + offsetof(struct shm_state_client, lanes),
				sizeof(struct shm_lane) * SHM_MAX_LANES, 1},
		[WHERE_SAVED_TOP] = {record + offsetof(struct shm_state_client, saved_top),
				     8 * FIXTURE_THREADS * MAGAZINE_COUNT, 1},
		[WHERE_META] = {0, (uint32_t)m->meta_bytes, 1},
		[WHERE_STATE] = {0, (uint32_t)s->state_bytes, 1},
	};

	*ret_in_meta = where < WHERE_STATE_HEADER || where == WHERE_META;
	*ret_bytes = table[where].bytes;
	*ret_at = table[where].at + row % table[where].rows * (uint64_t)table[where].bytes;
}

enum how { HOW_STORE, HOW_ADD, HOW_COPY, HOW_FLIP, NR_HOWS };

/* One value of 1, 2, 4 or 8 bytes in one row; with HOW_COPY that of another row. */
static void damage(struct adoption *adoption, struct damages *damages, struct fuzz_input *input)
{
	enum where where = (enum where)(fuzz_byte(input) % NR_WHERES);
	uint32_t row = (uint32_t)fuzz_number(input, 2), how = fuzz_byte(input), bytes;
	uint32_t width = 1u << (how & 3u);
	uint64_t field = fuzz_number(input, where >= WHERE_META ? 4 : 2), at, from;
	uint64_t operand = fuzz_number(input, width), value = 0;
	struct damage *item = &damages->item[damages->n++];
	bool in_meta;

	find_row(&adoption->segments, where, row, &in_meta, &at, &bytes);
	item->fd = in_meta ? adoption->segments.meta_fd : adoption->segments.state_fd;
	field = width < bytes ? field % (bytes - width + 1) : 0;
	field -= width <= bytes ? field % width : 0;
	item->at = (off_t)(at + field);
	item->width = width;
	PAGED_CHECK(pread(item->fd, &value, width, item->at) == width);
	item->value = value;
	switch ((enum how)(how / 4 % NR_HOWS)) {
	case HOW_STORE:
		value = operand;
		break;
	case HOW_ADD:
		value += width == 1 ? (uint64_t)(int8_t)operand : operand;
		break;
	case HOW_COPY:
		find_row(&adoption->segments, where, (uint32_t)operand, &in_meta, &from, &bytes);
		PAGED_CHECK(pread(item->fd, &value, width, (off_t)(from + field)) == width);
		break;
	case HOW_FLIP:
	case NR_HOWS:
		value ^= UINT64_C(1) << operand % 64;
		break;
	}
	PAGED_CHECK(pwrite(item->fd, &value, width, item->at) == width);
}

/* The files are as they were. */
static void repair(struct damages *damages)
{
	while (damages->n > 0) {
		const struct damage *item = &damages->item[--damages->n];

		PAGED_CHECK(pwrite(item->fd, &item->value, item->width, item->at) == item->width);
	}
}

/* --- the next server ----------------------------------------------------------------------------
 */

static void check_text(const char *text)
{
	CU_ASSERT_FATAL(text[0] != '\0');
}

/* What the library and pagectl do with META. */
static void look(const struct adoption *adoption)
{
	const struct fixture_pool *f = &adoption->shell->pool;
	char text[SHM_TEXT_BYTES];
	struct shm_view view;

	if (shm_view_check(&view, f->meta, f->meta_bytes, text, sizeof text)) {
		check_text(text);
		return;
	}
	CU_ASSERT_PTR_EQUAL_FATAL(view.header, f->meta);
	for (uint32_t i = 0; i < COUNTER_COUNT; i++)
		(void)shm_view_counter(&view, (enum counter)i);
	(void)shm_view_word(&view, view.header->nr_frames - 1);
	(void)shm_view_head(&view, SHM_MAX_CLIENTS, SHM_MAX_THREADS - 1, MAGAZINE_COUNT - 1);
}

/* As segments_attach() and the server's birth do. false: it was refused. */
static bool take_over(struct adoption *adoption)
{
	struct fixture_pool *f = &adoption->shell->pool;
	struct segments segments = adoption->segments;
	char text[SHM_TEXT_BYTES] = "";
	int r;

	segments.meta = f->meta;
	segments.state = f->state;
	if (segments_match(&segments, text, sizeof text)) {
		check_text(text);
		return false;
	}
	if (segments.state->recoveries >= RECOVERIES_MAX)
		return false;
	CU_ASSERT_EQUAL_FATAL(segments_take_over(&segments, text, sizeof text), 0);
	r = pool_attach(f->pool, f->meta, f->meta_bytes, f->state, f->state_bytes, &f->options,
			&f->nr_bad);
	if (r)
		check_text(pool_condition_text((enum pool_condition)r));
	return r == 0;
}

static void drop_ctl(struct fixture_pool *f, client_id id)
{
	fixture_memory_free(f->ctl[id]);
	f->ctl[id] = NULL;
}

/* A CTL is that of its client if its record says so, as server_take_ctl() looks; how: bit 0 whether
 * CTLs were inherited, bits 1 to 4 whose process lives. */
static void adopt_client(struct adoption *adoption, client_id id, uint8_t how)
{
	struct shell *shell = adoption->shell;
	const struct shm_record *record = pool_client_record(shell->pool.pool, id);
	struct session_event event = {.kind = EVENT_ADOPTED, .client = id};

	if (!pool_client_is_attached(shell->pool.pool, id)) {
		drop_ctl(&shell->pool, id);
		return;
	}
	if (record->ctl_dev != 0 || record->ctl_ino != id || record->max_threads != FIXTURE_THREADS)
		drop_ctl(&shell->pool, id);
	if (id > CLIENTS || !(how >> id & 1))
		event.status = -ESRCH;
	else if (how & 1)
		event.ctl = shell->pool.ctl[id];
	shell_event(shell, &event);
}

static void be_born(struct adoption *adoption, uint8_t how)
{
	struct shell *shell = adoption->shell;
	char text[SHM_TEXT_BYTES];
	int r;

	session_init(shell->session, shell->pool.pool, &shell->limits, 2);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		adopt_client(adoption, id, how);
	shell_event(shell, &(struct session_event){.kind = EVENT_TICK});
	r = pool_check(shell->pool.pool, text, sizeof text);
	(void)CU_assertImplementation(r == 0 || r == POOL_HOSTILE, __LINE__, text, __FILE__, "",
				      CU_TRUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct adoption adoption;
	struct fuzz_input input = {data, data + bytes};
	struct damages damages = {0};
	struct script script;
	uint8_t n = fuzz_byte(&input) % (DAMAGES_MAX + 1), how = fuzz_byte(&input);

	if (adoption.shell)
		world_reset();
	else
		start(&adoption);
	while (damages.n < n && input.at < input.end)
		damage(&adoption, &damages, &input);
	look(&adoption);
	if (take_over(&adoption)) {
		be_born(&adoption, how);
		script_init(&script, adoption.shell);
		memcpy(script.was, adoption.client, sizeof adoption.client);
		script_run(&script, &input);
	}
	repair(&damages);
	return 0;
}
