/* tests/sim/trade.c - frames that several processes have: share, transfer, import, put.
 *
 * A handle travels from process to process as a note. A share leaves its references with those who
 * have them, and a note of it may come too late. A transfer's note carries the reference: from the
 * request on it is the receiver's, who has to be able to import. Who gives a reference away that
 * others may be about to get twice makes a race of its own, so only frames change hands that
 * nobody else was told of. */
#include "tests/sim/sim.h"

#include <errno.h>

#define NOTE_MOST (20 * MS)

static struct sim_thread *begin(struct sim *s, uint32_t client, uint32_t thread,
				enum message_kind kind)
{
	struct sim_thread *x = &s->client[client].thread[thread];

	x->request.kind = kind;
	sim_trace(s, "process %lu, thread %lu: request of kind %lu", client, thread, kind);
	return x;
}

static bool is_small(const struct sim_block *block)
{
	return owner_is_own(block) && block->order <= 4;
}

/* --- giving -------------------------------------------------------------------------------------
 */

/* Another honest process that is attached, or SIM_NONE. */
static uint32_t pick_other(struct sim *s, uint32_t client)
{
	uint32_t other = sim_below(s, SIM_CLIENTS);
	const struct sim_client *x = &s->client[other];

	return other == client || x->is_liar || x->state != LIFE_ATTACHED ? SIM_NONE : other;
}

static void send_share(struct sim *s, uint32_t client, uint32_t thread, uint32_t i, uint32_t to)
{
	struct sim_thread *x = begin(s, client, thread, MESSAGE_SHARE);

	x->block = owner_unhold(s, client, i);
	x->to = to;
	x->request.share = (struct message_share){.pfn = x->block.pfn};
	if (x->block.refs == 0)
		owner_shares(s, client, &x->block, 1);
	if (to != SIM_NONE) {
		x->to_life = s->client[to].life;
		x->request.share.to_client = s->client[to].id;
		s->client[to].n_notes_due++;
	}
	thread_send_once(s, client, thread);
}

bool trade_share(struct sim *s, uint32_t client, uint32_t thread)
{
	uint32_t i = owner_pick(s, client, is_small);

	if (i == SIM_NONE)
		return false;
	send_share(s, client, thread, i, SIM_NONE);
	return true;
}

/* Shared, and only the process has the handle. */
static bool is_unknown(const struct sim_block *block)
{
	return block->refs == 1 && !block->is_known;
}

bool trade_transfer(struct sim *s, uint32_t client, uint32_t thread)
{
	uint32_t i = owner_pick(s, client, sim_chance(s, 3) ? is_unknown : is_small);
	uint32_t to = pick_other(s, client);

	if (i == SIM_NONE || to == SIM_NONE ||
	    s->client[to].n_notes + s->client[to].n_notes_due >= SIM_NOTES_MAX)
		return false;
	send_share(s, client, thread, i, to);
	return true;
}

static void send_note(struct sim *s, uint32_t to, struct sim_note note)
{
	sim_after(s, sim_delay(s, US, NOTE_MOST), SIM_NOTE, to, s->client[to].life)->note = note;
}

static void transferred(struct sim *s, uint32_t client, struct sim_thread *thread,
			const struct sim_note *note, int status)
{
	struct sim_client *to = &s->client[thread->to];
	bool is_there = to->life == thread->to_life;

	if (status == 0 && is_there) {
		sim_cover(s, FAULT_TRANSFERRED);
		send_note(s, thread->to, *note);
		return;
	}
	to->n_notes_due -= is_there;
	if (status == 0) { /* with it went the reference */
		s->has_orphans = true;
		return;
	}
	if (status != -ENOMEM && status != -EDQUOT && !(status == -ESRCH && !is_there))
		sim_fail(s, "a transfer of process %u is refused: %d", client, status);
	if (!is_there)
		owner_regains(s, client, &thread->block);
	else if (thread->block.refs == 0)
		owner_unshares(s, client, &thread->block);
	PAGED_CHECK(owner_hold(s, client, thread->block));
}

void trade_shared(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_thread *x = &s->client[client].thread[thread];
	struct sim_note note = {.handle = reply->result,
				.from = client,
				.from_life = s->client[client].life,
				.is_transfer = x->to != SIM_NONE};

	if (note.is_transfer) {
		transferred(s, client, x, &note, reply->status);
		return;
	}
	if (reply->status) {
		sim_fail(s, "a share of process %u is refused: %d", client, reply->status);
		return;
	}
	x->block.refs = 1;
	x->block.is_known = true;
	x->block.gen = (uint32_t)reply->result;
	PAGED_CHECK(owner_hold(s, client, x->block));
	for (uint32_t n = 1 + sim_below(s, 3); n; n--) {
		uint32_t to = pick_other(s, client);

		if (to != SIM_NONE)
			send_note(s, to, note);
	}
}

