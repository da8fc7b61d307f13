/* tests/unit/test_machine.c - daemon/host/machine over made-up PSI and cgroup files: what counts as
 * pressure, and what the service manager's protocol makes of it. */
#include "daemon/host/machine.h"
#include "daemon/session/session.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_machine[];

#define MIB (UINT64_C(1) << 20)
#define PATIENCE_MS 60000u /* for what comes at once */

struct fixture {
	char root[64];
	struct log log;
	struct headroom headroom;
	uv_loop_t loop;
	uv_timer_t deadline;
	struct machine *machine;
	uint32_t level, n_told;
	bool is_late;
};

static void put(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->root, name);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void put_number(const struct fixture *f, const char *name, uint64_t n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)n);
	put(f, name, text);
}

static void fixture_make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->root, "/tmp/paged-machine-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->root));
	log_init(&f->log, NULL, false);
	put(f, "memory.max", "max\n");
	put(f, "memory.high", "max\n");
	put(f, "memory.current", "0\n");
	put(f, "memory.stat", "anon 1\ninactive_file 0\n");
	headroom_open_at(&f->headroom, "/proc", f->root, 64 * MIB);
}

static void fixture_drop(struct fixture *f)
{
	static const char *const names[] = {"memory.max",  "memory.high",     "memory.current",
					    "memory.stat", "memory.pressure", "watch"};
	char path[128];

	headroom_close(&f->headroom);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->root, names[i]);
		(void)unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(f->root), 0);
}

/* --- texts --- */

static void base64_is_decoded(void)
{
	unsigned char bytes[32];

	CU_ASSERT_EQUAL(machine_decode("c29tZSAyMDAwMDAgMjAwMDAwMAA=", bytes, 32), 20);
	CU_ASSERT_STRING_EQUAL((const char *)bytes, "some 200000 2000000");
	CU_ASSERT_EQUAL(machine_decode("", bytes, 32), 0);
	CU_ASSERT_EQUAL(machine_decode("YQ==", bytes, 1), 1);
	CU_ASSERT_EQUAL(machine_decode("YWI=", bytes, 1), -EINVAL); /* no room */
	CU_ASSERT_EQUAL(machine_decode("YWI", bytes, 32), -EINVAL);
	CU_ASSERT_EQUAL(machine_decode("Y===", bytes, 32), -EINVAL);
	CU_ASSERT_EQUAL(machine_decode("YQ==YQ==", bytes, 32), -EINVAL);
	CU_ASSERT_EQUAL(machine_decode("Y*I=", bytes, 32), -EINVAL);
}

static void a_psi_file_is_read(void)
{
	uint64_t some = 0, full = 0;

	CU_ASSERT(machine_parse_psi("some avg10=1.00 avg60=0.00 avg300=0.00 total=4711\n"
				    "full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n",
				    &some, &full));
	CU_ASSERT_EQUAL(some, 4711);
	CU_ASSERT_EQUAL(full, 12);
	CU_ASSERT_FALSE(machine_parse_psi("", &some, &full));
	CU_ASSERT_FALSE(machine_parse_psi("some total=1\n", &some, &full));
	CU_ASSERT_FALSE(machine_parse_psi("awesome total=1\nfull total=2\n", &some, &full));
}

/* --- limits --- */

static uint32_t shortage(struct fixture *f, uint64_t max, uint64_t high, uint64_t used)
{
	char text[512] = "";
	uint32_t level;

	if (max)
		put_number(f, "memory.max", max);
	if (high)
		put_number(f, "memory.high", high);
	put_number(f, "memory.current", used);
	level = headroom_shortage(&f->headroom, text, sizeof(text));
	CU_ASSERT_EQUAL(level > 0, text[0] != '\0');
	return level;
}

