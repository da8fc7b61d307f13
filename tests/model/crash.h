/* tests/model/crash.h - the server dies before the n-th store from now.
 *
 *   crash_arm(7);
 *   if (crash_run(fn, arg))      six stores were made, the seventh was not
 *           attach the segment again
 */
#ifndef TESTS_MODEL_CRASH_H
#define TESTS_MODEL_CRASH_H
#include <stdbool.h>
#include <stdint.h>

/* 0 disarms. */
void crash_arm(uint64_t n_stores);
/* Calls fn(arg); true if it died on the way. Disarmed afterwards. */
bool crash_run(void (*fn)(void *arg), void *arg);
/* Called before every store of the core. */
void crash_point(void);

/* fn is called before each compare-exchange that begins a purge; NULL: nobody is. */
void crash_watch_purges(void (*fn)(void *arg, uint64_t *entry), void *arg);
void crash_purge_point(uint64_t *entry);

#endif
