/* pagectl/pagectl.h - what the parts of pagectl share.
 *
 *   main.c       argv -> struct pagectl -> connection and view -> one command -> exit code
 *   command.c    the table of commands: dispatch and all help texts come from it
 *   options.c    argv, checked
 *   connect.c    the socket: Hello as an observer, META's descriptor, one call at a time
 *   show_*.c     read META, print: a table for people or one JSON object (json.h)
 *   act.c        check, drain, reclaim: one call each
 *   host.c       what /proc and /sys know beside META
 *   table.c, human.c  aligned columns, sizes and times for people
 *
 * pagectl is an observer: it gets META read-only and nothing else, reads it without locks while the
 * daemon goes on writing, and so copies each record before it looks at it. Numbers of two records
 * may be of two moments; `pagectl check` asks the daemon for a verdict on one.
 *
 * Names in META come from clients. They are printed through human_clean(), so that no client can
 * send control sequences to an administrator's terminal. */
#ifndef PAGECTL_PAGECTL_H
#define PAGECTL_PAGECTL_H
#include "pagectl/connect.h"
#include "shm/view.h"

#include <stdbool.h>

#define PAGECTL_JSON_VERSION 1 /* of every --json object; fields are added, never changed */

/* The process's exit code; every command returns one. */
enum pagectl_exit {
	PAGECTL_OK = 0,
	PAGECTL_FAILED = 1,
	PAGECTL_USAGE = 2,
	PAGECTL_UNREACHABLE = 3,
};

struct command;

struct pagectl {
	/* set by options_parse() */
	const struct command *command;
	const char *socket;      /* --socket, NULL: search */
	const char *runtime_dir; /* --runtime-dir, NULL: search */
	bool want_json;
	bool want_help;
	bool want_version;
	bool want_all;     /* pcp --all */
	bool want_verbose; /* vmstat --verbose */
	client_id client;  /* drain --client, CLIENT_NONE: all */
	uint64_t n_frames; /* reclaim --frames, 0: not given */
	/* set by main() for a command that runs */
	struct connection connection;
	struct shm_view view;
};

/* The commands. Each prints to stdout (a failure to stderr) and returns an enum pagectl_exit. */
int show_status(struct pagectl *ctl);
int show_zones(struct pagectl *ctl);
int show_pcp(struct pagectl *ctl);
int show_clients(struct pagectl *ctl);
int show_caches(struct pagectl *ctl);
int show_vmstat(struct pagectl *ctl);
int act_check(struct pagectl *ctl);
int act_drain(struct pagectl *ctl);
int act_reclaim(struct pagectl *ctl);

/* Prints each counter's name, unit and meaning: the rest of `vmstat --help`. */
void show_vmstat_help(void);

/* A copy of each client whose slot is in use, in slot order, and how many. The array is the
 * caller's to free(); NULL if memory is short. */
struct shm_client *clients_copy(const struct shm_view *view, uint32_t *ret_n);

#endif
