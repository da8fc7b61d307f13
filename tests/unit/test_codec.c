/* tests/unit/test_codec.c - proto/codec: what goes in comes out, and nothing that a stranger sends
 * does harm.
 *
 * The hostile part mutates real messages with a seeded generator and runs under ASan and UBSan in
 * the test command; its only assertion is that the answer is 0 or -EBADMSG with a text, and that
 * what was taken can be sent again. */
#include "proto/codec.h"
#include "proto/pack.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEED UINT64_C(0x9e3779b97f4a7c15)
#define ROUNDS 20000u

extern CU_TestInfo test_codec[];

static uint64_t random_next(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A message of that kind with every number of its body as large as can be and strings that fill
 * their arrays. */
static void message_fill(enum message_kind kind, struct message *message)
{
	memset(message, 0xff, sizeof(*message));
	message->kind = kind;
	message->id = UINT64_MAX;
	if (kind == MESSAGE_HELLO)
		snprintf(message->hello.name, MESSAGE_NAME_BYTES, "%s",
			 "caf\xc3\xa9-cache-0123456789-01234567");
	if (kind == MESSAGE_CACHE_REGISTER)
		snprintf(message->cache_register.name, MESSAGE_NAME_BYTES, "%s", "dentry");
	if (kind == MESSAGE_REPLY) {
		message->reply.status = -ENOMEM;
		memset(message->reply.text, 'x', MESSAGE_TEXT_BYTES - 1);
		message->reply.text[7] = '\n';
		message->reply.text[MESSAGE_TEXT_BYTES - 1] = '\0';
	}
}

static size_t body_bytes(enum message_kind kind)
{
	static const size_t bytes[MESSAGE_NR_KINDS] = {
		[MESSAGE_HELLO] = sizeof(struct message_hello),
		[MESSAGE_RESUME] = sizeof(struct message_resume),
		[MESSAGE_PCP_CREATE] = sizeof(struct message_pcp_create),
		[MESSAGE_PCP_REFILL] = sizeof(struct message_pcp_refill),
		[MESSAGE_PCP_DRAIN] = sizeof(struct message_pcp_drain),
		[MESSAGE_CACHE_UNREGISTER] = sizeof(struct message_cache_unregister),
		[MESSAGE_RECLAIM] = sizeof(struct message_reclaim),
		[MESSAGE_DRAIN] = sizeof(struct message_drain),
		[MESSAGE_SHRINK] = sizeof(struct message_shrink),
		[MESSAGE_SHRINK_DONE] = sizeof(struct message_shrink_done),
		[MESSAGE_PRESSURE] = sizeof(struct message_pressure),
		[MESSAGE_PURGE_TABLE] = sizeof(struct message_purge_table),
		[MESSAGE_WHY] = sizeof(struct message_why),
		[MESSAGE_CONFIG] = sizeof(struct message_config),
		[MESSAGE_LOOK] = sizeof(struct message_look),
	};

	return bytes[kind];
}

static bool shrink_done_is_equal(const struct message *a, const struct message *b)
{
	return a->shrink_done.cache == b->shrink_done.cache &&
	       a->shrink_done.stopped == b->shrink_done.stopped &&
	       a->shrink_done.nr_objects == b->shrink_done.nr_objects &&
	       a->shrink_done.nr_scanned == b->shrink_done.nr_scanned &&
	       a->shrink_done.nr_freed == b->shrink_done.nr_freed &&
	       a->shrink_done.nr_frames == b->shrink_done.nr_frames &&
	       a->shrink_done.thread == b->shrink_done.thread;
}

static bool reply_is_equal(const struct message_reply *a, const struct message_reply *b)
{
	return a->id == b->id && a->status == b->status && !strcmp(a->text, b->text) &&
	       a->version == b->version && a->client == b->client &&
	       !memcmp(a->token, b->token, sizeof(a->token)) &&
	       a->daemon_version == b->daemon_version && a->max_threads == b->max_threads &&
	       a->shrink_self == b->shrink_self && a->count == b->count && a->result == b->result &&
	       !memcmp(&a->nr_owned, &b->nr_owned, 9 * sizeof(uint64_t)) && a->level == b->level;
}

/* Field by field where a struct has padding or a string, else as bytes. */
static bool message_is_equal(const struct message *a, const struct message *b)
{
	if (a->kind != b->kind || a->id != b->id)
		return false;
	switch (a->kind) {
	case MESSAGE_HELLO:
		return a->hello.max_frames == b->hello.max_frames &&
		       a->hello.version_min == b->hello.version_min &&
		       a->hello.flags == b->hello.flags && a->hello.nonce == b->hello.nonce &&
		       !strcmp(a->hello.name, b->hello.name);
	case MESSAGE_RESUME:
		return a->resume.client == b->resume.client &&
		       !memcmp(a->resume.token, b->resume.token, sizeof(a->resume.token));
	case MESSAGE_ALLOC:
		return a->alloc.lane == b->alloc.lane && a->alloc.seq == b->alloc.seq &&
		       a->alloc.order == b->alloc.order && a->alloc.flags == b->alloc.flags &&
		       a->alloc.timeout_ms == b->alloc.timeout_ms;
	case MESSAGE_FREE:
		return a->free.lane == b->free.lane && a->free.seq == b->free.seq &&
		       a->free.pfn == b->free.pfn && a->free.order == b->free.order;
	case MESSAGE_CACHE_REGISTER:
		return a->cache_register.cache == b->cache_register.cache &&
		       a->cache_register.seeks == b->cache_register.seeks &&
		       a->cache_register.batch == b->cache_register.batch &&
		       a->cache_register.rebuild_ns == b->cache_register.rebuild_ns &&
		       !strcmp(a->cache_register.name, b->cache_register.name);
	case MESSAGE_SHRINK_DONE:
		return shrink_done_is_equal(a, b);
	case MESSAGE_RECLAIM:
		return a->reclaim.nr_frames == b->reclaim.nr_frames &&
		       a->reclaim.client == b->reclaim.client &&
		       a->reclaim.cache == b->reclaim.cache &&
		       a->reclaim.dry_run == b->reclaim.dry_run;
	case MESSAGE_SET:
		return a->set.client == b->set.client && a->set.key == b->set.key &&
		       a->set.value == b->set.value;
	case MESSAGE_SHARE:
		return a->share.lane == b->share.lane && a->share.seq == b->share.seq &&
		       a->share.pfn == b->share.pfn && a->share.to_client == b->share.to_client;
	case MESSAGE_IMPORT:
		return a->import.lane == b->import.lane && a->import.seq == b->import.seq &&
		       a->import.handle == b->import.handle;
	case MESSAGE_PUT:
		return a->put.lane == b->put.lane && a->put.seq == b->put.seq &&
		       a->put.pfn == b->put.pfn;
	case MESSAGE_REPLY:
		return reply_is_equal(&a->reply, &b->reply);
	case MESSAGE_PCP_CREATE:
	case MESSAGE_PCP_REFILL:
	case MESSAGE_PCP_DRAIN:
	case MESSAGE_CACHE_UNREGISTER:
	case MESSAGE_STATUS:
	case MESSAGE_GOODBYE:
	case MESSAGE_PURGE_TABLE:
	case MESSAGE_WHY:
	case MESSAGE_CONFIG:
	case MESSAGE_LOOK:
	case MESSAGE_DRAIN:
	case MESSAGE_CHECK:
	case MESSAGE_SHRINK:
	case MESSAGE_PRESSURE:
		return !memcmp(&a->hello, &b->hello, body_bytes(a->kind));
	case MESSAGE_NONE:
	case MESSAGE_NR_KINDS:
		break;
	}
	return false;
}

static size_t encode(const struct message *message, uint8_t *buffer)
{
	size_t bytes = 0;

	CU_ASSERT_EQUAL(codec_encode(message, buffer, MESSAGE_BYTES_MAX, &bytes), 0);
	return bytes;
}

/* Decodes what is to be refused; returns the reason. */
static const char *refused(const uint8_t *buffer, size_t bytes)
{
	struct message message;
	const char *text = NULL;

	CU_ASSERT_EQUAL(codec_decode(buffer, bytes, &message, &text), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

static void every_kind_comes_back_as_it_went(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	struct message in, out;
	const char *text;
	size_t bytes;

	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_NR_KINDS; kind++) {
		message_fill((enum message_kind)kind, &in);
		memset(&out, 0x55, sizeof(out));
		bytes = encode(&in, buffer);
		CU_ASSERT_TRUE(bytes <= 1024); /* codec.c packs into so much without measuring */
		CU_ASSERT_EQUAL(codec_decode(buffer, bytes, &out, &text), 0);
		CU_ASSERT_TRUE(message_is_equal(&in, &out));
		memset(&in, 0, sizeof(in));
		in.kind = (enum message_kind)kind;
		CU_ASSERT_EQUAL(codec_decode(buffer, encode(&in, buffer), &out, &text), 0);
		CU_ASSERT_TRUE(message_is_equal(&in, &out));
	}
}

/* As every decoder of protobuf does. */
static void a_tag_or_a_length_of_more_than_five_bytes_is_refused(void)
{
	static const uint8_t tag[] = {0x08, 0x01, 0xf2, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00};
	static const uint8_t length[] = {0x08, 0x01, 0x72, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
	static const uint8_t both[] = {0x08, 0x01, 0xf2, 0x80, 0x80, 0x80,
				       0x00, 0x80, 0x80, 0x80, 0x80, 0x00}; /* five each */
	struct message out;
	const char *text;

	(void)refused(tag, sizeof(tag));
	(void)refused(length, sizeof(length));
	CU_ASSERT_EQUAL(codec_decode(both, sizeof(both), &out, &text), 0);
	CU_ASSERT_EQUAL(out.kind, MESSAGE_STATUS);
}

static void every_cut_of_a_message_is_refused(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	struct message in, out;
	const char *text;

	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_NR_KINDS; kind++) {
		size_t bytes;

		message_fill((enum message_kind)kind, &in);
		bytes = encode(&in, buffer);
		for (size_t cut = 0; cut < bytes; cut++) {
			uint8_t exact[2048]; /* so that ASan sees a read behind the end */
			int r;

			memcpy(exact + sizeof(exact) - cut, buffer, cut);
			text = NULL;
			r = codec_decode(exact + sizeof(exact) - cut, cut, &out, &text);
			CU_ASSERT_EQUAL(r, -EBADMSG);
			CU_ASSERT_PTR_NOT_NULL(text);
		}
	}
}

static void a_buffer_too_small_is_emsgsize(void)
{
	uint8_t buffer[1024];
	struct message in;
	size_t bytes, ignored = 77;

	message_fill(MESSAGE_REPLY, &in);
	CU_ASSERT_EQUAL_FATAL(codec_encode(&in, buffer, sizeof(buffer), &bytes), 0);
	for (size_t room = 0; room < bytes; room++)
		CU_ASSERT_EQUAL(codec_encode(&in, buffer, room, &ignored), -EMSGSIZE);
	CU_ASSERT_EQUAL(ignored, 77);
	CU_ASSERT_EQUAL(codec_encode(&in, buffer, bytes, &ignored), 0);
}

static void a_kind_without_a_body_is_einval(void)
{
	uint8_t buffer[64];
	struct message in = {.kind = MESSAGE_NONE};
	size_t bytes;

	CU_ASSERT_EQUAL(codec_encode(&in, buffer, sizeof(buffer), &bytes), -EINVAL);
	in.kind = MESSAGE_NR_KINDS;
	CU_ASSERT_EQUAL(codec_encode(&in, buffer, sizeof(buffer), &bytes), -EINVAL);
}

static void empty_bodiless_unknown_and_huge_are_refused(void)
{
	static uint8_t huge[MESSAGE_BYTES_MAX + 1];
	static const uint8_t id_only[] = {0x08, 0x01};
	static const uint8_t unknown[] = {0x08, 0x01, 0xfa, 0x01, 0x00}; /* field 31 */

	CU_ASSERT_STRING_EQUAL(refused(huge, 0), "the message is empty");
	CU_ASSERT_STRING_EQUAL(refused(huge, sizeof(huge)),
			       "the message is larger than 65536 bytes");
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(id_only, sizeof(id_only)), "no body"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(unknown, sizeof(unknown)), "no body"));
}

