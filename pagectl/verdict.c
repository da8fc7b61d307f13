/* pagectl/verdict.c - see verdict.h. */
#include "pagectl/verdict.h"

#include "pagectl/pagectl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

size_t verdict_invariant_length(const char *text)
{
	size_t n = 1;

	if (text[0] != 'I' || !isdigit((unsigned char)text[1]))
		return 0;
	while (isdigit((unsigned char)text[n]))
		n++;
	return n;
}

int verdict_print(bool ok, const char *text, json_t *root)
{
	size_t id_length = ok ? 0 : verdict_invariant_length(text);

	if (ok && !text[0])
		text = "every invariant holds";
	if (!root) {
		printf("%s: %s\n", ok ? "ok" : "broken", text);
		return ok ? PAGECTL_OK : PAGECTL_FAILED;
	}
	json_object_set_new(root, "ok", json_boolean(ok));
	if (id_length)
		json_put_text(root, "invariant", text, id_length);
	else
		json_put_string(root, "invariant", NULL);
	json_put_text(root, "text", text, strlen(text));
	json_print(root);
	return ok ? PAGECTL_OK : PAGECTL_FAILED;
}
