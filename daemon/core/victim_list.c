/* daemon/core/victim_list.c - see victim_list.h. */
#include "daemon/core/victim_list.h"

#include "paged/check.h"

#include <string.h>

#define DIGIT_BITS 8u
#define DIGITS VICTIM_DIGITS
static_assert(DIGITS == 1u << DIGIT_BITS, "a count for each digit");

/* Victims that a floor is found from. Lower: the floor is off by more than a few percent; higher: a
 * cut takes longer than 0.2 ms. */
#define FLOOR_SAMPLE 2048u
/* Victims that are sorted in one go, exactly. Higher: a step between two requests takes longer than
 * 15 us. Lower: the list of a small cache is no exact LRU. */
#define SORT_MAX 512u
/* Victims that are cut to what the list should hold before they are sorted. Higher: a slice of more
 * than 0.1 ms. Lower: of equals those who were offered first pay more. */
#define CUT_MAX 4096u
#define SORT_CHUNK 512u /* of more than that, between two looks at what is left of a slice */
/* For a victim, in entries that a pass looks at. */
#define SORT_WORK 16
#define CUT_WORK 8

static uint64_t key_of(const struct victim *victim)
{
	return victim_key(victim->score, victim->slot, victim->client);
}

static void clear(struct victim_choice *choice)
{
	choice->n = choice->n_counted = choice->n_moved = 0;
	choice->ones = choice->zeros = 0;
}

void victim_choice_begin(struct victim_choice *choice, uint64_t n)
{
	clear(choice);
	choice->n_max = (uint32_t)bits_min(n, choice->n_room);
	choice->floor = 0;
	choice->cut = false;
}

static void put(struct victim_choice *choice, uint32_t at, const struct victim *victim)
{
	uint64_t key = key_of(victim);

	choice->at[at] = *victim;
	choice->ones |= key;
	choice->zeros |= ~key;
}

/* A floor that at most n_keep keys reach, and at least three quarters of that many, unless more
 * have the same key. Counts the keys by one digit, keeps the digits that fit whole, and looks at
 * the next digit of those that fit in part. */
static uint64_t find_floor(const struct victim_choice *choice, uint32_t n_keep)
{
	uint64_t differ = choice->ones & choice->zeros;
	uint32_t shift = (differ ? bits_log2(differ) : 0) / DIGIT_BITS * DIGIT_BITS, above = 0;
	uint64_t prefix = key_of(&choice->at[0]) >> shift >> DIGIT_BITS;
	uint32_t step = 1 + choice->n / FLOOR_SAMPLE;

	n_keep = (uint32_t)bits_max(n_keep / step, 1);
	for (;; shift -= DIGIT_BITS) {
		uint32_t count[DIGITS] = {0}, digit = DIGITS;

		for (uint32_t i = 0; i < choice->n; i += step) {
			uint64_t key = key_of(&choice->at[i]) >> shift;

			if (key >> DIGIT_BITS == prefix)
				count[key & (DIGITS - 1)]++;
		}
		while (digit > 0 && above + count[digit - 1] <= n_keep)
			above += count[--digit];
		if (digit == 0 || above >= n_keep / 4 * 3 || shift == 0)
			return ((prefix << DIGIT_BITS) + digit) << shift;
		prefix = prefix << DIGIT_BITS | (digit - 1);
	}
}

/* Keeps what reaches the floor, in the order it came. */
static void cut(struct victim_choice *choice)
{
	uint32_t n = choice->n, kept = 0;

	choice->floor = find_floor(choice, choice->n_max);
	clear(choice);
	for (uint32_t i = 0; i < n && kept < choice->n_max; i++)
		if (key_of(&choice->at[i]) >= choice->floor)
			put(choice, kept++, &choice->at[i]);
	choice->n = kept;
	choice->cut = true;
}

bool victim_choice_add(struct victim_choice *choice, struct victim victim)
{
	put(choice, choice->n++, &victim);
	if (choice->n < 2 * choice->n_max)
		return false;
	cut(choice);
	return true;
}