/* A Hello with that name, by hand: encoding would clean it. */
static size_t hello_with_name(const char *name, size_t length, uint8_t *buffer)
{
	size_t at = 0;

	buffer[at++] = 0x12; /* field 2, length-delimited */
	buffer[at++] = (uint8_t)(length + 2);
	buffer[at++] = 0x32; /* field 6 */
	buffer[at++] = (uint8_t)length;
	memcpy(buffer + at, name, length);
	return at + length;
}

static void names_that_are_too_long_or_no_text_are_refused(void)
{
	static const char *const bad[] = {
		"\x1b[2J",
		"\n",
		"\x7f",
		"\xc2\x9b",
		"\xff",
		"\xc0\x80",
		"\xc3",
		"\xed\xa0\x80",
		"\xe0\x80\x80",
		"\x80",
		"\xf4\x90\x80\x80",
		"\xf0\x80\x80\x80",
	};
	uint8_t buffer[256];
	char name[64];
	struct message out;
	const char *text;

	memset(name, 'a', sizeof(name));
	CU_ASSERT_EQUAL(codec_decode(buffer, hello_with_name(name, 31, buffer), &out, &text), 0);
	CU_ASSERT_EQUAL(strlen(out.hello.name), 31);
	text = refused(buffer, hello_with_name(name, 32, buffer));
	CU_ASSERT_STRING_EQUAL(text, "a name is longer than 31 bytes");
	text = refused(buffer, hello_with_name("a\0b", 3, buffer));
	CU_ASSERT_STRING_EQUAL(text, "a string has a control character");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(buffer, hello_with_name(bad[i], strlen(bad[i]), buffer));
	CU_ASSERT_EQUAL(
		codec_decode(buffer, hello_with_name("\xf0\x9f\x90\xa7", 4, buffer), &out, &text),
		0);
	CU_ASSERT_STRING_EQUAL(out.hello.name, "\xf0\x9f\x90\xa7");
}

