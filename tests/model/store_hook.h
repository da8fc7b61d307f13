/* tests/model/store_hook.h - shm/access.h with a crash point before every store.
 *
 * The core is compiled a second time with this header forced in front: it takes the guard of
 * shm/access.h, so the product's own file stays as it is. A crash is a longjmp out of the core
 * between two stores; what was stored before is there, what was not yet is not, which is what a
 * SIGKILL leaves behind on memory with release stores. */
#ifndef TESTS_MODEL_STORE_HOOK_H
#define TESTS_MODEL_STORE_HOOK_H
#define SHM_ACCESS_H /* so that its own text is skipped */
#include "tests/model/crash.h"

static inline uint64_t shm_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shm_store(uint64_t *word, uint64_t value)
{
	crash_point();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint32_t shm_load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shm_store32(uint32_t *word, uint32_t value)
{
	crash_point();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void shm_add(uint64_t *word, uint64_t n)
{
	crash_point();
	__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

#include "shm/purge.h"

/* The client may be first: between the look at an entry and the exchange. */
static inline bool purge_begin_watched(uint64_t *entry, uint64_t word)
{
	crash_purge_point(entry);
	return purge_begin(entry, word);
}
#define purge_begin purge_begin_watched

#endif
