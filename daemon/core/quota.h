/* daemon/core/quota.h - how much of a shared table one holder may take.
 *
 * A fixed limit per holder is too low for one who is alone, or too high for many. The dynamic
 * threshold (A. K. Choudhury, E. L. Hahne, "Dynamic queue length thresholds for shared-memory
 * packet switches", IEEE/ACM Transactions on Networking 6(2), 1998) needs neither a list of holders
 * nor a share for each: a holder may take one more entry as long as it has less than alpha times
 * what is free. With alpha 1 one holder gets half, two get a third each, and the more there are the
 * less each gets. Nothing is taken back: who came first keeps what it has, so that later ones find
 * less than an equal share, but always something.
 *
 * Entries come whole, and with a large alpha the second holder alone could take the last of them.
 * So `spare` of them are for those who have none.
 *
 *   table             holder   alpha  spare  one alone gets
 *   edges             client   1      1024   32256 of 65536     share.c
 *   rows of caches    user     1      32     496 of 1024        shrinker.c
 *   clients           user     64     4      1005 of 1024       handshake.c
 *   connections       user     64     16     1993 of 2048       handshake.c
 *   purge tables      user     1      1/16   a table for each frame, four times over   purge.c
 *
 * Pure; the caller counts. */
#ifndef DAEMON_CORE_QUOTA_H
#define DAEMON_CORE_QUOTA_H
#include <stdbool.h>
#include <stdint.h>

struct quota_rule {
	uint32_t capacity; /* entries of the table */
	uint32_t alpha; /* lower: one alone leaves more unused; higher: it leaves less to others */
	uint32_t spare; /* lower: fewer late comers get their first; higher: less for the rest */
};

/* May a holder of `mine` entries take one more, where all holders together have `used`? */
bool quota_admits(const struct quota_rule *rule, uint32_t used, uint32_t mine);

/* The most that it may have, if it takes them one by one; what it has, if that is more. O(1). */
uint32_t quota_most(const struct quota_rule *rule, uint32_t used, uint32_t mine);

#endif
