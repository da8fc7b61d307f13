/* examples/zipf.h - requests as real ones come: few blocks are asked for often, most of them hardly
 * ever.
 *
 * The block of rank k (0 is the most popular) is asked for in proportion to 1 / (k + 1)^skew. Which
 * block has which rank is scattered by the seed, so that two seeds have other favourites. */
#ifndef EXAMPLES_ZIPF_H
#define EXAMPLES_ZIPF_H
#include <stdint.h>

struct zipf;

/* nr > 0. skew 0: all alike; 1 is about that of web pages. NULL: no memory. */
struct zipf *zipf_new(uint32_t nr, double skew, uint64_t seed);
void zipf_free(struct zipf *zipf);

/* The next block, below nr. The same seed gives the same row. O(log nr). */
uint32_t zipf_next(struct zipf *zipf);

#endif