static void the_distance_to_memory_max_counts(void)
{
	struct fixture f;

	fixture_make(&f);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 1 << 30), LEVEL_NONE); /* no limit */
	/* A unit is 1 GiB / 16 = 64 MiB. */
	CU_ASSERT_EQUAL(shortage(&f, 1024 * MIB, 0, 768 * MIB), LEVEL_NONE);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 769 * MIB), LEVEL_LOW);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 896 * MIB), LEVEL_LOW);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 897 * MIB), LEVEL_MEDIUM);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 961 * MIB), LEVEL_CRITICAL);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 2048 * MIB), LEVEL_CRITICAL);
	put_number(&f, "memory.stat", 0);
	put(&f, "memory.stat", "inactive_file 536870912\n"); /* what the kernel drops first */
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 1000 * MIB), LEVEL_NONE);
	fixture_drop(&f);
}

static void a_small_limit_has_small_units(void)
{
	struct fixture f;

	fixture_make(&f);
	CU_ASSERT_EQUAL(shortage(&f, 64 * MIB, 0, 32 * MIB), LEVEL_NONE);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 61 * MIB), LEVEL_CRITICAL);
	fixture_drop(&f);
}

static void memory_high_is_where_the_kernel_slows_us(void)
{
	struct fixture f;

	fixture_make(&f);
	CU_ASSERT_EQUAL(shortage(&f, 0, 1024 * MIB, 900 * MIB), LEVEL_NONE);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 961 * MIB), LEVEL_LOW);
	CU_ASSERT_EQUAL(shortage(&f, 0, 0, 1024 * MIB), LEVEL_MEDIUM);
	fixture_drop(&f);
}

/* --- the service manager --- */

static enum machine_watch_result watch(const char *path, const char *bytes,
				       struct machine_watch *ret)
{
	char text[256] = "";
	enum machine_watch_result r;

	*ret = (struct machine_watch){.fd = -1};
	r = machine_watch_open(path, bytes, ret, text, sizeof(text));
	CU_ASSERT_EQUAL(r == WATCH_FAILED, text[0] != '\0');
	return r;
}

static void what_cannot_be_watched_is_said(void)
{
	struct machine_watch w;

	CU_ASSERT_EQUAL(watch(NULL, NULL, &w), WATCH_NONE);
	CU_ASSERT_EQUAL(watch("", NULL, &w), WATCH_NONE);
	CU_ASSERT_EQUAL(watch("/dev/null", "!", &w), WATCH_OFF);
	CU_ASSERT_EQUAL(watch("relative", NULL, &w), WATCH_FAILED);
	CU_ASSERT_EQUAL(watch("/nonexistent/watch", NULL, &w), WATCH_FAILED);
	CU_ASSERT_EQUAL(watch("/dev/zero", NULL, &w), WATCH_FAILED);
	CU_ASSERT_EQUAL(watch("/tmp", NULL, &w), WATCH_FAILED);
	CU_ASSERT_EQUAL(watch("/proc/version", "!", &w), WATCH_FAILED);
}

static void on_level(void *arg, uint32_t level)
{
	struct fixture *f = arg;

	f->level = level;
	f->n_told++;
	uv_stop(&f->loop);
}

static void on_deadline(uv_timer_t *timer)
{
	struct fixture *f = timer->data;

	f->is_late = true;
	uv_stop(&f->loop);
}

static void open_machine(struct fixture *f, const char *watch_path, const char *bytes)
{
	struct machine_options options = {.log = &f->log,
					  .headroom = &f->headroom,
					  .watch = watch_path,
					  .write = bytes,
					  .on_level = on_level,
					  .arg = f};

	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&f->loop), 0);
	(void)uv_timer_init(&f->loop, &f->deadline);
	f->deadline.data = f;
	(void)uv_timer_start(&f->deadline, on_deadline, PATIENCE_MS, 0);
	CU_ASSERT_EQUAL_FATAL(machine_open(&f->loop, &options, &f->machine), 0);
}

