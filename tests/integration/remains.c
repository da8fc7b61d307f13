/* tests/integration/remains.c - see remains.h. */
#include "tests/integration/remains.h"

#include "tests/integration/clock.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const char remains_config[] = "[segment]\nsize = 64M\nbacking = posix\n[pcp]\nbatch = 16\n";
const char *const remains_parts[REMAINS_PARTS] = {"meta", "state", "data"};

/* --- files ---------------------------------------------------------------------------------- */

static uint64_t hash_file(int fd)
{
	static uint64_t buffer[1u << 17];
	uint64_t h = UINT64_C(14695981039346656037);

	for (off_t at = 0;; at += (off_t)sizeof(buffer)) {
		ssize_t n = pread(fd, buffer, sizeof(buffer), at);

		for (ssize_t i = 0; i < n / 8; i++)
			h = (h ^ buffer[i]) * UINT64_C(1099511628211);
		if (n < (ssize_t)sizeof(buffer))
			return h;
	}
}

void remains_print(const struct fixture *f, struct remains_print ret_print[REMAINS_PARTS])
{
	for (uint32_t i = 0; i < REMAINS_PARTS; i++) {
		char path[96];
		struct stat st = {0};
		int fd;

		fixture_segment_path(f, remains_parts[i], path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CU_ASSERT_TRUE(fd >= 0 && fstat(fd, &st) == 0);
		ret_print[i] =
			(struct remains_print){i < 2 ? hash_file(fd) : 0, st.st_size, st.st_blocks};
		(void)close(fd);
	}
}

bool remains_are(const struct fixture *f, const struct remains_print print[REMAINS_PARTS])
{
	struct remains_print now[REMAINS_PARTS];

	remains_print(f, now);
	return memcmp(now, print, sizeof(now)) == 0;
}

int remains_open_part(const struct fixture *f, const char *part)
{
	char path[96];
	int fd;

	fixture_segment_path(f, part, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_TRUE(fd >= 0);
	return fd;
}

void remains_put(int fd, uint64_t offset, const void *bytes, size_t n)
{
	CU_ASSERT_EQUAL(pwrite(fd, bytes, n, (off_t)offset), (ssize_t)n);
}

void remains_get(int fd, uint64_t offset, void *ret_bytes, size_t n)
{
	CU_ASSERT_EQUAL(pread(fd, ret_bytes, n, (off_t)offset), (ssize_t)n);
}

struct shm_meta_header remains_header(const struct fixture *f)
{
	struct shm_meta_header header;
	int fd = remains_open_part(f, "meta");

	remains_get(fd, 0, &header, sizeof(header));
	(void)close(fd);
	return header;
}

/* --- the command ---------------------------------------------------------------------------- */

void remains_run(const struct fixture *f, struct program *ret_program, const char *more,
		 const char *value)
{
	program_run(ret_program, (const char *[]){fixture_pagectl(), "check", "--offline",
						  "--instance", f->instance, more, value, NULL});
}

void remains_refused(const struct fixture *f, int status, const char *words)
{
	struct program ctl;

	remains_run(f, &ctl, NULL, NULL);
	CU_ASSERT_EQUAL(ctl.status, status);
	CU_ASSERT_STRING_EQUAL(ctl.out, "");
	CU_ASSERT_TRUE(program_said_one_line(&ctl));
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl.err, words));
	if (!strstr(ctl.err, words))
		(void)fprintf(stderr, "not \"%s\": %d %s%s\n", words, ctl.status, ctl.out, ctl.err);
	program_done(&ctl);
}

json_t *remains_verdict(const struct fixture *f, bool ok)
{
	struct program ctl;
	json_t *root;

	remains_run(f, &ctl, "--json", NULL);
	root = json_loads(ctl.out, 0, NULL);
	CU_ASSERT_EQUAL(ctl.status, ok ? 0 : 1);
	CU_ASSERT_EQUAL(json_is_true(json_object_get(root, "ok")), ok);
	if (ctl.status != (ok ? 0 : 1))
		(void)fprintf(stderr, "%d %s%s\n", ctl.status, ctl.out, ctl.err);
	program_done(&ctl);
	return root;
}

void remains_broken(const struct fixture *f, const char *words)
{
	json_t *root = remains_verdict(f, false);
	const char *text = json_string_value(json_object_get(root, "text"));

	CU_ASSERT_PTR_NOT_NULL(text);
	CU_ASSERT_TRUE(text && strncmp(text, words, strlen(words)) == 0);
	if (text && strncmp(text, words, strlen(words)) != 0)
		(void)fprintf(stderr, "not \"%s\": %s\n", words, text);
	json_decref(root);
}

void remains_kill(struct fixture *f)
{
	pid_t server = fixture_server(f);
	struct pollfd death = {.fd = (int)syscall(SYS_pidfd_open, server, 0), .events = POLLIN};

	CU_ASSERT_TRUE(death.fd >= 0);
	(void)kill(f->pid, SIGKILL);
	(void)kill(server, SIGKILL);
	fixture_kill(f);
	CU_ASSERT_EQUAL(poll(&death, 1, (int)CLOCK_PATIENCE_MS), 1);
	(void)close(death.fd);
}

bool remains_make(struct fixture *f, struct holder *holder, struct child *child)
{
	uint64_t n = 0;

	*holder = (struct holder){f, "left", HOLDER_KEEPS, 1000, 0};
	if (!fixture_open(f, remains_config) || !holder_start(child, holder, &n) || n != 1000)
		return false;
	remains_kill(f);
	return true;
}

void remains_done(struct fixture *f, struct child *child)
{
	child_kill(child);
	fixture_close(f);
}
