/* tests/integration/exporter.h - a `pagectl exporter` of a test's own, and curl to look at it. */
#ifndef TESTS_INTEGRATION_EXPORTER_H
#define TESTS_INTEGRATION_EXPORTER_H
#include "tests/integration/background.h"
#include "tests/integration/fixture.h"

struct exporter {
	struct background background;
	char *url; /* "http://127.0.0.1:40000" */
};

/* where as in --listen. Waits until it listens. */
bool exporter_start(struct exporter *exporter, const struct fixture *f, const char *where);
/* SIGTERM; asserts an orderly end. */
void exporter_end(struct exporter *exporter);

/* What curl prints of a path, with up to two options, NULL: none. Give it to program_done(). */
void exporter_fetch(const struct exporter *exporter, const char *path, const char *option,
		    const char *value, struct program *ret_program);

#endif
