/* tests/unit/test_pack.c - proto/pack does what protobuf-c's own functions do, or leaves it to
 * them. */
#include "proto/pack.h"

#include "paged.pb-c.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define SEED UINT64_C(0x9e3779b97f4a7c15)
#define ROUNDS 20000u

extern CU_TestInfo test_pack[];

static uint64_t random_next(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#define FIELD_BODY 1u /* of the envelope: field 0 is the id, the others are bodies */

static const ProtobufCMessageDescriptor *body_of(unsigned i)
{
	return paged__message__descriptor.fields[FIELD_BODY + i].descriptor;
}

static unsigned nr_bodies(void)
{
	return paged__message__descriptor.n_fields - FIELD_BODY;
}

static void every_body_is_flat_and_numbered_without_gaps(void)
{
	for (unsigned b = 0; b < nr_bodies(); b++)
		for (unsigned i = 0; i < body_of(b)->n_fields; i++) {
			const ProtobufCFieldDescriptor *field = &body_of(b)->fields[i];

			CU_ASSERT_EQUAL(field->id, i + 1);
			CU_ASSERT_EQUAL(field->label, PROTOBUF_C_LABEL_NONE);
			CU_ASSERT_EQUAL(field->flags, 0);
			CU_ASSERT(field->type == PROTOBUF_C_TYPE_UINT32 ||
				  field->type == PROTOBUF_C_TYPE_UINT64 ||
				  field->type == PROTOBUF_C_TYPE_SINT32 ||
				  field->type == PROTOBUF_C_TYPE_FIXED64 ||
				  field->type == PROTOBUF_C_TYPE_BYTES);
		}
}

union any_body {
	ProtobufCMessage base;
	Paged__Reply largest;
};

/* Numbers of any length, many of them 0. */
static void body_fill(const ProtobufCMessageDescriptor *descriptor, uint64_t *state,
		      union any_body *body)
{
	static uint8_t text[] = "some bytes";

	CU_ASSERT_FATAL(descriptor->sizeof_message <= sizeof(*body));
	protobuf_c_message_init(descriptor, body);
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		void *member = (uint8_t *)body + field->offset;
		uint64_t number = random_next(state) >> (random_next(state) % 64);
		ProtobufCBinaryData data = {.len = number % sizeof(text), .data = text};

		if (random_next(state) % 2)
			continue;
		if (field->type == PROTOBUF_C_TYPE_BYTES)
			memcpy(member, &data, sizeof(data));
		else
			memcpy(member, &number,
			       field->type == PROTOBUF_C_TYPE_UINT64 ||
					       field->type == PROTOBUF_C_TYPE_FIXED64
				       ? 8
				       : 4);
	}
}

static void what_is_packed_is_what_protobuf_c_packs(void)
{
	uint8_t ours[1024], theirs[1024], again[1024];
	uint64_t state = SEED;
	union any_body body, back;

	for (unsigned round = 0; round < ROUNDS; round++) {
		const ProtobufCMessageDescriptor *descriptor = body_of(round % nr_bodies());
		uint8_t *end;
		size_t bytes;

		body_fill(descriptor, &state, &body);
		end = pack_body(&body.base, ours);
		bytes = protobuf_c_message_pack(&body.base, theirs);
		CU_ASSERT_EQUAL_FATAL(end - ours, (ptrdiff_t)bytes);
		CU_ASSERT_EQUAL(memcmp(ours, theirs, bytes), 0);
		protobuf_c_message_init(descriptor, &back);
		/* Numbers of 10 bytes are left to protobuf-c. */
		if (pack_try_unpack(&back.base, ours, end)) {
			CU_ASSERT_EQUAL(protobuf_c_message_pack(&back.base, again), bytes);
			CU_ASSERT_EQUAL(memcmp(again, theirs, bytes), 0);
		}
	}
}