static void close_machine(struct fixture *f)
{
	CU_ASSERT_FALSE(f->is_late);
	machine_close(f->machine);
	uv_close((uv_handle_t *)&f->deadline, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&f->loop), 0);
}

static void a_limit_is_told_at_the_first_look(void)
{
	struct fixture f;

	fixture_make(&f);
	put_number(&f, "memory.max", 1024 * MIB);
	put_number(&f, "memory.current", 1000 * MIB);
	open_machine(&f, NULL, NULL);
	(void)uv_run(&f.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(f.level, LEVEL_CRITICAL);
	close_machine(&f);
	fixture_drop(&f);
}

/* A PSI file without a trigger says what one says whose cgroup is gone: an error, and that there is
 * something, for ever. */
static void a_trigger_that_is_gone_is_no_pressure(void)
{
	struct fixture f;

	if (access("/proc/pressure/memory", R_OK) != 0) {
		puts("  (this kernel has no PSI: skipped)");
		return;
	}
	fixture_make(&f);
	open_machine(&f, "/proc/pressure/memory", NULL);
	for (uint32_t i = 0; i < 20; i++)
		(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	CU_ASSERT_EQUAL(f.level, LEVEL_NONE);
	CU_ASSERT(uv_backend_timeout(&f.loop) != 0);
	close_machine(&f);
	fixture_drop(&f);
}

static void a_fifo_is_watched(void)
{
	struct fixture f;
	char path[128];
	int fd;

	fixture_make(&f);
	(void)snprintf(path, sizeof(path), "%s/watch", f.root);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	open_machine(&f, path, NULL);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(write(fd, "p", 1), 1);
	(void)uv_run(&f.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(f.level, LEVEL_MEDIUM);
	(void)close(fd);
	close_machine(&f);
	fixture_drop(&f);
}

static void a_socket_is_told_the_trigger_and_watched(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fixture f;
	char text[64] = "";
	int listener, fd;

	fixture_make(&f);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/watch", f.root);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(listen(listener, 1), 0);
	open_machine(&f, address.sun_path, "c29tZSAyMDAwMDAgMjAwMDAwMAA=");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CU_ASSERT_EQUAL(read(fd, text, sizeof(text)), 20);
	CU_ASSERT_STRING_EQUAL(text, "some 200000 2000000");
	CU_ASSERT_EQUAL(write(fd, "p", 1), 1);
	(void)uv_run(&f.loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(f.level, LEVEL_MEDIUM);
	(void)close(fd);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT); /* its end is no event */
	CU_ASSERT_EQUAL(f.n_told, 1);
	(void)close(listener);
	close_machine(&f);
	fixture_drop(&f);
}

static void off_is_off(void)
{
	struct fixture f;

	fixture_make(&f);
	put_number(&f, "memory.max", 1024 * MIB);
	put_number(&f, "memory.current", 1000 * MIB);
	open_machine(&f, "/dev/null", NULL);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	(void)uv_run(&f.loop, UV_RUN_NOWAIT);
	CU_ASSERT_EQUAL(f.n_told, 0);
	close_machine(&f);
	fixture_drop(&f);
}

CU_TestInfo test_machine[] = {
	{"base64 is decoded", base64_is_decoded},
	{"a psi file is read", a_psi_file_is_read},
	{"the distance to memory max counts", the_distance_to_memory_max_counts},
	{"a small limit has small units", a_small_limit_has_small_units},
	{"memory high is where the kernel slows us", memory_high_is_where_the_kernel_slows_us},
	{"what cannot be watched is said", what_cannot_be_watched_is_said},
	{"a limit is told at the first look", a_limit_is_told_at_the_first_look},
	{"a trigger that is gone is no pressure", a_trigger_that_is_gone_is_no_pressure},
	{"a fifo is watched", a_fifo_is_watched},
	{"a socket is told the trigger and watched", a_socket_is_told_the_trigger_and_watched},
	{"off is off", off_is_off},
	CU_TEST_INFO_NULL,
};
