/* pagectl/json.h - the little that pagectl adds to jansson.
 *
 * After json_init() a shortage of memory ends the process with exit code 1, so that no object is
 * ever printed with a part missing; the calls below and json_object_set_new() then cannot fail. */
#ifndef PAGECTL_JSON_H
#define PAGECTL_JSON_H
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

void json_init(void);

/* realloc() that ends the process instead of failing. */
void *xrealloc(void *memory, size_t bytes);

/* A new object with "version": PAGECTL_JSON_VERSION. */
json_t *json_new(void);

void json_put_number(json_t *object, const char *key, uint64_t value); /* at most INT64_MAX */
void json_put_real(json_t *object, const char *key, double value);
/* The text in n_bytes bytes of META, up to its NUL; cleaned (human_clean()) if it is not UTF-8. */
void json_put_text(json_t *object, const char *key, const char *bytes, size_t n_bytes);
void json_put_string(json_t *object, const char *key, const char *string); /* NULL: null */

/* Prints root and a newline to stdout and drops it. Returns PAGECTL_OK. */
int json_print(json_t *root);

#endif