static void a_refused_message_leaves_the_result_untouched(void)
{
	uint8_t buffer[64];
	struct message out, before;
	const char *text;

	memset(&out, 0x5a, sizeof(out));
	memcpy(&before, &out, sizeof(out));
	CU_ASSERT_EQUAL(codec_decode(buffer, hello_with_name("\n", 1, buffer), &out, &text),
			-EBADMSG);
	CU_ASSERT_EQUAL(memcmp(&out, &before, sizeof(out)), 0);
}

static void what_we_send_is_clean(void)
{
	uint8_t buffer[256];
	struct message in = {.kind = MESSAGE_HELLO}, out;
	const char *text;

	/* a character cut in two, no terminator */
	memset(in.hello.name, 'a', sizeof(in.hello.name));
	in.hello.name[0] = '\x1b';
	in.hello.name[30] = '\xc3';
	CU_ASSERT_EQUAL(codec_decode(buffer, encode(&in, buffer), &out, &text), 0);
	CU_ASSERT_STRING_EQUAL(out.hello.name, "?aaaaaaaaaaaaaaaaaaaaaaaaaaaaa?");
}

static void fields_of_a_newer_peer_are_ignored(void)
{
	static const uint8_t more[] = {0xc0, 0x3e, 0x07, 0x22,
				       0x04,                    /* field 1000, then PcpCreate */
				       0x08, 0x05, 0x78, 0x01}; /* thread 5, field 15 */
	uint8_t buffer[sizeof(more)];
	struct message out;
	const char *text = "";

	memcpy(buffer, more, sizeof(more));
	CU_ASSERT_EQUAL_FATAL(codec_decode(buffer, sizeof(more), &out, &text), 0);
	CU_ASSERT_EQUAL(out.kind, MESSAGE_PCP_CREATE);
	CU_ASSERT_EQUAL(out.pcp_create.thread, 5);
}

