/* pagectl/json.c - the little that pagectl adds to jansson. */
#include "pagectl/json.h"

#include "pagectl/human.h"
#include "pagectl/pagectl.h"

#include <string.h>

void *xrealloc(void *memory, size_t bytes)
{
	void *result = realloc(memory, bytes);

	if (!result) {
		fputs("pagectl: out of memory\n", stderr);
		exit(PAGECTL_FAILED);
	}
	return result;
}

static void *xmalloc(size_t bytes)
{
	return xrealloc(NULL, bytes);
}

void json_init(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

json_t *json_new(void)
{
	json_t *root = json_object();

	json_put_number(root, "version", PAGECTL_JSON_VERSION);
	return root;
}

void json_put_number(json_t *object, const char *key, uint64_t value)
{
	json_int_t number = value > INT64_MAX ? INT64_MAX : (json_int_t)value;

	json_object_set_new(object, key, json_integer(number));
}

void json_put_real(json_t *object, const char *key, double value)
{
	json_object_set_new(object, key, json_real(value));
}

void json_put_text(json_t *object, const char *key, const char *bytes, size_t n_bytes)
{
	char clean[SHM_TEXT_BYTES];
	json_t *text = json_stringn(bytes, strnlen(bytes, n_bytes));

	if (!text) {
		human_clean_into(clean, sizeof(clean), bytes, n_bytes);
		text = json_string(clean);
	}
	json_object_set_new(object, key, text);
}

void json_put_string(json_t *object, const char *key, const char *string)
{
	json_object_set_new(object, key, string ? json_string(string) : json_null());
}

int json_print(json_t *root)
{
	/* what cannot be written is noticed by main() */
	(void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(root);
	return PAGECTL_OK;
}
