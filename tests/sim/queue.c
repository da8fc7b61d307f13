/* tests/sim/queue.c - the events in their order, random numbers, the trace of the last events. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- random numbers -----------------------------------------------------------------------------
 */

/* splitmix64, by Steele, Lea and Flood: any seed is a good one. */
static uint64_t next_random(struct sim *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t sim_below(struct sim *s, uint32_t n)
{
	return (uint32_t)((next_random(s) >> 32) * n >> 32);
}

bool sim_chance(struct sim *s, uint32_t n)
{
	return sim_below(s, n) == 0;
}

uint64_t sim_delay(struct sim *s, uint64_t least_ns, uint64_t most_ns)
{
	uint64_t most = sim_chance(s, 8) ? most_ns : least_ns + (most_ns - least_ns) / 16;

	return least_ns + next_random(s) % (most - least_ns + 1);
}

uint64_t sim_any64(struct sim *s)
{
	static const uint64_t edges[] = {
		0, 1, UINT32_MAX, UINT64_MAX, MAGAZINE_INDEX_START, UINT64_C(1) << 56};

	return sim_chance(s, 2) ? edges[sim_below(s, sizeof edges / sizeof *edges)]
				: next_random(s);
}

uint64_t sim_stamp(struct sim *s)
{
	return ++s->next_stamp;
}

/* --- the heap -----------------------------------------------------------------------------------
 */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

struct sim_event *sim_at(struct sim *s, uint64_t at_ns, enum sim_event_kind kind, uint32_t who,
			 uint64_t stamp)
{
	struct sim_event event = {
		.at_ns = at_ns, .order = s->next_order++, .kind = kind, .who = who, .stamp = stamp};
	uint32_t i = s->n_events;

	PAGED_CHECK(s->n_events < SIM_EVENTS_MAX);
	s->n_events++;
	for (; i > 0 && is_before(&event, &s->event[(i - 1) / 2]); i = (i - 1) / 2)
		s->event[i] = s->event[(i - 1) / 2];
	s->event[i] = event;
	return &s->event[i];
}

struct sim_event *sim_after(struct sim *s, uint64_t delay_ns, enum sim_event_kind kind,
			    uint32_t who, uint64_t stamp)
{
	return sim_at(s, s->now_ns + delay_ns, kind, who, stamp);
}

void sim_postpone(struct sim *s, const struct sim_event *event, uint64_t at_ns)
{
	struct sim_event *again = sim_at(s, at_ns, event->kind, event->who, event->stamp);
	uint64_t order = again->order;

	*again = *event;
	again->at_ns = at_ns;
	again->order = order;
}

bool sim_next(struct sim *s, struct sim_event *ret_event)
{
	struct sim_event last;
	uint32_t i = 0;

	if (s->n_events == 0)
		return false;
	*ret_event = s->event[0];
	last = s->event[--s->n_events];
	for (uint32_t child = 1; child < s->n_events; child = 2 * i + 1) {
		if (child + 1 < s->n_events && is_before(&s->event[child + 1], &s->event[child]))
			child++;
		if (!is_before(&s->event[child], &last))
			break;
		s->event[i] = s->event[child];
		i = child;
	}
	s->event[i] = last;
	return true;
}

uint32_t sim_keep_message(struct sim *s, const struct message *message)
{
	uint32_t number;

	PAGED_CHECK(s->n_messages_free > 0);
	number = s->message_free[--s->n_messages_free];
	s->message[number] = *message;
	return number;
}

void sim_drop_message(struct sim *s, uint32_t number)
{
	s->message_free[s->n_messages_free++] = number;
}

/* --- what is told -------------------------------------------------------------------------------
 */

static void print_trace(const struct sim_trace *trace)
{
	(void)printf("  %12.6f ms  ", (double)trace->at_ns / (double)MS);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)printf(trace->what, (unsigned long)trace->a, (unsigned long)trace->b,
		     (unsigned long)trace->c);
#pragma GCC diagnostic pop
	(void)printf("\n");
}

void sim_trace(struct sim *s, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	struct sim_trace *trace = &s->trace[s->n_traces++ % SIM_TRACE_MAX];

	*trace = (struct sim_trace){s->now_ns, what, a, b, c};
	if (s->is_loud)
		print_trace(trace);
}

void sim_print_trace(const struct sim *s)
{
	uint64_t n = s->n_traces < SIM_TRACE_MAX ? s->n_traces : SIM_TRACE_MAX;

	for (uint64_t i = s->n_traces - n; i < s->n_traces; i++)
		print_trace(&s->trace[i % SIM_TRACE_MAX]);
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	(void)vsnprintf(s->why, sizeof s->why, format, args);
	va_end(args);
}

void sim_cover(struct sim *s, enum sim_fault fault)
{
	static const char *const texts[] = {
#define X(name) "-- " #name,
		SIM_FAULTS(X)
#undef X
	};

	s->coverage->faults[fault]++;
	sim_trace(s, texts[fault], 0, 0, 0);
}

const char *sim_fault_name(enum sim_fault fault)
{
	static const char *const names[] = {
#define X(name) #name,
		SIM_FAULTS(X)
#undef X
	};

	return names[fault];
}

const char *sim_event_name(enum sim_event_kind kind)
{
	static const char *const names[] = {
#define X(name) #name,
		SIM_EVENTS(X)
#undef X
	};

	return names[kind];
}

const char *sim_control_text(enum sim_control control)
{
	static const char *const texts[] = {
#define X(name, text) text,
		SIM_CONTROLS(X)
#undef X
	};

	return texts[control];
}
