/* daemon/core/victim_list.c - see victim_list.h. */
#include "daemon/core/victim_list.h"

#include "paged/check.h"

#define DIGIT_BITS 8u
#define DIGITS (1u << DIGIT_BITS)

static uint64_t key_of(const struct victim *victim)
{
	return victim_key(victim->score, victim->slot, victim->client);
}

void victim_list_begin(struct victim_list *list, uint64_t n)
{
	list->n_max = (uint32_t)bits_min(n, list->n_room);
	list->n = list->next = list->taken = 0;
	list->floor = 0;
	list->cut = false;
}

/* The highest bit in which keys differ, 0 if none do. */
static uint32_t first_difference(const struct victim_list *list)
{
	uint64_t ones = 0, zeros = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		ones |= key_of(&list->at[i]);
		zeros |= ~key_of(&list->at[i]);
	}
	return ones & zeros ? bits_log2(ones & zeros) : 0;
}

/* A floor that at most n_max keys reach, and at least three quarters of that many, unless more have
 * the same key. Counts the keys by one digit, keeps the digits that fit whole, and looks at the
 * next digit of those that fit in part. */
static uint64_t find_floor(const struct victim_list *list)
{
	uint32_t shift = first_difference(list) / DIGIT_BITS * DIGIT_BITS, above = 0;
	uint64_t prefix = key_of(&list->at[0]) >> shift >> DIGIT_BITS;

	for (;; shift -= DIGIT_BITS) {
		uint32_t count[DIGITS] = {0}, digit = DIGITS;

		for (uint32_t i = 0; i < list->n; i++) {
			uint64_t key = key_of(&list->at[i]) >> shift;

			if (key >> DIGIT_BITS == prefix)
				count[key & (DIGITS - 1)]++;
		}
		while (digit > 0 && above + count[digit - 1] <= list->n_max)
			above += count[--digit];
		if (digit == 0 || above >= list->n_max / 4 * 3 || shift == 0)
			return ((prefix << DIGIT_BITS) + digit) << shift;
		prefix = prefix << DIGIT_BITS | (digit - 1);
	}
}

/* Keeps what reaches the floor, in the order it came. */
static void cut(struct victim_list *list)
{
	uint32_t kept = 0;

	list->floor = find_floor(list);
	for (uint32_t i = 0; i < list->n && kept < list->n_max; i++)
		if (key_of(&list->at[i]) >= list->floor)
			list->at[kept++] = list->at[i];
	list->cut = true;
	list->n = kept;
}

bool victim_list_add(struct victim_list *list, struct victim victim)
{
	list->at[list->n++] = victim;
	if (list->n < 2 * list->n_max)
		return false;
	cut(list);
	return true;
}

void victim_list_sort(struct victim_list *list)
{
	struct victim *from = list->at, *to = list->at + list->n_room;

	if (list->n > list->n_max)
		cut(list);
	PAGED_CHECK(list->n <= list->n_room);
	/* Least digit first, four stable counting sorts: highest scores to the front. */
	for (uint32_t shift = 0; shift < 32; shift += DIGIT_BITS) {
		uint32_t start[DIGITS + 1] = {0};
		struct victim *swap = from;

		for (uint32_t i = 0; i < list->n; i++)
			start[DIGITS - 1 - (from[i].score >> shift & (DIGITS - 1)) + 1]++;
		for (uint32_t d = 0; d < DIGITS; d++)
			start[d + 1] += start[d];
		for (uint32_t i = 0; i < list->n; i++)
			to[start[DIGITS - 1 - (from[i].score >> shift & (DIGITS - 1))]++] = from[i];
		from = to;
		to = swap;
	}
}
