/* tests/chaos/main.c - chaos --minutes N [--seed S]: real processes, killed all the time, and in
 * the end not one frame lost or in two hands.
 *
 *   main (this)  --- spawns, kills, respawns ---  supervisor -- server
 *      |                                             ^
 *      | board (board.h)                             | sockets, segments
 *      v                                             v
 *   8 honest clients, the stopper    2 scribblers    1 hog          (cast.h)
 *
 * Every ten seconds all honest clients rest, their magazines are drained, and the walker
 * (walker.h) compares what they say they hold with META, frame by frame, both ways. At the end
 * everybody gives everything back, and every frame has to be free. run.h has the files. Exit status
 * 0, or 1 if anything at all was not right; all that it made is removed, also after Ctrl-C. */
#include "tests/chaos/run.h"

#include "paged/check.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_LINES 40u

_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "chaos: %s:%d: %s\n", file, line, what);
	abort();
}

static _Noreturn void usage(int status)
{
	(void)fprintf(status ? stderr : stdout,
		      "usage: chaos [--minutes N] [--seed S] [--paged FILE] [--pagectl FILE]\n");
	exit(status);
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {{"minutes", required_argument, NULL, 'm'},
					      {"seed", required_argument, NULL, 's'},
					      {"paged", required_argument, NULL, 'd'},
					      {"pagectl", required_argument, NULL, 'c'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	char *end = NULL;
	int c;

	*options = (struct options){.minutes = 1, .paged = CHAOS_PAGED, .pagectl = CHAOS_PAGECTL};
	options->seed = chaos_now_ns() % 1000000;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'm')
			options->minutes = strtod(optarg, &end);
		else if (c == 's')
			options->seed = strtoull(optarg, &end, 0);
		else if (c == 'd')
			options->paged = optarg;
		else if (c == 'c')
			options->pagectl = optarg;
		else
			usage(c == 'h' ? 0 : 2);
		if ((c == 'm' || c == 's') && (end == optarg || *end))
			usage(2);
	}
	if (optind != argc || !(options->minutes > 0 && options->minutes <= 1440))
		usage(2);
}

static int open_signals(void)
{
	sigset_t ours;

	(void)signal(SIGPIPE, SIG_IGN); /* who reads what we print may go */
	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGINT);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGHUP);
	(void)sigaddset(&ours, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &ours, NULL);
	return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool begin(struct run *run)
{
	char text[256] = "";

	run->signal_fd = open_signals();
	if (run->signal_fd < 0 ||
	    !daemon_make(&run->daemon, run->options.paged, run->options.pagectl))
		return false;
	/* It listens before there is a segment; once it has answered there is one. */
	if (!daemon_start(&run->daemon) || !daemon_listens(&run->daemon) ||
	    daemon_ctl(&run->daemon, "check", text, sizeof(text)) != 0) {
		(void)fprintf(stderr, "chaos: the daemon does not start: %s\n", text);
		return false;
	}
	if (!walker_open(&run->walker, run->daemon.instance))
		return false;
	run->board->seed = run->options.seed;
	(void)snprintf(run->board->socket, sizeof(run->board->socket), "%s", run->daemon.socket);
	run->begun_ns = chaos_now_ns();
	run->board->begun_ns = run->begun_ns;
	cast_start(&run->cast, run->board);
	return true;
}

/* Whatever is left, in whatever way it came to this. */
static void clean_up(struct run *run)
{
	cast_end(&run->cast);
	if (run->daemon.pid) {
		(void)kill(run->daemon.pid, SIGKILL); /* the server goes with it */
		(void)waitpid(run->daemon.pid, NULL, 0);
	}
	walker_close(&run->walker);
	if (run->daemon.directory[0])
		daemon_remove(&run->daemon);
	board_free(run->board);
}

int main(int argc, char **argv)
{
	static struct run run;
	bool good;

	parse(argc, argv, &run.options);
	run.board = board_new();
	report_begin(&run);
	good = begin(&run);
	if (good) {
		run_schedule(&run);
		rest_end(&run);
		good = report_end(&run);
	}
	if (!good && !run.interrupted) {
		(void)fprintf(stderr, "chaos: the end of the daemon's log:\n");
		daemon_print_log(&run.daemon, LOG_LINES);
	}
	clean_up(&run);
	return good ? 0 : 1;
}
