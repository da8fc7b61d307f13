/* daemon/session/why.h - an answer to Why while it is written: lines of facts, and what to do.
 *
 * A fact is a whole line or it is left out; the last line, which says what to do next, never is.
 * So each answer says the most telling first, and advises once at least. */
#ifndef DAEMON_SESSION_WHY_H
#define DAEMON_SESSION_WHY_H
#include "daemon/session/session_private.h"

#define WHY_ADVICE_BYTES 176u /* of the reply; the facts have the rest */

struct why_answer {
	struct session *session;
	uint32_t n; /* bytes of facts */
	char facts[MESSAGE_TEXT_BYTES];
	char advice[WHY_ADVICE_BYTES];
};

/* One more line, if there is room for all of it. The conversions are those of text_print(). */
void why_fact(struct why_answer *answer, const char *format, ...);
/* What to do; the first that was said counts. */
void why_advise(struct why_answer *answer, const char *format, ...);
/* Something was advised. */
void why_send(struct why_answer *answer, uint32_t conn, uint64_t id);

/* --- words, by value, so that a fact needs no buffers --- */

struct why_word {
	char s[72]; /* the longest names a client */
};
struct why_word why_duration(uint64_t ns); /* "3 h 12 min" */
/* Since a moment of CLOCK_REALTIME. */
struct why_word why_since(const struct why_answer *answer, uint64_t real_ns);
struct why_word why_frames(const struct why_answer *answer, uint64_t n); /* "9 frames (36 KiB)" */
struct why_word why_who(const struct why_answer *answer,
			client_id client); /* "client 3 (a, pid 17)" */
const struct shm_client *why_client_of(const struct why_answer *answer, client_id client);

/* --- what all answers say --- */

/* How long the breaker leaves the cache alone. */
struct why_word why_breaker(const struct why_answer *answer, const struct shm_cache *cache);
/* Is anything being reclaimed at all? */
void why_say_demand(struct why_answer *answer);
/* How reclaim treats the client, and by which limits. */
void why_say_tier(struct why_answer *answer, client_id client);

/* why_frame.c: the answer for pfn, whose search is done. */
void why_say_frame(struct why_answer *answer, pfn_t pfn, const struct inspect_search *search);

#endif
