/* tests/fuzz/world.c - see world.h. */
#include "tests/fuzz/world.h"

#include "paged/bits.h"
#include "paged/check.h"
#include "tests/support/fixture_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pieces of memory at a time. Lower: long scripts of clients that come end the target. Higher: more
 * address space. */
#define PARTS_MAX 1024u
#define PAGE 4096u
#define GUARD_KEPT (UINT64_C(1) << 36) /* what a pfn of 32 bits reaches in a mem_map */
#define GUARD (UINT64_C(1) << 28)      /* the most that slots of a CTL reach, and more */

struct part {
	char *map; /* a page that may not be touched, the memory, the guard */
	char *at;
	size_t bytes;    /* of the memory, in pages */
	size_t reserved; /* of all */
	int fd;          /* -1: not kept */
	bool is_freed;   /* by the run */
};

struct world {
	struct part part[PARTS_MAX];
	size_t n_parts, n_kept;
};

static struct world *the_world(void)
{
	static struct world world;

	return &world;
}

/* CUnit's assertions, outside of CUnit, and the product's: a failure is a crash. */
CU_BOOL CU_assertImplementation(CU_BOOL value, unsigned int line, const char *condition,
				const char *file, const char *function, CU_BOOL fatal)
{
	(void)function;
	(void)fatal;
	if (!value) {
		fprintf(stderr, "%s:%u: %s\n", file, line, condition);
		abort();
	}
	return value;
}

_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

void *fixture_memory_new(size_t bytes)
{
	struct world *world = the_world();
	struct part *part = &world->part[world->n_parts];
	bool is_start = world->n_kept == 0;
	int flags = MAP_FIXED | MAP_NORESERVE;

	PAGED_CHECK(world->n_parts < PARTS_MAX);
	world->n_parts++;
	part->bytes = bits_align_up(bytes, PAGE);
	part->reserved = PAGE + part->bytes + (is_start ? GUARD_KEPT : GUARD);
	part->map = mmap(NULL, part->reserved, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	PAGED_CHECK(part->map != MAP_FAILED);
	part->at = part->map + PAGE;
	part->is_freed = false;
	part->fd = is_start ? memfd_create("world", MFD_CLOEXEC) : -1;
	PAGED_CHECK(!is_start || (part->fd >= 0 && ftruncate(part->fd, (off_t)part->bytes) == 0));
	flags |= is_start ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	PAGED_CHECK(mmap(part->at, part->bytes, PROT_READ | PROT_WRITE, flags, part->fd, 0) ==
		    part->at);
	/* The end of the memory is the end of the mapping. */
	return part->at + (part->bytes - bits_align_up(bytes, 16));
}

static struct part *find(const void *memory)
{
	struct world *world = the_world();
	struct part *part = world->part;
	const char *at = memory;

	while (part < &world->part[world->n_parts] &&
	       (at < part->at || at >= part->at + part->bytes))
		part++;
	PAGED_CHECK(part < &world->part[world->n_parts]);
	return part;
}

void fixture_memory_free(void *memory)
{
	struct part *part;

	if (!memory)
		return;
	part = find(memory);
	PAGED_CHECK(mmap(part->at, part->bytes, PROT_NONE,
			 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0) == part->at);
	part->is_freed = true;
}

/* What was stored so far is in the file; what is stored from now on is not. */
static void map_kept(const struct part *part)
{
	PAGED_CHECK(mmap(part->at, part->bytes, PROT_READ | PROT_WRITE,
			 MAP_FIXED | MAP_PRIVATE | MAP_NORESERVE, part->fd, 0) == part->at);
}

void world_keep(void)
{
	struct world *world = the_world();

	PAGED_CHECK(world->n_kept == 0);
	world->n_kept = world->n_parts;
	for (size_t i = 0; i < world->n_kept; i++)
		map_kept(&world->part[i]);
}

void world_reset(void)
{
	struct world *world = the_world();

	while (world->n_parts > world->n_kept) {
		struct part *part = &world->part[--world->n_parts];

		PAGED_CHECK(munmap(part->map, part->reserved) == 0);
	}
	for (size_t i = 0; i < world->n_kept; i++) {
		struct part *part = &world->part[i];

		/* What the run freed is mapped otherwise now. */
		if (part->is_freed)
			map_kept(part);
		else
			PAGED_CHECK(madvise(part->at, part->bytes, MADV_DONTNEED) == 0);
		part->is_freed = false;
	}
}

int world_file(const void *memory)
{
	const struct part *part = find(memory);

	PAGED_CHECK(part->fd >= 0 && part->at == memory);
	return part->fd;
}
