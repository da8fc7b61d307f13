/* paged/check.h - what must be true.
 *
 * PAGED_CHECK(x) states what only a bug of ours can make false. It stays in release builds and ends
 * the process through paged_panic(), which a program supplies (the daemon dumps its state and
 * aborts; a test records it). Nothing that a client sends or writes may reach it: a client's error
 * is a reply. PAGED_DEBUG_CHECK(x) is for what costs more than a few loads; it is compiled out with
 * NDEBUG. */
#ifndef PAGED_CHECK_H
#define PAGED_CHECK_H

_Noreturn void paged_panic(const char *file, int line, const char *what);

#define PAGED_CHECK(x)                                                                             \
	do {                                                                                       \
		if (__builtin_expect(!(x), 0))                                                     \
			paged_panic(__FILE__, __LINE__, #x);                                       \
	} while (0)

#ifdef NDEBUG
#define PAGED_DEBUG_CHECK(x) ((void)0)
#else
#define PAGED_DEBUG_CHECK(x) PAGED_CHECK(x)
#endif

#endif
