/* tests/abi/layout.c - what programs have compiled in: sizes, offsets and numbers of the public
 * headers. A line here changes with a new symbol version only. It is compiled, never run. */
#include <pageclient/pageclient.h>

#define FROZEN(condition) _Static_assert(condition, "the ABI is frozen")

FROZEN(sizeof(struct pageclient_head_v1) == 16);
FROZEN(offsetof(struct pageclient_head_v1, high) == 8);
FROZEN(sizeof(struct pageclient_magazine_v1) == 32);
FROZEN(offsetof(struct pageclient_magazine_v1, head) == 8);
FROZEN(offsetof(struct pageclient_magazine_v1, slot) == 16);
FROZEN(offsetof(struct pageclient_magazine_v1, mask) == 24);
FROZEN(sizeof(struct pageclient_fast_v1) == 64);
FROZEN(offsetof(struct pageclient_fast_v1, bottom) == 8);
FROZEN(offsetof(struct pageclient_fast_v1, head) == 16);
FROZEN(offsetof(struct pageclient_fast_v1, slot) == 24);
FROZEN(offsetof(struct pageclient_fast_v1, mask) == 32);
FROZEN(offsetof(struct pageclient_fast_v1, data) == 40);
FROZEN(offsetof(struct pageclient_fast_v1, shift) == 48);
FROZEN(offsetof(struct pageclient_orders_v1, magazine) == 64);
FROZEN(sizeof(struct pageclient_orders_v1) == 384);

FROZEN(offsetof(struct pageclient_options, socket) == 8);
FROZEN(offsetof(struct pageclient_options, connect_timeout_ms) == 24);
FROZEN(offsetof(struct pageclient_options, max_frames) == 48);
FROZEN(offsetof(struct pageclient_options, arg) == 72);
FROZEN(offsetof(struct pageclient_scan, nr_to_scan) == 8);
FROZEN(offsetof(struct pageclient_scan, nr_freed) == 40);
FROZEN(offsetof(struct pageclient_cache_options, name) == 8);
FROZEN(offsetof(struct pageclient_cache_options, rebuild_ns) == 48);
FROZEN(offsetof(struct pageclient_status, client_id) == 12);
FROZEN(offsetof(struct pageclient_status, nr_owned) == 24);
FROZEN(offsetof(struct pageclient_status, nr_bad_free) == 96);

FROZEN(PAGECLIENT_PRIVATE == 3 && PAGECLIENT_FORKED == 4);
FROZEN(PAGECLIENT_LEVEL_CRITICAL == 3);
FROZEN(PAGECLIENT_FALLBACK_PRIVATE == 1 && PAGECLIENT_READ_ONLY == 2);
FROZEN(PAGECLIENT_ZERO == 1 && PAGECLIENT_MAY_SHRINK == 16);