void victim_choice_sample(struct victim_choice *choice, struct victim victim)
{
	if (choice->n < 2 * choice->n_room)
		put(choice, choice->n++, &victim);
}

void victim_choice_estimate(struct victim_choice *choice, uint32_t n_keep)
{
	choice->cut = choice->n > n_keep;
	choice->floor = choice->cut ? find_floor(choice, n_keep) : 0;
	clear(choice);
}

/* --- order ---------------------------------------------------------------------------------------
 */

static uint32_t digit_of(const struct victim *victim, uint32_t shift)
{
	return DIGITS - 1 - (victim->score >> shift & (DIGITS - 1));
}

static void add_up(uint32_t start[DIGITS + 1])
{
	for (uint32_t d = 0; d < DIGITS; d++)
		start[d + 1] += start[d];
}

/* Least digit first, stable counting sorts: highest scores to the front. */
static void sort_exactly(struct victim_choice *choice, struct victim *list)
{
	uint32_t differ = (uint32_t)((choice->ones & choice->zeros) >> 32), n = choice->n;
	struct victim *from = choice->at, *to = choice->at + SORT_MAX;

	for (uint32_t shift = 0; shift < 32; shift += DIGIT_BITS) {
		uint32_t start[DIGITS + 1] = {0};
		struct victim *swap = from;

		if ((differ >> shift & (DIGITS - 1)) == 0)
			continue;
		for (uint32_t i = 0; i < n; i++)
			start[digit_of(&from[i], shift) + 1]++;
		add_up(start);
		for (uint32_t i = 0; i < n; i++)
			to[start[digit_of(&from[i], shift)]++] = from[i];
		from = to;
		to = swap;
	}
	memcpy(list, from, n * sizeof *list);
}

/* By the first digit in which scores differ. */
static void sort_coarsely(struct victim_choice *choice, struct victim *list, uint32_t n)
{
	uint32_t differ = (uint32_t)((choice->ones & choice->zeros) >> 32);
	uint32_t bit = differ ? bits_log2(differ) : 0;
	uint32_t shift = bit < DIGIT_BITS ? 0 : bit - (DIGIT_BITS - 1), to;

	if (choice->n_counted == 0)
		memset(choice->start, 0, sizeof choice->start);
	if (choice->n_counted < choice->n) {
		to = (uint32_t)bits_min((uint64_t)choice->n_counted + n, choice->n);
		for (uint32_t i = choice->n_counted; i < to; i++)
			choice->start[digit_of(&choice->at[i], shift) + 1]++;
		choice->n_counted = to;
		if (to == choice->n)
			add_up(choice->start);
		return;
	}
	to = (uint32_t)bits_min((uint64_t)choice->n_moved + n, choice->n);
	for (uint32_t i = choice->n_moved; i < to; i++)
		list[choice->start[digit_of(&choice->at[i], shift)]++] = choice->at[i];
	choice->n_moved = to;
}

bool victim_choice_finish(struct victim_choice *choice, struct victim_list *list, int64_t *work)
{
	if (choice->n > choice->n_max && choice->n <= CUT_MAX) {
		*work -= (int64_t)choice->n * CUT_WORK;
		cut(choice);
		if (*work <= 0)
			return false;
	}
	PAGED_CHECK(choice->n <= 2 * choice->n_room && SORT_MAX <= choice->n_room);
	if (choice->n <= SORT_MAX) {
		sort_exactly(choice, list->at);
		*work -= (int64_t)choice->n * SORT_WORK;
	} else {
		while (choice->n_moved<choice->n && * work> 0) {
			sort_coarsely(choice, list->at, SORT_CHUNK);
			*work -= (int64_t)SORT_CHUNK * SORT_WORK / 2;
		}
		if (choice->n_moved < choice->n)
			return false;
	}
	list->n = choice->n;
	list->next = list->taken = 0;
	list->cut = choice->cut;
	return true;
}
