/* tests/unit/test_log.c - daemon/host/log: how many of a kind are logged, and that every kind has
 * one id and one entry in packaging/paged.catalog, which names no field that is not sent. */
#include "daemon/host/log.h"
#include "tests/support/log_file.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern CU_TestInfo test_log[];

#define SECOND_NS UINT64_C(1000000000)
#define CLIENT_FIELDS "PAGED_CLIENT PAGED_CLIENT_NAME PAGED_CLIENT_PID PAGED_CLIENT_UID"

static void a_burst_is_logged_and_the_rest_is_counted(void)
{
	struct log_limit limit = {0};
	uint32_t suppressed = 99;

	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(log_limit_take(&limit, 3, 5 * SECOND_NS, &suppressed));
		CU_ASSERT_EQUAL(suppressed, 0);
	}
	CU_ASSERT_FALSE(log_limit_take(&limit, 3, 6 * SECOND_NS, &suppressed));
	CU_ASSERT_FALSE(log_limit_take(&limit, 3, 34 * SECOND_NS, &suppressed));
	/* The interval began with the first. */
	CU_ASSERT_TRUE(log_limit_take(&limit, 3, 35 * SECOND_NS, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 2);
	CU_ASSERT_TRUE(log_limit_take(&limit, 3, 35 * SECOND_NS, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
}

static void fields_are_bounded(void)
{
	struct log_fields fields = {0};
	char text[2 * LOG_FIELD_BYTES];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (uint32_t i = 0; i < LOG_MAX_FIELDS + 2; i++)
		log_field(&fields, "PAGED_X=%s", text);
	CU_ASSERT_EQUAL(fields.n, LOG_MAX_FIELDS);
	CU_ASSERT_EQUAL(strlen(fields.text[LOG_MAX_FIELDS - 1]), LOG_FIELD_BYTES - 1);
}

/* --- the catalogue --- */

static char *catalogue(void)
{
	return log_file_read(PAGED_SOURCE_DIR "/packaging/paged.catalog");
}

/* The entry of that id, up to the next; the caller's. NULL: there is none. */
static char *entry(const char *text, const char *id)
{
	char head[48];
	const char *start, *end;

	(void)snprintf(head, sizeof(head), "\n-- %s\n", id);
	start = strstr(text, head);
	if (!start)
		return NULL;
	end = strstr(start + 1, "\n-- ");
	return end ? strndup(start, (size_t)(end - start)) : strdup(start);
}

/* Is name one of the words, of which CLIENT stands for four? */
static bool has_field(const char *fields, const char *name, size_t n)
{
	char words[256];
	char *rest = words;

	(void)snprintf(words, sizeof(words), "PAGED_INSTANCE %s %s", fields,
		       strstr(fields, "CLIENT") == fields ? CLIENT_FIELDS : "");
	for (char *word; (word = strtok_r(rest, " ", &rest));)
		if (strlen(word) == n && strncmp(word, name, n) == 0)
			return true;
	return false;
}

static void expect_entry(const char *text, const char *id, const char *fields)
{
	char *found = entry(text, id);

	CU_ASSERT_EQUAL(strlen(id), 32);
	CU_ASSERT_EQUAL(strspn(id, "0123456789abcdef"), 32);
	CU_ASSERT_PTR_NOT_NULL(found);
	if (!found)
		return;
	CU_ASSERT_PTR_NOT_NULL(strstr(found, "\nSubject: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(found, "\nDefined-By: paged\n"));
	for (char *at = found; (at = strchr(at, '@'));) {
		size_t n = strcspn(++at, "@");

		CU_ASSERT_TRUE(has_field(fields, at, n));
		if (!has_field(fields, at, n))
			(void)fprintf(stderr, "%s sends no %.*s\n", id, (int)n, at);
		at += n + 1;
	}
	free(found);
}

static void every_kind_has_one_entry_in_the_catalogue(void)
{
	static const struct {
		const char *id, *fields;
	} kinds[] = {
#define X(name, id, burst, fields) {id, fields},
#include "daemon/session/log_ids.def"
#undef X
	};
	char *text = catalogue();
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (uint32_t i = 0; i < LOG_NR_IDS; i++) {
		expect_entry(text, kinds[i].id, kinds[i].fields);
		CU_ASSERT_STRING_EQUAL(log_id_text((enum session_log_id)i), kinds[i].id);
		for (uint32_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(kinds[i].id, kinds[k].id);
	}
	for (const char *at = text; (at = strstr(at, "\n-- ")); at++)
		n++;
	CU_ASSERT_EQUAL(n, LOG_NR_IDS);
	free(text);
}

CU_TestInfo test_log[] = {
	{"a burst is logged and the rest is counted", a_burst_is_logged_and_the_rest_is_counted},
	{"fields are bounded", fields_are_bounded},
	{"every kind has one entry in the catalogue", every_kind_has_one_entry_in_the_catalogue},
	CU_TEST_INFO_NULL,
};
