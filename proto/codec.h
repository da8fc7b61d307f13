/* proto/codec.h - struct message to bytes and back. Only proto/codec.c knows protobuf.
 *
 * Decoding is for hostile input: it allocates from a fixed arena on its own stack, never from the
 * heap, cuts no string silently (a name that is too long is an error) and accepts no unknown kind.
 * Fields that a newer peer adds are ignored, as protobuf has it. Pure; any number of threads. */
#ifndef PROTO_CODEC_H
#define PROTO_CODEC_H
#include "paged/message.h"

#include <stddef.h>

/* Writes message into buffer. Returns 0 and the length in *ret_bytes, -EMSGSIZE if it does not fit,
 * or -EINVAL for a kind that has no body. Bytes of a string that the other side would refuse
 * (control characters, no UTF-8) leave as '?'. No allocation. */
int codec_encode(const struct message *message, uint8_t *buffer, size_t buffer_bytes,
		 size_t *ret_bytes);

/* Reads one message. Returns 0, or -EBADMSG with *ret_text set to a constant sentence that says
 * what is wrong; *ret_message is untouched then. Only the member that belongs to its kind is
 * written. */
int codec_decode(const uint8_t *buffer, size_t bytes, struct message *ret_message,
		 const char **ret_text);

/* "Hello", "PcpRefill" ...; "?" for a number that is none. */
const char *message_kind_name(enum message_kind kind);

#endif