/* --- taking -------------------------------------------------------------------------------------
 */

void trade_noted(struct sim *s, const struct sim_event *event)
{
	struct sim_client *x = &s->client[event->who];

	if (x->life != event->stamp) /* it died meanwhile, and its reference with it */
		return;
	x->n_notes_due -= event->note.is_transfer;
	/* A share that finds no room is forgotten; for a transfer room is kept. */
	if (event->note.is_transfer || x->n_notes + x->n_notes_due < SIM_NOTES_MAX)
		x->notes[x->n_notes++] = event->note;
	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++)
		if (x->thread[t].state == THREAD_ENDED) {
			x->thread[t].state = THREAD_IDLE;
			thread_wake(s, event->who, t, MS);
		}
}

bool trade_is_importing(const struct sim *s, uint32_t client, pfn_t pfn)
{
	const struct sim_client *x = &s->client[client];

	for (uint32_t t = 0; t < SIM_THREADS_MAX; t++)
		if (x->thread[t].state == THREAD_WAITS &&
		    x->thread[t].request.kind == MESSAGE_IMPORT &&
		    x->thread[t].note.handle >> 32 == pfn)
			return true;
	return false;
}

bool trade_import(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	struct sim_thread *t;

	if (x->n_notes == 0 || x->n_held + SIM_HELD_ROOM > SIM_HELD_MAX)
		return false;
	/* The library refuses what it has in a slot. */
	if (!x->notes[x->n_notes - 1].is_transfer &&
	    purgeable_has(s, client, (pfn_t)(x->notes[x->n_notes - 1].handle >> 32))) {
		x->n_notes--;
		return false;
	}
	t = begin(s, client, thread, MESSAGE_IMPORT);
	t->note = x->notes[--x->n_notes];
	t->request.import = (struct message_import){.handle = t->note.handle};
	thread_send_once(s, client, thread);
	return true;
}

/* Has the one who sent the handle had the frame all the time? */
static bool is_held_by_sender(const struct sim *s, const struct sim_note *note)
{
	const struct sim_client *from = &s->client[note->from];

	for (uint32_t i = 0; from->life == note->from_life && i < from->n_held; i++)
		if (from->held[i].refs && from->held[i].pfn == note->handle >> 32 &&
		    from->held[i].gen == (uint32_t)note->handle)
			return true;
	return false;
}

static void not_imported(struct sim *s, uint32_t client, const struct sim_note *note, int status)
{
	bool may_be_gone = !note->is_transfer && !is_held_by_sender(s, note);

	if (status == -ESTALE && may_be_gone)
		sim_cover(s, FAULT_HANDLE_STALE);
	else if (status != -ENOMEM || note->is_transfer)
		sim_fail(s, "an import of process %u is refused: %d", client, status);
}

void trade_imported(struct sim *s, uint32_t client, uint32_t thread, const struct sim_reply *reply)
{
	struct sim_client *x = &s->client[client];
	const struct sim_note *note = &x->thread[thread].note;
	struct sim_block block = {.pfn = (pfn_t)(note->handle >> 32),
				  .order = (order_t)reply->result,
				  .gen = (uint32_t)note->handle,
				  .refs = 1,
				  .is_known = !note->is_transfer};

	if (reply->status) {
		not_imported(s, client, note, reply->status);
		return;
	}
	for (uint32_t i = 0; i < x->n_held; i++)
		if (x->held[i].refs && x->held[i].pfn == block.pfn) {
			x->held[i].refs++; /* one reference of the daemon's */
			if (note->is_transfer)
				owner_puts(s, &block);
			return;
		}
	if (!note->is_transfer)
		owner_imports(s, &block);
	PAGED_CHECK(owner_hold(s, client, block));
}

bool trade_put(struct sim *s, uint32_t client, uint32_t thread)
{
	struct sim_client *x = &s->client[client];
	uint32_t i = owner_pick(s, client, owner_is_shared);
	struct sim_block block;

	if (i == SIM_NONE)
		return false;
	if (x->held[i].refs > 1) {
		x->held[i].refs--;
		return true;
	}
	/* An import of the same frame that is under way has this reference in mind, too. */
	if (trade_is_importing(s, client, x->held[i].pfn))
		return false;
	block = owner_unhold(s, client, i);
	owner_puts(s, &block);
	begin(s, client, thread, MESSAGE_PUT)->request.put = (struct message_put){.pfn = block.pfn};
	thread_send_once(s, client, thread);
	return true;
}
