/* daemon/core/victim_list.h - the best n of many that are offered one by one, and then in order.
 *
 * A choice takes all it is offered until it holds twice its number, then keeps about the best half:
 * by counting, digit by digit of the keys, so that no order of offers is a bad one. What is below
 * the floor that this leaves is not taken any more. Each offer costs O(1) on average. Of many it
 * looks at a part to find the floor: who knows it beforehand from a sample is spared most offers
 * and cuts. */
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

/* The least number that may have such a score, rounded down. */
static inline uint64_t victim_score_least(uint32_t score)
{
	uint32_t exponent = score >> SCORE_MANTISSA;
	uint64_t digits = (score & ((1u << SCORE_MANTISSA) - 1)) | 1u << SCORE_MANTISSA;

	if (score == 0)
		return 0;
	return exponent >= SCORE_MANTISSA ? digits << (exponent - SCORE_MANTISSA)
					  : digits >> (SCORE_MANTISSA - exponent);
}

/* One for eight slots: neighbours go together. */
static inline uint32_t victim_hash(uint32_t slot, uint32_t client)
{
	uint32_t hash = (slot >> 3 ^ client << 20) * UINT32_C(2654435761);

	return hash ^ hash >> 15;
}

/* Scores first; among equals the slots' hash, so that it is not always the first who pay. */
static inline uint64_t victim_key(uint32_t score, uint32_t slot, uint32_t client)
{
	return (uint64_t)score << 32 | victim_hash(slot, client);
}

/* Empty, for the best n; n is bounded by its room. */
void victim_choice_begin(struct victim_choice *choice, uint64_t n);
/* The victim's key reaches the floor. true: the choice was cut, so its floor is another. */
bool victim_choice_add(struct victim_choice *choice, struct victim victim);
/* One of a sample, in an empty choice; there is room for 2 * n_room of them. */
void victim_choice_sample(struct victim_choice *choice, struct victim victim);
/* The choice is empty again, and its floor one that some n_keep of the sample reached. */
void victim_choice_estimate(struct victim_choice *choice, uint32_t n_keep);
/* All is offered. The victims go to the list, best first and among equals in the order of the
 * offers; of many victims the order is a coarse one. In slices: false: call it again. *work falls
 * by what was done. */
bool victim_choice_finish(struct victim_choice *choice, struct victim_list *list, int64_t *work);

#endif
