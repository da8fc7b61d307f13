/* pagectl/verdict.h - what a check says in the end, whoever recounted: the daemon, or pagectl
 * itself on the segments of a dead one. */
#ifndef PAGECTL_VERDICT_H
#define PAGECTL_VERDICT_H
#include "pagectl/json.h"

#include <stdbool.h>

/* Length of the invariant's id that text starts with ("I5"), 0 if it starts with none. */
size_t verdict_invariant_length(const char *text);

/* For people: "ok: text" or "broken: text"; text "" is that every invariant holds. As JSON: root
 * gets "ok", "invariant" and "text", is printed and dropped. root NULL: for people. Returns the
 * enum pagectl_exit. */
int verdict_print(bool ok, const char *text, json_t *root);

#endif
