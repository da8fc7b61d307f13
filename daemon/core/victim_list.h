/* daemon/core/victim_list.h - the best n of many that are offered one by one, and then in order.
 *
 * A list takes all it is offered until it holds twice its number, then keeps about the best half:
 * by counting, digit by digit of the keys, so that no order of offers is a bad one. What is below
 * the floor that this leaves is not taken any more. Each offer costs O(1) on average. */
#ifndef DAEMON_CORE_VICTIM_LIST_H
#define DAEMON_CORE_VICTIM_LIST_H
#include "daemon/core/victim.h"
#include "paged/bits.h"

#define SCORE_MANTISSA 26u

/* x, not 0, as a number of 32 bits that grows with it: exponent and leading digits. */
static inline uint32_t victim_score(uint64_t x)
{
	uint32_t exponent = bits_log2(x);
	uint64_t digits = x << (63 - exponent) >> (63 - SCORE_MANTISSA);

	return exponent << SCORE_MANTISSA | ((uint32_t)digits & ((1u << SCORE_MANTISSA) - 1));
}

/* The least number whose score such a key may have. */
static inline uint64_t victim_score_least(uint64_t key)
{
	uint32_t score = (uint32_t)(key >> 32), exponent = score >> SCORE_MANTISSA;
	uint64_t digits = (score & ((1u << SCORE_MANTISSA) - 1)) | 1u << SCORE_MANTISSA;

	if (key == 0)
		return 0;
	return exponent >= SCORE_MANTISSA ? digits << (exponent - SCORE_MANTISSA)
					  : digits >> (SCORE_MANTISSA - exponent);
}

/* Scores first; among equals the slots' hash, so that it is not always the first who pay. */
static inline uint64_t victim_key(uint32_t score, uint32_t slot, uint32_t client)
{
	uint32_t hash = (slot ^ client << 20) * UINT32_C(2654435761);

	return (uint64_t)score << 32 | (hash ^ hash >> 15);
}

/* Empty, for the best n; n is bounded by its room. */
void victim_list_begin(struct victim_list *list, uint64_t n);
/* The victim's key reaches the floor. true: the list was cut, so its floor is another. */
bool victim_list_add(struct victim_list *list, struct victim victim);
/* The best n_max at most, best first; among equals in the order of the offers. */
void victim_list_sort(struct victim_list *list);

#endif
