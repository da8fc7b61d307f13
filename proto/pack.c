/* proto/pack.c - see proto/pack.h. */
#include "proto/pack.h"

#include <string.h>

/* Of one body; ours have 22 at most, each once. Lower: bodies of newer peers go the slow way.
 * Higher: a message of 64 KiB, of a field of two bytes again and again, holds the loop up for
 * longer. */
#define FIELDS_MAX 64u

/* How a field lies on the wire: the lowest three bits of its tag. */
#define WIRE_VARINT 0u
#define WIRE_FIXED64 1u
#define WIRE_BYTES 2u
#define WIRE_BITS 3u

/* One byte more could hold bits that no uint64_t has. */
#define VARINT_BITS_MAX 63u
/* A tag or a length has 32 bits, and no decoder of protobuf takes it from more bytes than these. */
#define SHORT_BYTES_MAX 5

static uint32_t wire_type(const ProtobufCFieldDescriptor *field)
{
	if (field->type == PROTOBUF_C_TYPE_FIXED64)
		return WIRE_FIXED64;
	return field->type == PROTOBUF_C_TYPE_BYTES ? WIRE_BYTES : WIRE_VARINT;
}

static bool is_64_bits(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_FIXED64;
}

uint8_t *pack_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

const uint8_t *pack_take_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (uint32_t shift = 0; at && at < end && shift < VARINT_BITS_MAX; shift += 7) {
		uint8_t byte = *at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return at;
		}
	}
	return NULL;
}

const uint8_t *pack_take_short(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
	const uint8_t *behind = pack_take_varint(at, end, ret_value);

	return behind && behind - at <= SHORT_BYTES_MAX ? behind : NULL;
}

/* Little-endian. */
static uint8_t *put_fixed64(uint8_t *at, uint64_t value)
{
	for (uint32_t i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
	return at + 8;
}

static const uint8_t *take_fixed64(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (end - at < 8)
		return NULL;
	for (uint32_t i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	*ret_value = value;
	return at + 8;
}

/* --- out --- */

static uint8_t *put_bytes(const ProtobufCFieldDescriptor *field, const void *member, uint8_t *at)
{
	const ProtobufCBinaryData *data = member;

	if (data->len == 0)
		return at;
	at = pack_varint(at, (uint64_t)field->id << WIRE_BITS | WIRE_BYTES);
	at = pack_varint(at, data->len);
	memcpy(at, data->data, data->len);
	return at + data->len;
}

static uint8_t *put_number(const ProtobufCFieldDescriptor *field, uint64_t number, uint8_t *at)
{
	if (number == 0)
		return at;
	if (field->type == PROTOBUF_C_TYPE_SINT32) /* so that small ones of either sign are short */
		number = (uint32_t)number << 1 ^ (number >> 31 ? UINT32_MAX : 0);
	at = pack_varint(at, (uint64_t)field->id << WIRE_BITS | wire_type(field));
	return field->type == PROTOBUF_C_TYPE_FIXED64 ? put_fixed64(at, number)
						      : pack_varint(at, number);
}

uint8_t *pack_body(const ProtobufCMessage *body, uint8_t *at)
{
	const ProtobufCMessageDescriptor *descriptor = body->descriptor;

	for (uint32_t i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		const void *member = (const uint8_t *)body + field->offset;
		uint64_t number = 0;
		uint32_t word;

		if (field->type == PROTOBUF_C_TYPE_BYTES) {
			at = put_bytes(field, member, at);
		} else if (is_64_bits(field)) {
			memcpy(&number, member, sizeof(number));
			at = put_number(field, number, at);
		} else {
			memcpy(&word, member, sizeof(word));
			at = put_number(field, word, at);
		}
	}
	return at;
}

/* --- in --- */

/* Fields are numbered without gaps. */
static const ProtobufCFieldDescriptor *field_find(const ProtobufCMessageDescriptor *descriptor,
						  uint64_t tag)
{
	uint64_t index = (tag >> WIRE_BITS) - 1;
	const ProtobufCFieldDescriptor *field =
		index < descriptor->n_fields ? &descriptor->fields[index] : NULL;

	return field && tag == ((uint64_t)field->id << WIRE_BITS | wire_type(field)) ? field : NULL;
}

/* False: it does not fit, and what then counts is protobuf-c's business. */
static bool number_set(const ProtobufCFieldDescriptor *field, uint64_t number, void *member)
{
	uint32_t word = (uint32_t)number;

	if (is_64_bits(field)) {
		memcpy(member, &number, sizeof(number));
		return true;
	}
	if (field->type == PROTOBUF_C_TYPE_SINT32)
		word = word >> 1 ^ (word & 1 ? UINT32_MAX : 0);
	memcpy(member, &word, sizeof(word));
	return number <= UINT32_MAX;
}

static const uint8_t *take_bytes(const uint8_t *at, const uint8_t *end, void *member)
{
	ProtobufCBinaryData *data = member;
	uint64_t length;

	at = pack_take_short(at, end, &length);
	if (!at || length > (uint64_t)(end - at))
		return NULL;
	data->len = length;
	data->data = (uint8_t *)(uintptr_t)at; /* only read */
	return at + length;
}

bool pack_try_unpack(ProtobufCMessage *body, const uint8_t *at, const uint8_t *end)
{
	for (uint32_t n = 0; at && at < end; n++) {
		const ProtobufCFieldDescriptor *field;
		uint64_t tag = 0, number = 0;
		void *member;

		if (n == FIELDS_MAX)
			return false;
		at = pack_take_short(at, end, &tag);
		field = at ? field_find(body->descriptor, tag) : NULL;
		if (!field)
			return false;
		member = (uint8_t *)body + field->offset;
		if (field->type == PROTOBUF_C_TYPE_BYTES) {
			at = take_bytes(at, end, member);
			continue;
		}
		at = field->type == PROTOBUF_C_TYPE_FIXED64 ? take_fixed64(at, end, &number)
							    : pack_take_varint(at, end, &number);
		if (!at || !number_set(field, number, member))
			return false;
	}
	return at != NULL;
}
