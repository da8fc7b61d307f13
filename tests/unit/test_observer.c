/* tests/unit/test_observer.c - what an observer may ask of the session: Config; and who may be
 * nothing but an observer. */
#include "tests/support/fixture_session.h"

#include <errno.h>
#include <string.h>

extern CU_TestInfo test_observer[];

#define NR_FRAMES 4096u

static void tell_limits(struct shell *s)
{
	struct session_event event = {.kind = EVENT_LIMITS, .limits = &s->limits};

	shell_event(s, &event);
}

static const struct message_reply *ask_config(struct shell *s, uint32_t conn, uint32_t number)
{
	return shell_ask(s, conn,
			 &(struct message){.kind = MESSAGE_CONFIG, .config.number = number});
}

static void anybody_may_read_the_configuration_line_by_line(void)
{
	static const char lines[2][MESSAGE_TEXT_BYTES] = {"a\nb", "c\nd"};
	struct shell *s = shell_open(NR_FRAMES);
	uint32_t conn = shell_observe(s, SHELL_UID);
	struct shell_client client = shell_attach(s, "client", 0);
	const struct message_reply *reply;

	CU_ASSERT_EQUAL(ask_config(s, conn, 0)->status, -ENOENT);
	s->limits.config = (struct session_config){.nr_lines = 2, .serial = 7, .line = lines};
	tell_limits(s);
	for (uint32_t i = 0; i < 2; i++) {
		reply = ask_config(s, i ? client.conn : conn, i);
		CU_ASSERT_EQUAL(reply->status, 0);
		CU_ASSERT_STRING_EQUAL(reply->text, lines[i]);
		CU_ASSERT_EQUAL(reply->count, 2);
		CU_ASSERT_EQUAL(reply->result, 7);
	}
	CU_ASSERT_EQUAL(ask_config(s, conn, 2)->status, -ENOENT);
	CU_ASSERT_EQUAL(ask_config(s, conn, UINT32_MAX)->status, -ENOENT);
	shell_close(s);
}

static void who_may_observe_only_attaches_no_client(void)
{
	struct shell *s = shell_open(NR_FRAMES);
	struct message hello = shell_hello(0);
	const struct message_reply *reply;
	uint32_t conn;

	s->limits.nr_rules = 2;
	s->limits.rule[0] = (struct limits_rule){.criteria = RULE_UID,
						 .uid = SHELL_UID,
						 .given = RULE_GIVES_ACCESS,
						 .observe_only = true};
	s->limits.rule[1] = (struct limits_rule){
		.criteria = RULE_NAME, .name = "trusted", .given = RULE_GIVES_ACCESS};
	tell_limits(s);
	conn = shell_connect(s, SHELL_UID, 1);
	reply = shell_ask(s, conn, &hello);
	CU_ASSERT_EQUAL(reply->status, -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(reply->text, "access = observe"));
	CU_ASSERT_FALSE(s->open[conn]);
	CU_ASSERT_EQUAL(s->session->nr_clients, 0);
	/* As an observer it is welcome; so is another user, and who fits a later section. */
	conn = shell_observe(s, SHELL_UID);
	CU_ASSERT(s->open[conn]);
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID + 1, 1), &hello)->status, 0);
	strcpy(hello.hello.name, "trusted");
	CU_ASSERT_EQUAL(shell_ask(s, shell_connect(s, SHELL_UID, 1), &hello)->status, 0);
	shell_close(s);
}

CU_TestInfo test_observer[] = {
	{"anybody may read the configuration line by line",
	 anybody_may_read_the_configuration_line_by_line},
	{"who may observe only attaches no client", who_may_observe_only_attaches_no_client},
	CU_TEST_INFO_NULL,
};
