/* shm/access.h - the one way to load and store a word that another process may read, or that a
 * crash may leave behind.
 *
 * Every store is a release store: on x86-64 and arm64 all stores of one thread then reach the
 * others, and memory that outlives it, in program order, which is what the journal and the walk
 * over heads rely on (a word is committed before what follows it). Every load is an acquire load
 * and pairs with the release store of the same word by the other side. */
#ifndef SHM_ACCESS_H
#define SHM_ACCESS_H
#include <stdint.h>

static inline uint64_t shm_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shm_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint32_t shm_load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shm_store32(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* A counter has one writer, so a load and a store do; readers see it grow. */
static inline void shm_add(uint64_t *word, uint64_t n)
{
	__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

#endif
