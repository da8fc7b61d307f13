/* proto/pack.h - the bodies of our messages packed and unpacked, by the descriptors that protoc-c
 * generates; what protobuf-c's own functions do, for the few types that paged.proto uses.
 *
 * protobuf-c's functions can do every message there is, and ask for each field of each message what
 * it may be: a Status and its Reply take some 5500 instructions on both sides, half of what a
 * request costs us outside the kernel; these take an eighth. Bodies here are flat: numbers (uint32,
 * uint64, sint32, fixed64) and bytes, each at most once, in proto3. tests/unit/test_codec.c holds
 * the descriptors to that, and these functions to protobuf-c's results.
 *
 * Unpacking may decline: whatever is not just as we write it ourselves (a field that is not known
 * here, one of another type) is left to protobuf-c, which knows what to make of it. So is a body of
 * more fields than any of ours has: a field may come again, and the last one counts, but what a
 * decoder does for one message is to be bounded by more than its 64 KiB. protobuf-c stops where the
 * memory that codec.c gives it ends, at some hundred fields. Pure. */
#ifndef PROTO_PACK_H
#define PROTO_PACK_H
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes a number, seven bits a byte, and returns what is behind it: at most 10 bytes. */
uint8_t *pack_varint(uint8_t *at, uint64_t value);
/* Reads one. Returns what is behind it; NULL if it does not end before `end` or has more than 9
 * bytes. at may be NULL, so that the end of a chain can be asked once. */
const uint8_t *pack_take_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);
/* The same of a tag or a length: NULL if it has more than 5 bytes. */
const uint8_t *pack_take_short(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);

/* The bytes of a body, which `at` has room for; returns what is behind them. */
uint8_t *pack_body(const ProtobufCMessage *body, uint8_t *at);
/* Fills a body that is initialized. Bytes point into the buffer. Returns false, and the body is not
 * to be used, if this is none for us. */
bool pack_try_unpack(ProtobufCMessage *body, const uint8_t *at, const uint8_t *end);

#endif