/* Bytes of a body with some changed: whatever is taken is what protobuf-c takes. */
static void what_is_unpacked_is_what_protobuf_c_unpacks(void)
{
	uint8_t packed[1024], first[1024], second[1024];
	unsigned taken = 0, left = 0;
	uint64_t state = SEED;
	union any_body body;

	for (unsigned round = 0; round < ROUNDS; round++) {
		const ProtobufCMessageDescriptor *descriptor = body_of(round % nr_bodies());
		ProtobufCMessage *theirs;
		size_t bytes;

		body_fill(descriptor, &state, &body);
		bytes = protobuf_c_message_pack(&body.base, packed);
		for (uint64_t n = random_next(&state) % 3; n > 0 && bytes > 0; n--)
			packed[random_next(&state) % bytes] = (uint8_t)random_next(&state);
		protobuf_c_message_init(descriptor, &body);
		if (!pack_try_unpack(&body.base, packed, packed + bytes)) {
			left++;
			continue;
		}
		taken++;
		theirs = protobuf_c_message_unpack(descriptor, NULL, bytes, packed);
		CU_ASSERT_PTR_NOT_NULL_FATAL(theirs);
		bytes = protobuf_c_message_pack(theirs, first);
		CU_ASSERT_EQUAL(protobuf_c_message_pack(&body.base, second), bytes);
		CU_ASSERT_EQUAL(memcmp(first, second, bytes), 0);
		protobuf_c_message_free_unpacked(theirs, NULL);
	}
	CU_ASSERT(taken > ROUNDS / 4);
	CU_ASSERT(left > ROUNDS / 100);
}

/* The same number in as many bytes as it is to have. */
static uint8_t *put_padded(uint8_t *at, uint8_t number, unsigned n_bytes)
{
	*at++ = n_bytes > 1 ? (uint8_t)(number | 0x80) : number;
	for (unsigned i = 2; i < n_bytes; i++)
		*at++ = 0x80;
	if (n_bytes > 1)
		*at++ = 0;
	return at;
}

/* A CacheRegister whose tags, lengths and numbers have that many bytes: what is taken is what
 * protobuf-c takes, and what may be taken is. */
static void compare_padded(unsigned tag, unsigned length, unsigned number)
{
	Paged__CacheRegister body = PAGED__CACHE_REGISTER__INIT;
	Paged__CacheRegister *theirs;
	uint8_t packed[64], *at = packed;

	at = put_padded(at, 5 << 3 | 2, tag);
	at = put_padded(at, 1, length);
	*at++ = 'n';
	at = put_padded(at, 1 << 3, 1);
	at = put_padded(at, 7, number);
	if (!pack_try_unpack(&body.base, packed, at)) {
		CU_ASSERT(tag > 5 || length > 5 || number > 9);
		return;
	}
	theirs = paged__cache_register__unpack(NULL, (size_t)(at - packed), packed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(theirs);
	CU_ASSERT(theirs->cache == 7 && body.cache == 7);
	CU_ASSERT(theirs->name.len == 1 && body.name.len == 1);
	paged__cache_register__free_unpacked(theirs, NULL);
}

static void what_is_longer_than_need_be_is_what_it_is_to_protobuf_c(void)
{
	for (unsigned tag = 1; tag <= 11; tag++)
		for (unsigned length = 1; length <= 11; length++)
			for (unsigned number = 1; number <= 11; number++)
				compare_padded(tag, length, number);
}

CU_TestInfo test_pack[] = {
	{"every body is flat and numbered without gaps",
	 every_body_is_flat_and_numbered_without_gaps},
	{"what is packed is what protobuf-c packs", what_is_packed_is_what_protobuf_c_packs},
	{"what is unpacked is what protobuf-c unpacks",
	 what_is_unpacked_is_what_protobuf_c_unpacks},
	{"what is longer than need be is what it is to protobuf-c",
	 what_is_longer_than_need_be_is_what_it_is_to_protobuf_c},
	CU_TEST_INFO_NULL,
};
