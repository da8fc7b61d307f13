/* daemon/session/why_frame.c - a frame: whose it is, where it lies, and what goes before it. */
#include "daemon/session/why.h"

#include "paged/bits.h"

#include <string.h>

/* --- a frame -------------------------------------------------------------------------------------
 */

/* "shared by 9 clients: 3 (redis) 4 (web) ..." */
static void say_sharers(struct why_answer *answer, const struct inspect_frame *frame)
{
	uint32_t n = (uint32_t)bits_min(frame->n_sharers, INSPECT_SHARERS), at = 0;
	char names[INSPECT_SHARERS * (SHM_NAME_BYTES + 8)] = "";

	for (uint32_t i = 0; i < n; i++) {
		text_print(names + at, (uint32_t)sizeof names - at, " %u (%s)", frame->sharer[i],
			   why_client_of(answer, frame->sharer[i])->name);
		at = (uint32_t)strlen(names);
	}
	why_fact(answer, "shared by %u clients:%s%s; it is free when the last has put it",
		 frame->n_sharers, names, frame->n_sharers > n ? " ..." : "");
}

static void say_free(struct why_answer *answer, const struct inspect_search *search)
{
	const struct inspect_frame *frame = &search->frame;

	if (frame->isolated)
		why_fact(answer, "free; its memory is being committed or given back");
	else
		why_fact(answer, frame->type == MIGRATE_HOLE
					 ? "free, a hole: it has no memory behind it"
					 : "free");
	if (search->found)
		why_fact(answer, "it was purged from %s, %u generations ago",
			 why_who(answer, search->entry.client).s, search->entry.age);
	why_advise(answer, "nothing: the next who asks may have it");
}

static void say_held(struct why_answer *answer, pfn_t pfn, const struct inspect_search *search)
{
	const struct inspect_frame *frame = &search->frame;

	why_fact(answer, "pfn %u: block of %l frames at %u, zone %s, %s", pfn,
		 UINT64_C(1) << frame->order, frame->head, frame->zone,
		 migratetype_name(frame->type));
	switch (frame->state) {
	case PAGE_FREE:
		say_free(answer, search);
		break;
	case PAGE_OWNED:
		why_fact(answer,
			 "owned by %s, which attached %s ago; grant number %u of this frame",
			 why_who(answer, frame->owner).s,
			 why_since(answer, why_client_of(answer, frame->owner)->attached_ns).s,
			 frame->gen);
		break;
	case PAGE_SHARED:
		say_sharers(answer, frame);
		break;
	case PAGE_RESERVED:
		why_fact(answer, "not in use: it waits for the segment to be made larger");
		why_advise(answer, "to have it in use: pagectl resize SIZE");
		break;
	case PAGE_BAD:
		why_fact(answer, "bad: recovery could not tell whose it is, and keeps it from all");
		why_advise(answer,
			   "see the log of the recovery; a fresh segment has all its frames");
		break;
	case PAGE_TAIL:
	case PAGE_NR_STATES:
		why_fact(answer, "of no state that there is: the map is damaged");
		why_advise(answer, "run pagectl check");
		break;
	}
}

/* true: that is why it was not reclaimed. */
static bool say_magazine(struct why_answer *answer, const struct inspect_frame *frame)
{
	uint32_t thread = 0, magazine = 0;

	switch (inspect_magazines(answer->session->pool, frame, &thread, &magazine)) {
	case INSPECT_FOUND:
		why_fact(answer,
			 "it lies in a magazine (%s, thread %u): free for its owner's next use",
			 magazine == MAGAZINE_HOT    ? "hot"
			 : magazine == MAGAZINE_COLD ? "cold"
						     : "of its order",
			 thread);
		why_advise(answer, "to take it back: pagectl drain --client %u", frame->owner);
		return true;
	case INSPECT_UNKNOWN:
		why_fact(answer, "whether it lies in a magazine is not known now");
		return false;
	case INSPECT_ABSENT:
		break;
	}
	return false;
}

static void say_entry(struct why_answer *answer, const struct inspect_search *search)
{
	const struct inspect_entry *entry = &search->entry;

	if (entry->pins) {
		why_fact(answer, "in slot %u of the purge table of client %u: pinned %u times",
			 entry->slot, entry->client, entry->pins);
		why_advise(answer, "it can be purged once its owner unpins it");
		return;
	}
	why_fact(answer, "in slot %u of the purge table of client %u, unpinned %u generations ago",
		 entry->slot, entry->client, entry->age);
	if (pool_client_tier(answer->session->pool, entry->client) == POOL_TIER_PROTECTED)
		return;
	if (search->n_before)
		why_fact(answer,
			 "not old enough: %l frames are older or cheaper (this: %s) and go first",
			 search->n_before, why_duration(entry->cost_ns).s);
	else
		why_fact(answer, "none is older or cheaper (this: %s): it is among the first",
			 why_duration(entry->cost_ns).s);
}

void why_say_frame(struct why_answer *answer, pfn_t pfn, const struct inspect_search *search)
{
	const struct inspect_frame *frame = &search->frame;
	bool is_entry = search->found && !search->entry.is_purged;

	say_held(answer, pfn, search);
	if (frame->state != PAGE_OWNED && frame->state != PAGE_SHARED)
		return;
	if (frame->state == PAGE_OWNED &&
	    !pool_client_is_attached(answer->session->pool, frame->owner)) {
		why_fact(answer, "its owner has ended: what it had is being taken back");
		why_advise(answer, "wait: that ends by itself");
		return;
	}
	if (frame->state == PAGE_OWNED && say_magazine(answer, frame))
		return;
	if (is_entry) {
		say_entry(answer, search);
	} else if (frame->state == PAGE_OWNED && why_client_of(answer, frame->owner)->nr_caches) {
		why_fact(answer,
			 "not purgeable; if it is part of a cache of its owner's, it comes back "
			 "when that is asked");
		why_advise(answer, "see pagectl why client %u, and its caches", frame->owner);
	} else {
		why_fact(answer, "not purgeable, and in no cache: only who holds it can free it");
	}
	why_say_demand(answer);
	if (is_entry)
		why_say_tier(answer, search->entry.client);
	if (frame->state == PAGE_SHARED && !is_entry)
		why_advise(answer, "see why each of them keeps it: pagectl why client %u",
			   frame->sharer[0]);
	else if (is_entry)
		why_advise(answer,
			   "to have such frames back now: pagectl reclaim --client %u --frames N",
			   search->entry.client);
	else
		why_advise(answer, "let its owner free it: see pagectl why client %u",
			   frame->owner);
}