static void thousands_of_unknown_fields_exhaust_the_arena_and_nothing_else(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];

	for (size_t i = 0; i + 1 < sizeof(buffer); i += 2) {
		buffer[i] = 0x78; /* field 15 as a number, at the envelope */
		buffer[i + 1] = 0x01;
	}
	refused(buffer, sizeof(buffer));
	memset(buffer, 0, sizeof(buffer)); /* one field of 60000 bytes */
	memcpy(buffer, "\x7a\xe0\xd4\x03", 4);
	refused(buffer, 60004);
}

/* A PcpRefill with `want` so many times: the last one counts, or the message is refused. */
static void a_field_that_is_repeated_counts_once_and_not_thousands_of_times(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	unsigned most = 0, n_taken = 0;

	for (unsigned n = 1; n <= 20000; n += n < 300 ? 1 : 1900) {
		uint8_t *at = pack_varint(buffer, (MESSAGE_PCP_REFILL + 1) << 3 | 2);
		struct message out;
		const char *text;

		at = pack_varint(at, (uint64_t)n * 3);
		for (unsigned i = 1; i <= n; i++, at += 3)
			memcpy(at, (uint8_t[]){3 << 3, (uint8_t)(i | 0x80), (uint8_t)(i >> 7 & 1)},
			       3);
		if (codec_decode(buffer, (size_t)(at - buffer), &out, &text))
			continue;
		CU_ASSERT_EQUAL(out.pcp_refill.want, n & 0xffu);
		n_taken++;
		most = n;
	}
	CU_ASSERT_EQUAL(n_taken, most); /* up to a number, all; from there on none */
	CU_ASSERT(most >= 64 && most < 300);
}

