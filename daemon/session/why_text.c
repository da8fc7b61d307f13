/* daemon/session/why_text.c - the words, lines and limits of answers to Why. */
#include "daemon/session/why.h"

#include "paged/bits.h"

#include <string.h>

#define FACT_BYTES 240u /* a longer line is cut */

/* --- words ---------------------------------------------------------------------------------------
 */

struct why_word why_duration(uint64_t ns)
{
	uint64_t s = ns / 1000000000;
	struct why_word word = {""};

	if (ns < 1000000)
		text_print(word.s, sizeof word.s, "%l us", ns / 1000);
	else if (s < 1)
		text_print(word.s, sizeof word.s, "%l ms", ns / 1000000);
	else if (s < 60)
		text_print(word.s, sizeof word.s, "%l s", s);
	else if (s < 3600)
		text_print(word.s, sizeof word.s, "%l min", s / 60);
	else if (s < 86400)
		text_print(word.s, sizeof word.s, "%l h %l min", s / 3600, s / 60 % 60);
	else
		text_print(word.s, sizeof word.s, "%l d %l h", s / 86400, s / 3600 % 24);
	return word;
}

struct why_word why_since(const struct why_answer *answer, uint64_t real_ns)
{
	uint64_t now = answer->session->real_ns;

	return why_duration(now > real_ns ? now - real_ns : 0);
}

struct why_word why_frames(const struct why_answer *answer, uint64_t n)
{
	uint64_t kib = n << (pool_meta(answer->session->pool)->page_shift - 10);
	struct why_word word = {""};

	if (kib < 10240)
		text_print(word.s, sizeof word.s, "%l frames (%l KiB)", n, kib);
	else
		text_print(word.s, sizeof word.s, "%l frames (%l MiB)", n, kib / 1024);
	return word;
}

/* A limit; as high as the segment or higher: none. */
static struct why_word limit(const struct why_answer *answer, uint64_t n)
{
	struct why_word word = {""};

	if (n >= pool_nr_frames(answer->session->pool))
		text_print(word.s, sizeof word.s, "none");
	else
		text_print(word.s, sizeof word.s, "%l", n);
	return word;
}

/* --- lines ---------------------------------------------------------------------------------------
 */

void why_fact(struct why_answer *answer, const char *format, ...)
{
	char line[FACT_BYTES];
	uint32_t n;
	va_list args;

	va_start(args, format);
	text_format(line, sizeof line, format, args);
	va_end(args);
	n = (uint32_t)strlen(line);
	if (answer->n + n + 1 >= sizeof answer->facts)
		return;
	memcpy(answer->facts + answer->n, line, n);
	answer->facts[answer->n + n] = '\n';
	answer->n += n + 1;
}

void why_advise(struct why_answer *answer, const char *format, ...)
{
	va_list args;

	if (answer->advice[0])
		return;
	va_start(args, format);
	text_format(answer->advice, sizeof answer->advice, format, args);
	va_end(args);
}

void why_send(struct why_answer *answer, uint32_t conn, uint64_t id)
{
	struct message_reply *reply = session_reply(answer->session, conn, id);
	uint32_t room = (uint32_t)(sizeof reply->text - 1 - strlen(answer->advice));

	PAGED_CHECK(answer->advice[0]);
	while (answer->n > room) { /* whole lines go */
		answer->n--;
		while (answer->n && answer->facts[answer->n - 1] != '\n')
			answer->n--;
	}
	memcpy(reply->text, answer->facts, answer->n);
	memcpy(reply->text + answer->n, answer->advice, strlen(answer->advice) + 1);
}

/* --- what all answers say ------------------------------------------------------------------------
 */

const struct shm_client *why_client_of(const struct why_answer *answer, client_id client)
{
	return pool_client(answer->session->pool, client);
}

void why_say_demand(struct why_answer *answer)
{
	const struct session *session = answer->session;
	uint64_t free = pool_nr_free(session->pool), low = pool_watermark_low(session->pool);

	if (park_demand(session))
		why_fact(answer, "requests wait for %l frames, %l are free: reclaim is under way",
			 park_demand(session), free);
	else if (session->reclaim.running || free < low)
		why_fact(answer, "%l frames are free, low is %l: reclaim is under way", free, low);
	else
		why_fact(answer, "%l frames are free, low is %l: nobody is short, nothing is taken",
			 free, low);
}

struct why_word why_breaker(const struct why_answer *answer, const struct shm_cache *cache)
{
	uint64_t until = cache->breaker_until_ns, now = answer->session->now_ns;

	return why_duration(until > now ? until - now : 0);
}

static bool has_limits(const struct why_answer *answer, const struct shm_client *shown)
{
	uint64_t all = pool_nr_managed(answer->session->pool);

	return shown->min || shown->low || shown->high < all || shown->max < all || shown->weight;
}

void why_say_tier(struct why_answer *answer, client_id client)
{
	struct pool *pool = answer->session->pool;
	const struct shm_client *shown = why_client_of(answer, client);
	const char *from = shown->limits_from[0] ? shown->limits_from : "no section";
	const char *text = "";

	switch (pool_client_tier(pool, client)) {
	case POOL_TIER_OVER:
		text = "over its high or its share: it pays first";
		break;
	case POOL_TIER_NORMAL:
		text = "it pays by age and cost";
		break;
	case POOL_TIER_SPARED:
		text = "below its low: spared while others have more";
		break;
	case POOL_TIER_PROTECTED:
		text = "within its min: nothing is taken from it";
		if (shown->min)
			why_advise(answer,
				   "to let reclaim have it, lower the min: pagectl set %u min=0",
				   client);
		break;
	}
	if (shown->nr_owned + shown->nr_shared == 0)
		text = "it holds nothing";
	if (has_limits(answer, shown))
		why_fact(answer, "limits (%s): min %l, low %l, high %s, max %s; %s", from,
			 shown->min, shown->low, limit(answer, shown->high).s,
			 limit(answer, shown->max).s, text);
	else
		why_fact(answer, "it has no limits: %s", text);
}

struct why_word why_who(const struct why_answer *answer, client_id client)
{
	const struct shm_client *shown;
	struct why_word word = {""};

	if (client == CLIENT_NONE || client > SHM_MAX_CLIENTS) {
		text_print(word.s, sizeof word.s, "nobody");
		return word;
	}
	shown = why_client_of(answer, client);
	text_print(word.s, sizeof word.s, "client %u (%s%s%u)", client, shown->name,
		   shown->name[0] ? ", pid " : "pid ", shown->pid);
	return word;
}
