/* tests/integration/remains.h - the segments that a dead daemon left: made, looked at, damaged, and
 * judged by `pagectl check --offline`. */
#ifndef TESTS_INTEGRATION_REMAINS_H
#define TESTS_INTEGRATION_REMAINS_H
#include "shm/layout.h"
#include "tests/integration/holder.h"

#define REMAINS_PARTS 3u
extern const char *const remains_parts[REMAINS_PARTS]; /* "meta", "state", "data" */
extern const char remains_config[];                    /* 64M, posix */

/* SIGKILL for supervisor and server; returns when both are gone. */
void remains_kill(struct fixture *f);
/* A dead daemon with one client that lives and owns 1000 frames and some. */
bool remains_make(struct fixture *f, struct holder *holder, struct child *child);
void remains_done(struct fixture *f, struct child *child);

/* What must stay: contents (of META and STATE), length and memory. */
struct remains_print {
	uint64_t hash;
	int64_t bytes, blocks;
};
void remains_print(const struct fixture *f, struct remains_print ret_print[REMAINS_PARTS]);
bool remains_are(const struct fixture *f, const struct remains_print print[REMAINS_PARTS]);

/* Bytes of a part, to be looked at and damaged. */
int remains_open_part(const struct fixture *f, const char *part);
void remains_put(int fd, uint64_t offset, const void *bytes, size_t n);
void remains_get(int fd, uint64_t offset, void *ret_bytes, size_t n);
struct shm_meta_header remains_header(const struct fixture *f);

/* The command, with one more option and its value, or NULL. */
void remains_run(const struct fixture *f, struct program *ret_program, const char *more,
		 const char *value);
/* It says no, in one line with these words. */
void remains_refused(const struct fixture *f, int status, const char *words);
/* Its JSON; ok or not as expected. */
json_t *remains_verdict(const struct fixture *f, bool ok);
/* It says that an invariant is broken, in a text that begins with these words. */
void remains_broken(const struct fixture *f, const char *words);

#endif