static void bodies_that_come_twice_do_no_harm(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX];
	struct message in, out;
	const char *text;

	for (unsigned a = MESSAGE_HELLO; a < MESSAGE_NR_KINDS; a++) {
		for (unsigned b = MESSAGE_HELLO; b < MESSAGE_NR_KINDS; b++) {
			size_t bytes;

			message_fill((enum message_kind)a, &in);
			bytes = encode(&in, buffer);
			message_fill((enum message_kind)b, &in);
			bytes += encode(&in, buffer + bytes);
			CU_ASSERT_EQUAL(codec_decode(buffer, bytes, &out, &text), 0);
			CU_ASSERT_TRUE(message_is_equal(&in, &out));
		}
	}
}

static void random_bytes_and_broken_messages_do_no_harm(void)
{
	static uint8_t buffer[MESSAGE_BYTES_MAX], again[MESSAGE_BYTES_MAX];
	uint64_t state = SEED;
	unsigned taken = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		enum message_kind kind =
			(enum message_kind)(1 + random_next(&state) % (MESSAGE_NR_KINDS - 1));
		struct message in, out, out2;
		const char *text = NULL;
		size_t bytes;
		int r;

		message_fill(kind, &in);
		bytes = encode(&in, buffer);
		for (uint64_t n = random_next(&state) % 4; n > 0; n--)
			buffer[random_next(&state) % (bytes < 48 ? bytes : 48)] =
				(uint8_t)random_next(&state);
		if (round % 4 == 0) {
			bytes = 1 + random_next(&state) % 64;
			for (size_t i = 0; i < bytes; i++)
				buffer[i] = (uint8_t)random_next(&state);
		}
		r = codec_decode(buffer, bytes, &out, &text);
		CU_ASSERT_TRUE(r == 0 || (r == -EBADMSG && text));
		if (r)
			continue;
		taken++;
		CU_ASSERT_EQUAL(codec_decode(again, encode(&out, again), &out2, &text), 0);
		CU_ASSERT_TRUE(message_is_equal(&out, &out2));
	}
	CU_ASSERT_TRUE(taken > ROUNDS / 100);
}

static void kinds_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(message_kind_name(MESSAGE_PCP_REFILL), "PcpRefill");
	CU_ASSERT_STRING_EQUAL(message_kind_name(MESSAGE_SHRINK_DONE), "ShrinkDone");
	CU_ASSERT_STRING_EQUAL(message_kind_name(MESSAGE_NR_KINDS), "?");
}

CU_TestInfo test_codec[] = {
	{"every kind comes back as it went", every_kind_comes_back_as_it_went},
	{"a tag or a length of more than five bytes is refused",
	 a_tag_or_a_length_of_more_than_five_bytes_is_refused},
	{"every cut of a message is refused", every_cut_of_a_message_is_refused},
	{"a buffer too small is EMSGSIZE", a_buffer_too_small_is_emsgsize},
	{"a kind without a body is EINVAL", a_kind_without_a_body_is_einval},
	{"empty, bodiless, unknown and huge are refused",
	 empty_bodiless_unknown_and_huge_are_refused},
	{"names that are too long or no text are refused",
	 names_that_are_too_long_or_no_text_are_refused},
	{"a refused message leaves the result untouched",
	 a_refused_message_leaves_the_result_untouched},
	{"what we send is clean", what_we_send_is_clean},
	{"fields of a newer peer are ignored", fields_of_a_newer_peer_are_ignored},
	{"thousands of unknown fields exhaust the arena and nothing else",
	 thousands_of_unknown_fields_exhaust_the_arena_and_nothing_else},
	{"a field that is repeated counts once, and not thousands of times",
	 a_field_that_is_repeated_counts_once_and_not_thousands_of_times},
	{"bodies that come twice do no harm", bodies_that_come_twice_do_no_harm},
	{"random bytes and broken messages do no harm",
	 random_bytes_and_broken_messages_do_no_harm},
	{"kinds have names", kinds_have_names},
	CU_TEST_INFO_NULL,
};
