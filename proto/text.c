/* proto/text.c - see proto/text.h. One function knows UTF-8: text_sequence(), by the table of
 * well-formed byte sequences of the Unicode standard (table 3-7). Plain ASCII, which is nearly all
 * there is, takes one comparison a byte. */
#include "proto/text.h"

#include "paged/message.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static_assert(MESSAGE_NAME_BYTES == 32, "text_check() says 31");
static_assert(MESSAGE_TEXT_BYTES == 512, "text_check() says 511");

static bool ascii_is_allowed(enum text_kind kind, uint8_t c)
{
	return (c >= 0x20 && c != 0x7f) || (kind == TEXT_LINES && (c == '\n' || c == '\t'));
}

static bool is_continuation(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the allowed character that the n bytes at p (n at least 1) start with, or 0. */
static size_t text_sequence(enum text_kind kind, const uint8_t *p, size_t n)
{
	size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */

	if (p[0] < 0x80)
		return ascii_is_allowed(kind, p[0]) ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < length)
		return 0;
	switch (p[0]) {
	case 0xc2:
		low = 0xa0; /* C1 */
		break;
	case 0xe0:
		low = 0xa0;
		break;
	case 0xed:
		high = 0x9f; /* surrogates */
		break;
	case 0xf0:
		low = 0x90;
		break;
	case 0xf4:
		high = 0x8f;
		break;
	default:
		break;
	}
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if (!is_continuation(p[i]))
			return 0;
	}
	return length;
}

const char *text_check(enum text_kind kind, const uint8_t *bytes, size_t n_bytes, size_t size_bytes)
{
	size_t step;

	if (n_bytes >= size_bytes)
		return kind == TEXT_NAME ? "a name is longer than 31 bytes"
					 : "a text is longer than 511 bytes";
	for (size_t i = 0; i < n_bytes; i += step) {
		step = text_sequence(kind, bytes + i, n_bytes - i);
		if (step == 0)
			return bytes[i] < 0x80 || bytes[i] == 0xc2
				       ? "a string has a control character"
				       : "a string is not UTF-8";
	}
	return NULL;
}

size_t text_clean(enum text_kind kind, const char *from, size_t size_bytes, uint8_t *to)
{
	size_t n = strnlen(from, size_bytes - 1), step;

	memcpy(to, from, n);
	for (size_t i = 0; i < n; i += step) {
		step = text_sequence(kind, to + i, n - i);
		if (step == 0) {
			to[i] = '?';
			step = 1;
		}
	}
	return n;
}
