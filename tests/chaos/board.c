/* tests/chaos/board.c - see board.h. */
#include "tests/chaos/board.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct board *board_new(void)
{
	void *board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		abort(); /* a machine on which nothing can run */
	return board;
}

void board_free(struct board *board)
{
	(void)munmap(board, sizeof(*board));
}

void board_add(uint64_t *counter, uint64_t n)
{
	(void)__atomic_add_fetch(counter, n, __ATOMIC_RELAXED); /* only a sum */
}

uint64_t board_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED); /* only a sum */
}

static void complain(struct board *board, const char *format, va_list words)
{
	char text[512];

	/* relaxed; only a number */
	if (__atomic_fetch_add(&board->nr_complaints, 1, __ATOMIC_RELAXED) >= CHAOS_COMPLAINTS)
		return;
	(void)vsnprintf(text, sizeof(text), format, words);
	(void)fprintf(stderr, "chaos: at %.3f s: %s\n",
		      (double)(chaos_now_ns() - board->begun_ns) / 1e9, text);
}

void board_complain(struct board *board, const char *format, ...)
{
	va_list words;

	board_add(&board->errors, 1);
	va_start(words, format);
	complain(board, format, words);
	va_end(words);
}

void board_spoiled(struct board *board, const char *format, ...)
{
	va_list words;

	board_add(&board->pattern_errors, 1);
	va_start(words, format);
	complain(board, format, words);
	va_end(words);
}

/* --- phases --------------------------------------------------------------------------------- */

enum chaos_phase board_phase(const struct board *board)
{
	/* acquire; pairs with the release in board_set_phase() */
	return (enum chaos_phase)__atomic_load_n(&board->phase, __ATOMIC_ACQUIRE);
}

void board_set_phase(struct board *board, enum chaos_phase phase)
{
	if (phase == CHAOS_REST) /* relaxed; the store of the phase follows */
		(void)__atomic_add_fetch(&board->round, 1, __ATOMIC_RELAXED);
	/* release; pairs with the acquire in board_phase() */
	__atomic_store_n(&board->phase, (uint32_t)phase, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, &board->phase, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void board_wait(const struct board *board, enum chaos_phase phase, uint32_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)syscall(SYS_futex, &board->phase, FUTEX_WAIT, (uint32_t)phase, &time, NULL, 0);
}

/* --- times ---------------------------------------------------------------------------------- */

void board_sample(struct board *board, enum restart kind, uint64_t ns)
{
	/* relaxed; read when all is over */
	uint32_t at = __atomic_fetch_add(&board->nr_samples[kind], 1, __ATOMIC_RELAXED);
	uint64_t us = ns / 1000;

	if (at < CHAOS_SAMPLES)
		board->sample_us[kind][at] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

uint64_t chaos_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- names and numbers ---------------------------------------------------------------------- */

const char *doing_name(uint32_t doing)
{
	static const char *const names[] = {
#define X(name, text) [DOING_##name] = text,
		CHAOS_DOINGS(X)
#undef X
	};

	return doing < DOING_COUNT ? names[doing] : "?";
}

uint64_t chaos_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

uint64_t chaos_seed(uint64_t seed, uint64_t who, uint64_t incarnation)
{
	uint64_t x = seed + who * UINT64_C(0x9E3779B97F4A7C15) +
		     incarnation * UINT64_C(0xD1B54A32D192ED03);

	/* splitmix64, Steele 2014 */
	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return (x ^ x >> 31) | 1;
}

uint32_t chaos_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((chaos_random(state) >> 32) * n >> 32);
}
