/* tests/integration/exporter.c - see exporter.h. */
#include "tests/integration/exporter.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

bool exporter_start(struct exporter *exporter, const struct fixture *f, const char *where)
{
	const char *argv[] = {fixture_pagectl(), "--socket", f->socket, "exporter",
			      "--listen",        where,      NULL};
	char log[128];

	(void)snprintf(log, sizeof(log), "%s/exporter.log", f->directory);
	exporter->url = NULL;
	if (!background_start(&exporter->background, log, argv) ||
	    !background_says(&exporter->background, "listening at "))
		return false;
	exporter->url = background_word_after(&exporter->background, "listening at ");
	return exporter->url != NULL;
}

void exporter_end(struct exporter *exporter)
{
	CU_ASSERT_EQUAL(background_end(&exporter->background, SIGTERM), 0);
	free(exporter->url);
}

void exporter_fetch(const struct exporter *exporter, const char *path, const char *option,
		    const char *value, struct program *ret_program)
{
	char url[256];
	const char *argv[] = {"curl", "-sS", "-m", "60", url, option, value, NULL};

	(void)snprintf(url, sizeof(url), "%s%s", exporter->url, path);
	program_run(ret_program, argv);
	CU_ASSERT_EQUAL(ret_program->status, 0);
	if (ret_program->status)
		(void)fprintf(stderr, "curl %s: %s\n", url, ret_program->err);
}
