/* tests/model/crash.c - see crash.h. */
#include "tests/model/crash.h"

#include <setjmp.h>

/* One server at a time: the core that the hook is compiled into has no argument for it. */
static struct {
	uint64_t left; /* stores until the crash; 0: none is planned */
	jmp_buf to;
	void (*watch)(void *arg, uint64_t *entry);
	void *watch_arg;
} crash;

void crash_arm(uint64_t n_stores)
{
	crash.left = n_stores;
}

void crash_point(void)
{
	if (crash.left && --crash.left == 0)
		longjmp(crash.to, 1);
}

void crash_watch_purges(void (*fn)(void *arg, uint64_t *entry), void *arg)
{
	crash.watch = fn;
	crash.watch_arg = arg;
}

void crash_purge_point(uint64_t *entry)
{
	if (crash.watch)
		crash.watch(crash.watch_arg, entry);
}

bool crash_run(void (*fn)(void *arg), void *arg)
{
	volatile bool died = false;

	if (setjmp(crash.to) == 0)
		fn(arg);
	else
		died = true;
	crash.left = 0;
	return died;
}
