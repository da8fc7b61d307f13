/* pagectl/main.c - from argv to an exit code.
 *
 * One command, one connection (`check --offline` has none), one view of META, one answer on stdout.
 * Everything is read in one thread and the process ends; so errors are printed where they are met
 * and nothing is retried. */
#include "pagectl/command.h"
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/options.h"
#include "pagectl/pagectl.h"
#include "pagectl/watch.h"
#include "paged/check.h"

#define PAGECLIENT_NO_INLINE
#include "pageclient/pageclient.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* A bug of ours: pagectl holds nothing that others need, so it says so and ends. */
_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "pagectl: %s:%d: this should be true: %s\n", file, line, what);
	abort();
}

/* Connects and maps META. Returns an enum pagectl_exit; what went wrong is on stderr. */
static int attach(struct pagectl *ctl)
{
	char text[CONNECT_TEXT_BYTES];
	int r;

	r = connection_open(&ctl->connection, ctl->socket, ctl->runtime_dir, text, sizeof(text));
	if (r != 0) {
		fprintf(stderr, "pagectl: %s\n", text);
		return r == CONNECT_UNREACHABLE ? PAGECTL_UNREACHABLE : PAGECTL_FAILED;
	}
	r = shm_view_attach(&ctl->view, ctl->connection.meta_fd, text, sizeof(text));
	if (r < 0) {
		fprintf(stderr, "pagectl: %s\n", text);
		connection_close(&ctl->connection);
		return PAGECTL_FAILED;
	}
	return PAGECTL_OK;
}

static int run(struct pagectl *ctl)
{
	int r;

	if (ctl->want_offline)
		return act_check_offline(ctl);
	if (ctl->command->is_alone)
		return ctl->command->run(ctl);
	r = attach(ctl);
	if (r != PAGECTL_OK)
		return r;
	r = ctl->want_watch ? watch(ctl) : ctl->command->run(ctl);
	shm_view_detach(&ctl->view);
	connection_close(&ctl->connection);
	return r;
}

int main(int argc, char **argv)
{
	struct pagectl ctl = {.command = NULL};
	int r;

	opterr = 0; /* options.c words its own errors */
	json_init();
	r = options_parse(&ctl, argc, argv);
	if (r != PAGECTL_OK)
		return r;
	if (ctl.want_version)
		printf("pagectl %s\n", human_version(PAGECLIENT_VERSION).s);
	else if (ctl.want_help)
		command_print_help(ctl.command, stdout);
	else
		r = run(&ctl);
	errno = 0;
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "pagectl: cannot write the output%s%s\n", errno ? ": " : "",
			errno ? human_errno(errno).s : "");
		return PAGECTL_FAILED;
	}
	return r;
}
