/* client/options.c - structs that cross the interface start with their size: an older program's are
 * shorter, a newer program's are longer. */
#include "client/client_private.h"

#include "paged/bits.h"

#include <errno.h>

/* The first byte in [from, to) that is not 0; to if there is none. */
static size_t options_first_set(const unsigned char *bytes, size_t from, size_t to)
{
	while (from < to && bytes[from] == 0)
		from++;
	return from;
}

int options_copy(void *to, size_t to_bytes, const void *from, size_t min_bytes, const char *what)
{
	uint32_t size;
	uint32_t own_size = (uint32_t)to_bytes;

	memset(to, 0, to_bytes);
	memcpy(to, &own_size, sizeof(own_size));
	if (!from)
		return 0;
	memcpy(&size, from, sizeof(size));
	if (size < min_bytes)
		return error_set(
			-EINVAL,
			"size %u of struct %s is too small: fill it with PAGECLIENT_INIT()", size,
			what);
	if (options_first_set(from, to_bytes, size) < size)
		return error_set(
			-E2BIG,
			"struct %s has fields set that this library does not know: it is older "
			"than the program",
			what);
	memcpy(to, from, (size_t)bits_min(size, to_bytes));
	memcpy(to, &own_size, sizeof(own_size));
	return 0;
}
