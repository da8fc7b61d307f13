/* tests/fuzz/fuzz_codec.c - any bytes as a packet: refused with a sentence, or a message that goes
 * round. */
#include "proto/codec.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t packet[MESSAGE_BYTES_MAX], again[MESSAGE_BYTES_MAX];
	struct message message, second;
	const char *text = NULL;
	size_t n, m;

	if (bytes > MESSAGE_BYTES_MAX)
		return 0;
	if (codec_decode(data, bytes, &message, &text)) {
		if (!text)
			abort();
		return 0;
	}
	/* What was understood can be said, understood again, and is the same. */
	if (codec_encode(&message, packet, sizeof packet, &n) ||
	    codec_decode(packet, n, &second, &text) ||
	    codec_encode(&second, again, sizeof again, &m) || n != m || memcmp(packet, again, n))
		abort();
	return 0;
}
