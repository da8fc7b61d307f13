/* client/fast_symbols.c - the inline functions of pageclient/fast.h as exported symbols, for
 * bindings, dlsym(), function pointers and programs built with -O0. The bodies are those of the
 * header, so they cannot differ. */
#include <stddef.h>
#include <stdint.h>

#define PAGECLIENT_NO_INLINE
#pragma GCC visibility push(default)
#include <pageclient/pageclient.h>

/* The keyword and the attribute go, and what is left defines plain functions. */
#define inline
#define gnu_inline
#include <pageclient/fast.h>
#undef gnu_inline
#undef inline
#pragma GCC visibility pop
