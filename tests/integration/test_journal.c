/* tests/integration/test_journal.c - entries of the journal: ids and fields as they arrive, and the
 * catalogue as journalctl takes it.
 *
 * The daemon runs in a mount namespace whose /run/systemd/journal is the test's directory, with the
 * test at the socket in the journal's place; only root can set that up. */
#include "tests/integration/child.h"
#include "tests/integration/clock.h"
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern CU_TestInfo test_journal[];

#define ENTRY_BYTES 4096u

static const char config[] = "[segment]\nsize = 64M\nbacking = memfd\n"
			     "[client name=greedy]\nmin = 60%\n";

struct journal {
	int fd;
	struct sockaddr_un address;
	char entry[ENTRY_BYTES]; /* the last one */
};

static const char id_serving[] = "ebd39b3b05bb0af1f134059d221de469";
static const char id_stopped[] = "c9bef3169f7968b319ac0d7fc70ace0d";
static const char id_server_died[] = "7ba8f806bb57665a86b08557589814b5";
static const char id_config_changed[] = "383961d0fe2b95bfa5e2a0d506569a45";
static const char id_min_cut[] = "39ef87d1536def3282cd8539f79e792e";

/* --- the journal ----------------------------------------------------------------------------- */

static void journal_open(struct journal *journal, const struct fixture *f)
{
	*journal = (struct journal){.address.sun_family = AF_UNIX};
	journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(journal->address.sun_path, sizeof(journal->address.sun_path), "%s/socket",
		       f->directory);
	CU_ASSERT_EQUAL(bind(journal->fd, (const struct sockaddr *)&journal->address,
			     sizeof(journal->address)),
			0);
}

static void journal_close(struct journal *journal)
{
	(void)close(journal->fd);
	(void)unlink(journal->address.sun_path);
}

/* In the daemon's process: our directory takes the place of the journal's, and its stderr is said
 * to be the journal. */
static void move_in(struct fixture *f)
{
	char stream[64];
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, "size=1M") < 0 || mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0 ||
	    mount(f->directory, "/run/systemd/journal", NULL, MS_BIND, NULL) < 0 ||
	    fstat(STDERR_FILENO, &st) < 0)
		_exit(1);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	(void)setenv("JOURNAL_STREAM", stream, 1);
}

static int try_move_in(int fd, void *arg)
{
	(void)fd;
	move_in(arg);
	return 0;
}

/* Does the entry have that line? */
static bool has(const struct journal *journal, const char *field)
{
	size_t n = strlen(field);

	for (const char *line = journal->entry; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, field, n) == 0 && (line[n] == '\n' || field[n - 1] == '='))
			return true;
	}
	return false;
}

/* Waits for an entry with that id, past others. */
static bool gets(struct journal *journal, const char *id)
{
	char field[64];

	(void)snprintf(field, sizeof(field), "MESSAGE_ID=%s", id);
	for (uint64_t until = clock_until(CLOCK_PATIENCE_MS);;) {
		struct pollfd fd = {.fd = journal->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&fd, 1, clock_left_ms(until)) <= 0)
			return false;
		n = recv(journal->fd, journal->entry, ENTRY_BYTES - 1, 0);
		journal->entry[n > 0 ? n : 0] = '\0';
		if (has(journal, field))
			return true;
	}
}

