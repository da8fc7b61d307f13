/* tests/integration/clock.h - deadlines of waits. A test waits for an event, or looks again and
 * again for a condition that no event tells of; both end at a deadline, which turns a bug into a
 * failure instead of a hang. */
#ifndef TESTS_INTEGRATION_CLOCK_H
#define TESTS_INTEGRATION_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/* How long anything that has to happen may take. Lower: a machine that has its processors for a
 * fifth of the time fails; higher: a hang costs more. */
#define CLOCK_PATIENCE_MS 60000u

uint64_t clock_now_ms(void);
uint64_t clock_until(uint32_t ms);
/* Milliseconds that are left, for poll(). */
int clock_left_ms(uint64_t until_ms);

/* One look's distance, 1 ms; false when the deadline has passed:
 *	for (uint64_t until = clock_until(MS); !condition() && clock_pause(until);)
 *		; */
bool clock_pause(uint64_t until_ms);

#endif
