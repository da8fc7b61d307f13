/* proto/text.h - which bytes may be a name or a text on the wire.
 *
 * A name ends up in logs, tables and terminals, so a hostile one must not be able to move a cursor
 * or hide behind a NUL: UTF-8 (shortest form, no surrogates), no control characters (C0, DEL, C1).
 * A text of several lines may also hold a line break and a tab. Pure. */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H
#include <stddef.h>
#include <stdint.h>

enum text_kind { TEXT_NAME, TEXT_LINES };

/* Returns NULL if the bytes may go into an array of size_bytes, terminator included; else a
 * constant that says what is wrong ("a name is longer than 31 bytes"). */
const char *text_check(enum text_kind kind, const uint8_t *bytes, size_t n_bytes,
		       size_t size_bytes);

/* Copies a string of at most size_bytes - 1 bytes with a '?' for each byte that may not be in one,
 * so that what we send is always taken: a name may come from a program's argv, or be cut inside a
 * character. `to` has room for size_bytes. Returns the length. */
size_t text_clean(enum text_kind kind, const char *from, size_t size_bytes, uint8_t *to);

#endif