/* False: skipped. */
static bool open_both(struct fixture *f, struct journal *journal, const char *test)
{
	struct child child;

	fixture_make(f, config);
	if (!child_start(&child, try_move_in, f) || child_end(&child) != 0) {
		fixture_skip(test, "no mount namespace here to take the journal's place in");
		fixture_close(f);
		return false;
	}
	journal_open(journal, f);
	f->before_exec = move_in;
	CU_ASSERT_TRUE(fixture_start(f));
	return true;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void entries_have_their_id_and_fields(void)
{
	struct journal journal;
	struct fixture f;
	char field[64];

	if (!open_both(&f, &journal, "entries have their id and fields"))
		return;
	CU_ASSERT_TRUE(gets(&journal, id_serving));
	(void)snprintf(field, sizeof(field), "PAGED_INSTANCE=%s", f.instance);
	CU_ASSERT_TRUE(has(&journal, field));
	CU_ASSERT_TRUE(has(&journal, "PRIORITY=6"));
	CU_ASSERT_TRUE(has(&journal, "SYSLOG_IDENTIFIER=paged"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_SEGMENT_BYTES=67108864"));
	fixture_configure(&f, "[segment]\nsize = 64M\nbacking = memfd\n"
			      "[limits]\nhandshakes = 9\n[client name=greedy]\nmin = 60%\n");
	CU_ASSERT_EQUAL(kill(f.pid, SIGHUP), 0);
	CU_ASSERT_TRUE(gets(&journal, id_config_changed));
	CU_ASSERT_TRUE(has(&journal, "PAGED_KEY=limits.handshakes"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_VALUE=9"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_OLD_VALUE=64"));
	(void)snprintf(field, sizeof(field), "PAGED_SERVER_PID=%d", fixture_server(&f));
	CU_ASSERT_EQUAL(kill(fixture_server(&f), SIGKILL), 0);
	CU_ASSERT_TRUE(gets(&journal, id_server_died));
	CU_ASSERT_TRUE(has(&journal, field));
	CU_ASSERT_TRUE(has(&journal, "PAGED_SIGNAL=9"));
	CU_ASSERT_TRUE(has(&journal, "PRIORITY=3"));
	CU_ASSERT_TRUE(gets(&journal, id_serving));
	CU_ASSERT_TRUE(has(&journal, "PAGED_CLIENTS=0"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_RECOVERED_USEC="));
	fixture_stop(&f);
	CU_ASSERT_TRUE(gets(&journal, id_stopped));
	journal_close(&journal);
	fixture_close(&f);
}

/* What is pruned every day is no entry; what an administrator has to know of a client is one, with
 * who it is. */
static void eviction_is_no_entry_and_a_cut_min_is_one(void)
{
	struct journal journal;
	struct fixture f;
	struct program ctl;
	pageclient *client, *other;
	char field[64];

	if (!open_both(&f, &journal, "eviction is no entry and a cut min is one"))
		return;
	CU_ASSERT_TRUE(gets(&journal, id_serving));
	client = fixture_client(&f, "greedy");
	for (uint32_t i = 0; i < 100; i++)
		pageclient_free(client, pageclient_alloc(client, 0, 0), 0);
	fixture_ctl(&f, &ctl, "reclaim", "--frames", "50", NULL);
	CU_ASSERT_EQUAL(ctl.status, 0);
	program_done(&ctl);
	fixture_drain(&f);
	CU_ASSERT_EQUAL(recv(journal.fd, journal.entry, ENTRY_BYTES, MSG_DONTWAIT), -1);
	other = fixture_client(&f, "greedy");
	CU_ASSERT_TRUE(gets(&journal, id_min_cut));
	CU_ASSERT_TRUE(has(&journal, "PRIORITY=4"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_CLIENT=2"));
	CU_ASSERT_TRUE(has(&journal, "PAGED_CLIENT_NAME=greedy"));
	(void)snprintf(field, sizeof(field), "PAGED_CLIENT_PID=%d", getpid());
	CU_ASSERT_TRUE(has(&journal, field));
	(void)snprintf(field, sizeof(field), "PAGED_CLIENT_UID=%u", geteuid());
	CU_ASSERT_TRUE(has(&journal, field));
	pageclient_close(other);
	pageclient_close(client);
	journal_close(&journal);
	fixture_close(&f);
}

static void journalctl_takes_the_catalogue(void)
{
	char line[1024];
	const char *argv[] = {"sh", "-c", line, NULL};
	struct program shell;
	struct fixture f;

	if (access("/usr/bin/journalctl", X_OK) != 0) {
		fixture_skip("journalctl takes the catalogue", "no journalctl");
		return;
	}
	fixture_make(&f, "");
	(void)snprintf(line, sizeof(line),
		       "cd %s && mkdir -p usr/lib/systemd/catalog var/lib/systemd/catalog && cp %s "
		       "usr/lib/systemd/catalog/ && journalctl --update-catalog --root=$PWD && "
		       "journalctl --list-catalog --root=$PWD; rm -r usr var",
		       f.directory, PAGED_SOURCE_DIR "/packaging/paged.catalog");
	program_run(&shell, argv);
	CU_ASSERT_EQUAL(shell.status, 0);
	CU_ASSERT_STRING_EQUAL(shell.err, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(shell.out, id_serving));
	CU_ASSERT_PTR_NOT_NULL(strstr(shell.out, " paged: paged serves\n"));
	program_done(&shell);
	fixture_close(&f);
}

CU_TestInfo test_journal[] = {
	{"entries have their id and fields", entries_have_their_id_and_fields},
	{"eviction is no entry, and a cut min is one", eviction_is_no_entry_and_a_cut_min_is_one},
	{"journalctl takes the catalogue", journalctl_takes_the_catalogue},
	CU_TEST_INFO_NULL,
};
