/* bench/fail.c - bench_fail(), see bench.h. */
#include "bench/bench.h"

#include <stdarg.h>
#include <stdio.h>

int bench_fail(struct bench *bench, int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(bench->text, sizeof(bench->text), format, arguments);
	va_end(arguments);
	return r;
}
