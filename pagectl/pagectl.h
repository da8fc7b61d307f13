/* pagectl/pagectl.h - what the parts of pagectl share.
 *
 *   main.c       argv -> struct pagectl -> connection and view -> one command -> exit code
 *   command.c    the table of commands: dispatch and all help texts come from it
 *   options.c    argv, checked
 *   connect.c    the socket: Hello as an observer, META's descriptor, one call at a time
 *   show_*.c     read META, print: a table for people or one JSON object (json.h)
 *   act.c        check, drain, reclaim: one call each
 *   act_set.c    set: limits of a client
 *   act_config.c config: every key in force, its value and where it stands
 *   act_why.c    why: who holds what, and why it was not reclaimed
 *   offline*.c   check --offline: the segments of a dead daemon, recovered and recounted as copies
 *   verdict.c    what both checks say in the end
 *   top*.c       top: samples, tables, the screen (top.h leads through them)
 *   map*.c       map: the frames as a picture (map.h)
 *   watch.c      --watch; follow.c for all that stays while daemons come and go
 *   act_run.c    run: a command with a daemon of its own
 *   run.c        how large a block a zone has, and could have
 *   host.c       what /proc and /sys know beside META
 *   exporter.c   exporter: the metrics over HTTP, at a socket of listen.c
 *   metrics.c    META in Prometheus' text format
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

#define PAGECTL_MAX_OPERANDS 8u /* of one command */

struct command;

struct pagectl {
	/* set by options_parse() */
	const struct command *command;
	const char *socket;      /* --socket, NULL: search */
	const char *runtime_dir; /* --runtime-dir, NULL: search */
	bool want_json;
	bool want_help;
	bool want_version;
	bool want_offline;    /* check --offline */
	const char *instance; /* --instance, NULL: as paged would choose it */
	const char *aside;    /* --aside, NULL: the segments in use */
	bool want_all;        /* pcp --all */
	bool want_verbose;    /* vmstat --verbose */
	bool want_dry_run;    /* reclaim --dry-run */
	const char *cache;    /* reclaim --cache, NULL: all */
	client_id client;     /* drain --client, CLIENT_NONE: all */
	uint32_t n_operands;  /* what stands behind the command, for those that take some */
	const char *operand[PAGECTL_MAX_OPERANDS];
	uint64_t n_frames;   /* reclaim --frames, 0: not given */
	uint64_t older_s;    /* clients --older-than, in seconds, 0: all */
	bool want_simulate;  /* pressure --simulate */
	uint64_t simulate;   /* a level, or SET_DEFAULT */
	bool want_watch;     /* status --watch */
	uint32_t interval_s; /* top, status --watch; 0: not given */
	const char *out;     /* map --out, NULL: text to stdout */
	const char *size;    /* run --size, NULL: not given */
	const char *config;  /* run --config, NULL: none */
	const char *paged;   /* run --paged, NULL: searched for */
	char **program;      /* run: what stands behind --; ends with NULL */
	const char *listen;  /* exporter --listen, NULL: not given */
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
int show_psi(struct pagectl *ctl);
int show_top(struct pagectl *ctl);
int show_map(struct pagectl *ctl);
int show_metrics(struct pagectl *ctl);
int run_exporter(struct pagectl *ctl);
int act_pressure(struct pagectl *ctl);
int act_check(struct pagectl *ctl);
int act_check_offline(const struct pagectl *ctl);
int act_drain(struct pagectl *ctl);
int act_reclaim(struct pagectl *ctl);
int act_set(struct pagectl *ctl);
int act_resize(struct pagectl *ctl);
int act_why(struct pagectl *ctl);
int act_run(struct pagectl *ctl);
int act_config(struct pagectl *ctl);

/* Calls, and prints to stderr if no reply comes. What the reply's status means is the caller's to
 * say: a Check that finds a broken invariant is an answer. Returns an enum pagectl_exit. */
int act_call(struct pagectl *ctl, struct message *request, struct message_reply *ret_reply);
/* A number of frames: 4096, 64M, 25% of the segment, none. Returns an enum pagectl_exit; what is
 * wrong is on stderr. */
int act_parse_frames(const struct pagectl *ctl, const char *text, uint64_t *ret_frames);
/* `CLIENT:ID`, a client's number and its cache's; false: it is none, and perhaps a name. */
bool act_parse_cache(const char *text, uint32_t *ret_client, uint32_t *ret_cache);
/* Prints why the daemon refused; returns PAGECTL_FAILED. */
int act_refused(const struct pagectl *ctl, const struct message_reply *reply);

/* Prints each counter's name, unit and meaning: the rest of `vmstat --help`. */
void show_vmstat_help(void);
/* Prints each series' name, type and meaning: the rest of `metrics --help`. */
void show_metrics_help(void);

/* A copy of each client whose slot is in use, in slot order, and how many. The array is the
 * caller's to free(); NULL if memory is short. */
struct shm_client *clients_copy(const struct shm_view *view, uint32_t *ret_n);

#endif
