/* tests/unit/test_groups.c - daemon/wire/groups, and [client gid=...] sections: who is in a group.
 */
#include "daemon/wire/groups.h"
#include "tests/unit/ladder_fixture.h"

#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void groups_are_those_of_a_process(void)
{
	struct session_groups groups;

	groups_parse("Name:\tx\nGroups:\t4 24 1000 \nNStgid:\t1\n", &groups);
	CU_ASSERT_EQUAL(groups.n, 3);
	CU_ASSERT_EQUAL(groups.gid[0], 4);
	CU_ASSERT_EQUAL(groups.gid[2], 1000);
	groups_parse("Name:\tx\nGroups:\t \nNStgid:\t1 2\n", &groups);
	CU_ASSERT_EQUAL(groups.n, 0);
	groups_parse("Groups:\t3 \n", &groups); /* a name of a process may not say it */
	CU_ASSERT_EQUAL(groups.n, 0);
	groups_parse("\nGroups:\t3 x", &groups);
	CU_ASSERT_EQUAL(groups.n, 1);
	groups_parse("\nGroups:\t3 44", &groups); /* the file was cut here */
	CU_ASSERT_EQUAL(groups.n, 1);
	groups_parse("", &groups);
	CU_ASSERT_EQUAL(groups.n, 0);
}

/* Those of a peer, and of a client that is adopted. */
static void check_own(int n, const gid_t *own, const struct session_groups *groups)
{
	CU_ASSERT_EQUAL(groups->n, n < (int)SESSION_MAX_GROUPS ? (uint32_t)n : SESSION_MAX_GROUPS);
	for (uint32_t i = 0; i < groups->n; i++) {
		bool is_own = false;

		for (int k = 0; k < n; k++)
			is_own |= own[k] == groups->gid[i];
		CU_ASSERT(is_own);
	}
}

static void a_peer_has_the_groups_that_the_process_has(void)
{
	static gid_t own[65536];
	struct session_groups groups;
	int pair[2], n = getgroups(65536, own);

	CU_ASSERT_FATAL(n >= 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL(groups_of_peer(pair[0], &groups), 0);
	check_own(n, own, &groups);
	CU_ASSERT_EQUAL(groups_of((uint32_t)getpid(), &groups), 0);
	check_own(n, own, &groups);
	CU_ASSERT_EQUAL(groups_of(0, &groups), 0);
	CU_ASSERT_EQUAL(groups.n, 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
	CU_ASSERT_EQUAL(groups_of_peer(pair[0], &groups), -EBADF);
}

static void more_groups_than_are_kept_are_cut(void)
{
	static gid_t many[100];
	int pair[2], status = 0;
	pid_t pid;

	if (geteuid() != 0) {
		puts("  (only root may set groups: skipped)");
		return;
	}
	for (uint32_t i = 0; i < 100; i++)
		many[i] = 3000 + i;
	pid = fork();
	if (pid == 0) {
		struct session_groups of_peer, of_proc;

		if (setgroups(100, many) < 0 ||
		    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
		    groups_of_peer(pair[0], &of_peer) < 0 ||
		    groups_of((uint32_t)getpid(), &of_proc) < 0 ||
		    memcmp(&of_peer, &of_proc, sizeof of_peer) != 0 ||
		    of_peer.n != SESSION_MAX_GROUPS || of_peer.gid[0] != 3000 ||
		    of_peer.gid[31] != 3031)
			_exit(1);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static void a_section_of_a_group_is_for_all_that_are_in_it(void)
{
	struct limits_rule rule = {.criteria = RULE_GID,
				   .gid = 77,
				   .given = SHM_SET_MIN,
				   .min = 50,
				   .match = "gid=77"};
	struct shell *s = shell_open(NR_FRAMES);
	struct shell_client in, out;

	set_rules(s, &rule, 1);
	s->peer.groups = (struct session_groups){.n = 1, .gid = {77}};
	in = shell_attach(s, "in", 0);
	s->peer.groups.n = 0;
	out = shell_attach(s, "out", 0);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, in.id)->min, 50);
	CU_ASSERT_EQUAL(pool_client(s->pool.pool, out.id)->min, 0);
	/* And who may only observe by it attaches nothing. */
	rule = (struct limits_rule){
		.criteria = RULE_GID, .gid = 77, .given = RULE_GIVES_ACCESS, .observe_only = true};
	set_rules(s, &rule, 1);
	/* Who was there before is left alone, and people are told. */
	CU_ASSERT_PTR_NOT_NULL(strstr(s->log, "1 clients that it would refuse now stay"));
	CU_ASSERT_PTR_NOT_NULL(shell_refill(s, in, MAGAZINE_HOT, 0));
	s->peer.groups.n = 1;
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 9),
				  &(struct message){.kind = MESSAGE_HELLO,
						    .hello = {.version_min = PROTOCOL_VERSION,
							      .version_max = PROTOCOL_VERSION}})
				->status,
			-EACCES);
	shell_close(s);
}

CU_TestInfo test_groups[] = {
	{"groups are those of a process", groups_are_those_of_a_process},
	{"a peer has the groups that the process has", a_peer_has_the_groups_that_the_process_has},
	{"more groups than are kept are cut", more_groups_than_are_kept_are_cut},
	{"a section of a group is for all that are in it",
	 a_section_of_a_group_is_for_all_that_are_in_it},
	CU_TEST_INFO_NULL,
};
