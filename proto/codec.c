/* proto/codec.c - see proto/codec.h.
 *
 * The fields of each body are listed once, in proto/fields.def, and the list is expanded three
 * times: to fill the protobuf-c struct, to check the strings of a decoded one, to copy it out. So
 * the two directions cannot disagree, and a field that is missing in paged.proto or in
 * include/paged/message.h does not compile.
 *
 * The packing and unpacking of a struct is proto/pack.c's, which is quick and knows the plain form
 * alone: an id, a body, nothing else. What comes in another form protobuf-c unpacks.
 *
 * protobuf-c allocates the structs that it decodes into. Its allocator here hands out pieces of an
 * array on the stack and takes nothing back, so a message costs no heap, and what a hostile one can
 * make us use has an end: then decoding fails. Strings are bytes with a length there, because
 * behind a NUL in a protobuf-c string anything could hide (and protobuf-c 1.4 gets the default of
 * string_as_bytes wrong). Pure; any number of threads. */
#include "proto/codec.h"

#include "paged.pb-c.h"
#include "proto/pack.h"
#include "proto/text.h"

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

/* Memory for decoding one message. Lower: a newer peer whose messages have many fields that we do
 * not know is refused. Higher: more stack. The largest message of ours takes 2 KiB. */
#define ARENA_BYTES 8192u

/* No message of ours is longer: a Reply has 20 numbers of at most 12 bytes and a text of 511. So a
 * buffer of that size needs no measuring beforehand, which would take as long as the packing. */
#define ENCODED_BYTES_MAX 1024u

/* The envelope: the id, a varint in field 1, and the body, bytes in the field of its kind. */
#define TAG_ID 0x08u
#define TAG_BITS 3u
#define TAG_BYTES 2u

/* X(KIND, member, ProtoName): the bodies with fields; those without have no struct of ours. */
#define BODIES(X)                                                                                  \
	X(HELLO, hello, Hello)                                                                     \
	X(RESUME, resume, Resume)                                                                  \
	X(PCP_CREATE, pcp_create, PcpCreate)                                                       \
	X(PCP_REFILL, pcp_refill, PcpRefill)                                                       \
	X(PCP_DRAIN, pcp_drain, PcpDrain)                                                          \
	X(ALLOC, alloc, Alloc)                                                                     \
	X(FREE, free, Free)                                                                        \
	X(CACHE_REGISTER, cache_register, CacheRegister)                                           \
	X(CACHE_UNREGISTER, cache_unregister, CacheUnregister)                                     \
	X(SHARE, share, Share)                                                                     \
	X(IMPORT, import, Import)                                                                  \
	X(PUT, put, Put)                                                                           \
	X(RECLAIM, reclaim, Reclaim)                                                               \
	X(DRAIN, drain, Drain)                                                                     \
	X(REPLY, reply, Reply)                                                                     \
	X(SHRINK, shrink, Shrink)                                                                  \
	X(PRESSURE, pressure, Pressure)                                                            \
	X(SHRINK_DONE, shrink_done, ShrinkDone)                                                    \
	X(PURGE_TABLE, purge_table, PurgeTable)                                                    \
	X(SET, set, Set)                                                                           \
	X(WHY, why, Why)                                                                           \
	X(CONFIG, config, Config)                                                                  \
	X(LOOK, look, Look)
#define EMPTY_BODIES(X)                                                                            \
	X(STATUS, status, Status)                                                                  \
	X(GOODBYE, goodbye, Goodbye)                                                               \
	X(CHECK, check, Check)

