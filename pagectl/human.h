/* pagectl/human.h - numbers and names for people.
 *
 * Each function returns its text by value, so that `printf("%s", human_size(n).s)` needs no buffer.
 * Pure. */
#ifndef PAGECTL_HUMAN_H
#define PAGECTL_HUMAN_H
#include <stddef.h>
#include <stdint.h>

struct human {
	char s[64];
};

struct human human_size(uint64_t bytes);       /* "512 B", "12.5 MiB" */
struct human human_size_short(uint64_t bytes); /* "512B", "12MiB": at most 7 wide, for tables */
struct human human_count(uint64_t n);          /* "99999", "123k", "4.5M": at most 6 wide */
struct human human_duration(uint64_t ns);      /* "-" for 0, "950ns", "12us", "3.4ms", "1.2s" */
struct human human_age(uint64_t seconds);      /* "12s", "5m03s", "3h12m", "2d03h" */
struct human human_version(uint32_t version);  /* PAGECLIENT_VERSION as "0.1.0" */
struct human human_errno(int error);

/* What a client or the daemon wrote into `bytes` bytes of META, safe for a terminal: ends at the
 * first NUL, at most 63 bytes, and a byte that is not printable ASCII becomes '?'. */
struct human human_clean(const char *bytes, size_t n_bytes);

/* The same into the caller's buffer, for longer ones. */
void human_clean_into(char *buffer, size_t buffer_bytes, const char *bytes, size_t n_bytes);

#endif
