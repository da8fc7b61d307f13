/* paged/refuse.h - an error with the sentence that explains it, in the caller's buffer. */
#ifndef PAGED_REFUSE_H
#define PAGED_REFUSE_H
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Writes the sentence into text, cut to text_bytes (0: nothing is written), and returns r. */
__attribute__((format(printf, 4, 5))) static inline int refuse(int r, char *text, size_t text_bytes,
							       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (text_bytes)
		(void)vsnprintf(text, text_bytes, format, arguments);
	va_end(arguments);
	return r;
}

#endif