/* The number of a body on the wire is its kind plus 1: a new kind goes to the end of both lists. */
#define X(KIND, member, Name)                                                                      \
	static_assert((int)PAGED__MESSAGE__BODY_##KIND == (int)MESSAGE_##KIND + 1, #KIND);
BODIES(X)
EMPTY_BODIES(X)
#undef X

/* A body on its way out, and room for its one string, which has to be cleaned on the way. */
struct body {
	union {
		ProtobufCMessage base;
#define X(KIND, member, Name) Paged__##Name member;
		BODIES(X)
		EMPTY_BODIES(X)
#undef X
	};
	uint8_t string[MESSAGE_TEXT_BYTES];
};

/* --- struct message to protobuf-c --- */

static ProtobufCBinaryData string_put(enum text_kind kind, const char *from, size_t size_bytes,
				      uint8_t *scratch)
{
	size_t n = from[0] ? text_clean(kind, from, size_bytes, scratch) : 0;

	return (ProtobufCBinaryData){.len = n, .data = scratch};
}

#define VALUE(field) to->field = from->field;
#define ELEMENT(field, i) to->field##_##i = from->field[i];
#define NAME(field) to->field = string_put(TEXT_NAME, from->field, sizeof(from->field), scratch);
#define LINES(field) to->field = string_put(TEXT_LINES, from->field, sizeof(from->field), scratch);
#define BODY(KIND, member, Name, FIELDS)                                                           \
	static void member##_put(const struct message_##member *from, Paged__##Name *to,           \
				 uint8_t *scratch)                                                 \
	{                                                                                          \
		*to = (Paged__##Name)PAGED__##KIND##__INIT;                                        \
		(void)scratch;                                                                     \
		FIELDS                                                                             \
	}
#include "proto/fields.def"
#undef VALUE
#undef ELEMENT
#undef NAME
#undef LINES
#undef BODY

/* Fills body and lets envelope point to it. Returns false for a kind that has no body. */
static bool message_put(const struct message *message, struct body *body, Paged__Message *envelope)
{
	bool is_known = false;

	switch (message->kind) {
#define X(KIND, member, Name)                                                                      \
	case MESSAGE_##KIND:                                                                       \
		member##_put(&message->member, &body->member, body->string);                       \
		envelope->member = &body->member;                                                  \
		is_known = true;                                                                   \
		break;
		BODIES(X)
#undef X
#define X(KIND, member, Name)                                                                      \
	case MESSAGE_##KIND:                                                                       \
		body->member = (Paged__##Name)PAGED__##KIND##__INIT;                               \
		envelope->member = &body->member;                                                  \
		is_known = true;                                                                   \
		break;
		EMPTY_BODIES(X)
#undef X
	case MESSAGE_NONE:
	case MESSAGE_NR_KINDS:
		break;
	}
	envelope->body_case = (Paged__Message__BodyCase)((int)message->kind + 1);
	return is_known;
}

/* The length of the body stands before it and has one byte or two. */
static size_t plain_pack(const Paged__Message *envelope, const ProtobufCMessage *body,
			 uint8_t *buffer)
{
	uint8_t *at = buffer, *start, *end;
	size_t length;

	if (envelope->id) {
		*at++ = TAG_ID;
		at = pack_varint(at, envelope->id);
	}
	at = pack_varint(at, (uint64_t)envelope->body_case << TAG_BITS | TAG_BYTES);
	start = at + 1;
	end = pack_body(body, start);
	length = (size_t)(end - start);
	if (length >= 0x80) {
		memmove(start + 1, start, length);
		end++;
	}
	(void)pack_varint(at, length);
	return (size_t)(end - buffer);
}

int codec_encode(const struct message *message, uint8_t *buffer, size_t buffer_bytes,
		 size_t *ret_bytes)
{
	Paged__Message envelope = PAGED__MESSAGE__INIT;
	struct body body; /* only what message_put() fills is read */

	envelope.id = message->id;
	if (!message_put(message, &body, &envelope))
		return -EINVAL;
	if (buffer_bytes < ENCODED_BYTES_MAX &&
	    protobuf_c_message_get_packed_size(&envelope.base) > buffer_bytes)
		return -EMSGSIZE;
	*ret_bytes = plain_pack(&envelope, &body.base, buffer);
	return 0;
}

/* --- protobuf-c to struct message --- */

struct arena {
	size_t used;
	bool is_full;
	alignas(max_align_t) uint8_t bytes[ARENA_BYTES];
};

static void *arena_take(void *data, size_t bytes)
{
	struct arena *arena = data;
	size_t room = ARENA_BYTES - arena->used;
	void *piece = arena->bytes + arena->used;

	if (bytes > room) {
		arena->is_full = true;
		return NULL;
	}
	bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	arena->used += bytes < room ? bytes : room;
	return piece;
}

static void arena_give(void *data, void *piece)
{
	(void)data;
	(void)piece;
}

#define VALUE(field)
#define ELEMENT(field, i)
#define NAME(field)                                                                                \
	if (!text)                                                                                 \
		text = text_check(TEXT_NAME, from->field.data, from->field.len, sizeof(to->field));
#define LINES(field)                                                                               \
	if (!text)                                                                                 \
		text = text_check(TEXT_LINES, from->field.data, from->field.len, sizeof(to->field));
#define BODY(KIND, member, Name, FIELDS)                                                           \
	static const char *member##_check(const Paged__##Name *from,                               \
					  const struct message_##member *to)                       \
	{                                                                                          \
		const char *text = NULL;                                                           \
                                                                                                   \
		(void)from;                                                                        \
		(void)to;                                                                          \
		FIELDS                                                                             \
		return text;                                                                       \
	}
#include "proto/fields.def"
#undef VALUE
#undef ELEMENT
#undef NAME
#undef LINES
#undef BODY

static void string_get(const ProtobufCBinaryData *from, char *to)
{
	if (from->len > 0)
		memcpy(to, from->data, from->len);
}

#define VALUE(field) to->field = from->field;
#define ELEMENT(field, i) to->field[i] = from->field##_##i;
#define NAME(field) string_get(&from->field, to->field);
#define LINES(field) string_get(&from->field, to->field);
#define BODY(KIND, member, Name, FIELDS)                                                           \
	static void member##_get(const Paged__##Name *from, struct message_##member *to)           \
	{                                                                                          \
		memset(to, 0, sizeof(*to));                                                        \
		FIELDS                                                                             \
	}
#include "proto/fields.def"
#undef VALUE
#undef ELEMENT
#undef NAME
#undef LINES
#undef BODY

/* Returns NULL, or what is wrong with the body and message untouched. */
static const char *message_get(const Paged__Message *envelope, struct message *message)
{
	const char *text = "the message has no body of a kind that is known here";

	switch (envelope->body_case) {
#define X(KIND, member, Name)                                                                      \
	case PAGED__MESSAGE__BODY_##KIND:                                                          \
		text = member##_check(envelope->member, &message->member);                         \
		if (!text)                                                                         \
			member##_get(envelope->member, &message->member);                          \
		break;
		BODIES(X)
#undef X
#define X(KIND, member, Name) case PAGED__MESSAGE__BODY_##KIND:
		EMPTY_BODIES(X)
#undef X
		text = NULL;
		break;
	case PAGED__MESSAGE__BODY__NOT_SET:
	case _PAGED__MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
	if (text)
		return text;
	message->kind = (enum message_kind)((int)envelope->body_case - 1);
	message->id = envelope->id;
	return NULL;
}

/* An empty body of that kind, in envelope. Returns false for a kind that is not known. */
static bool body_init(uint64_t number, struct body *body, Paged__Message *envelope)
{
	switch (number) {
#define X(KIND, member, Name)                                                                      \
	case PAGED__MESSAGE__BODY_##KIND:                                                          \
		body->member = (Paged__##Name)PAGED__##KIND##__INIT;                               \
		envelope->member = &body->member;                                                  \
		break;
		BODIES(X)
		EMPTY_BODIES(X)
#undef X
	default: /* not of an enum: it comes from the wire */
		return false;
	}
	envelope->body_case = (Paged__Message__BodyCase)number;
	return true;
}

/* A message as we write them. Returns false for all others. */
static bool plain_try_unpack(const uint8_t *at, const uint8_t *end, struct body *body,
			     Paged__Message *envelope)
{
	uint64_t id = 0, tag = 0, length = 0;

	if (*at == TAG_ID)
		at = pack_take_varint(at + 1, end, &id);
	at = pack_take_short(at, end, &tag);
	at = pack_take_short(at, end, &length);
	if (!at || length != (uint64_t)(end - at) || (tag & ((1u << TAG_BITS) - 1)) != TAG_BYTES ||
	    !body_init(tag >> TAG_BITS, body, envelope))
		return false;
	envelope->id = id;
	return pack_try_unpack(&body->base, at, end);
}

/* All that protobuf has. */
static const char *any_unpack(const uint8_t *buffer, size_t bytes, struct message *ret_message)
{
	struct arena arena; /* the bytes are left as they are: clearing them would cost more than
			       decoding */
	ProtobufCAllocator allocator = {arena_take, arena_give, &arena};
	const ProtobufCMessage *base;

	arena.used = 0;
	arena.is_full = false;
	base = protobuf_c_message_unpack(&paged__message__descriptor, &allocator, bytes, buffer);
	if (!base)
		return arena.is_full ? "the message has strings too long or too many fields"
				     : "the message is not protobuf, or was cut short";
	return message_get((const Paged__Message *)base, ret_message);
}

int codec_decode(const uint8_t *buffer, size_t bytes, struct message *ret_message,
		 const char **ret_text)
{
	Paged__Message envelope;
	const char *text;
	struct body body; /* only what body_init() fills is read */

	if (bytes == 0)
		text = "the message is empty";
	else if (bytes > MESSAGE_BYTES_MAX)
		text = "the message is larger than 65536 bytes";
	else if (plain_try_unpack(buffer, buffer + bytes, &body, &envelope))
		text = message_get(&envelope, ret_message);
	else
		text = any_unpack(buffer, bytes, ret_message);
	if (!text)
		return 0;
	*ret_text = text;
	return -EBADMSG;
}

const char *message_kind_name(enum message_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		MESSAGE_KINDS(X)
#undef X
	};

	return (unsigned)kind < MESSAGE_NR_KINDS ? names[kind] : "?";
}
