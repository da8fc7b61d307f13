/* pagectl/options.c - argv, checked.
 *
 * Options may stand before and after the command, and which of them a command takes is in
 * command.c's table; so all are collected first and judged at the end. */
#include "pagectl/options.h"

#include "pagectl/command.h"
#include "pagectl/status.h"
#include "shm/instance.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { /* what getopt_long() returns for options without a letter */
       LONG_SOCKET = 256,
       LONG_RUNTIME_DIR,
       LONG_JSON,
       LONG_VERSION,
       LONG_ALL,
       LONG_CLIENT,
       LONG_FRAMES,
       LONG_CACHE,
       LONG_DRY_RUN,
       LONG_OLDER_THAN,
       LONG_SIMULATE,
       LONG_OFFLINE,
       LONG_INSTANCE,
       LONG_ASIDE,
       LONG_WATCH,
       LONG_OUT,
       LONG_SIZE,
       LONG_CONFIG,
       LONG_PAGED,
       LONG_LISTEN,
};

static const struct option long_options[] = {
	{"socket", required_argument, NULL, LONG_SOCKET},
	{"runtime-dir", required_argument, NULL, LONG_RUNTIME_DIR},
	{"json", no_argument, NULL, LONG_JSON},
	{"version", no_argument, NULL, LONG_VERSION},
	{"all", no_argument, NULL, LONG_ALL},
	{"client", required_argument, NULL, LONG_CLIENT},
	{"frames", required_argument, NULL, LONG_FRAMES},
	{"cache", required_argument, NULL, LONG_CACHE},
	{"dry-run", no_argument, NULL, LONG_DRY_RUN},
	{"older-than", required_argument, NULL, LONG_OLDER_THAN},
	{"simulate", required_argument, NULL, LONG_SIMULATE},
	{"offline", no_argument, NULL, LONG_OFFLINE},
	{"instance", required_argument, NULL, LONG_INSTANCE},
	{"aside", required_argument, NULL, LONG_ASIDE},
	{"watch", optional_argument, NULL, LONG_WATCH},
	{"out", required_argument, NULL, LONG_OUT},
	{"size", required_argument, NULL, LONG_SIZE},
	{"config", required_argument, NULL, LONG_CONFIG},
	{"paged", required_argument, NULL, LONG_PAGED},
	{"listen", required_argument, NULL, LONG_LISTEN},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* One way to say it all: "pagectl: <what> '<argument>'; try pagectl --help". */
static int usage(const char *what, const char *argument)
{
	fprintf(stderr, "pagectl: %s '%s'; try pagectl --help\n", what, argument);
	return PAGECTL_USAGE;
}

/* A decimal number from 1 to max, all of text. */
static int parse_number(const char *option, const char *text, uint64_t max, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value < 1 || value > max) {
		fprintf(stderr,
			"pagectl: %s '%s' is not a number from 1 to %llu; try pagectl --help\n",
			option, text, (unsigned long long)max);
		return PAGECTL_USAGE;
	}
	*ret_value = value;
	return PAGECTL_OK;
}

#define N_LEVELS 4u /* of enum pageclient_level */

/* The name of a level, or off. */
static int parse_level(const char *text, uint64_t *ret_level)
{
	for (uint32_t level = 0; level < N_LEVELS; level++)
		if (strcmp(text, status_pressure(level)) == 0) {
			*ret_level = level;
			return PAGECTL_OK;
		}
	*ret_level = SET_DEFAULT;
	if (strcmp(text, "off") == 0)
		return PAGECTL_OK;
	return usage("none, low, medium, critical or off would be right for --simulate, not", text);
}

/* "90", "90s", "5m", "1h", "2d" in seconds. */
static int parse_age(const char *text, uint64_t *ret_seconds)
{
	static const struct {
		char letter;
		uint32_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (isdigit((unsigned char)text[0]) && !errno && value >= 1 && value < 1u << 31 &&
		    *end == units[i].letter && (*end == '\0' || end[1] == '\0')) {
			*ret_seconds = value * units[i].seconds;
			return PAGECTL_OK;
		}
	return usage("an age like 90s, 5m, 1h or 2d would be right for --older-than, not", text);
}

static int take_operand(struct pagectl *ctl, const char *text)
{
	const struct command *command = command_find(text);

	if (!ctl->command && !command)
		return usage("unknown command", text);
	if (!ctl->command) {
		ctl->command = command;
		return PAGECTL_OK;
	}
	if (!ctl->want_help && ctl->n_operands < ctl->command->max_operands) {
		ctl->operand[ctl->n_operands++] = text;
		return PAGECTL_OK;
	}
	if (ctl->command->run || ctl->want_help) /* only help takes a command */
		return usage("unexpected argument", text);
	if (!command)
		return usage("unknown command", text);
	ctl->command = command;
	ctl->want_help = true;
	return PAGECTL_OK;
}

#define SECONDS_MAX 86400u

/* The values of `top`, `map`, `run` and `status --watch`. True if option is one of them. */
static bool take_seeing(struct pagectl *ctl, int option, uint32_t *seen, int *ret_r)
{
	uint64_t value = 0;

	switch (option) {
	case LONG_WATCH:
		ctl->want_watch = true;
		if (optarg)
			*ret_r = parse_number("--watch", optarg, SECONDS_MAX, &value);
		ctl->interval_s = (uint32_t)value;
		*seen |= OPTION_WATCH;
		return true;
	case LONG_OUT:
		ctl->out = optarg;
		*seen |= OPTION_OUT;
		return true;
	case LONG_SIZE:
		ctl->size = optarg;
		break;
	case LONG_CONFIG:
		ctl->config = optarg;
		break;
	case LONG_PAGED:
		ctl->paged = optarg;
		break;
	default:
		return false;
	}
	*seen |= OPTION_RUN;
	return true;
}

static int take_option(struct pagectl *ctl, int option, uint32_t *seen)
{
	uint64_t value = 0;
	int r = PAGECTL_OK;

	if (take_seeing(ctl, option, seen, &r))
		return r;
	if (option == LONG_SOCKET) {
		ctl->socket = optarg;
	} else if (option == LONG_RUNTIME_DIR) {
		ctl->runtime_dir = optarg;
	} else if (option == LONG_JSON) {
		ctl->want_json = true;
	} else if (option == LONG_VERSION) {
		ctl->want_version = true;
	} else if (option == 'h') {
		ctl->want_help = true;
	} else if (option == LONG_ALL) {
		ctl->want_all = true;
		*seen |= OPTION_ALL;
	} else if (option == 'v') {
		ctl->want_verbose = true;
		*seen |= OPTION_VERBOSE;
	} else if (option == LONG_CACHE) {
		ctl->cache = optarg;
		*seen |= OPTION_CACHE;
	} else if (option == LONG_SIMULATE) {
		r = parse_level(optarg, &ctl->simulate);
		ctl->want_simulate = true;
		*seen |= OPTION_SIMULATE;
	} else if (option == LONG_OLDER_THAN) {
		r = parse_age(optarg, &ctl->older_s);
		*seen |= OPTION_OLDER_THAN;
	} else if (option == LONG_LISTEN) {
		ctl->listen = optarg;
		*seen |= OPTION_LISTEN;
	} else if (option == LONG_DRY_RUN) {
		ctl->want_dry_run = true;
		*seen |= OPTION_DRY_RUN;
	} else if (option == LONG_OFFLINE) {
		ctl->want_offline = true;
		*seen |= OPTION_OFFLINE;
	} else if (option == LONG_INSTANCE) {
		ctl->instance = optarg;
		*seen |= OPTION_OFFLINE;
	} else if (option == LONG_ASIDE) {
		ctl->aside = optarg;
		*seen |= OPTION_OFFLINE;
	} else if (option == LONG_CLIENT) {
		r = parse_number("--client", optarg, SHM_MAX_CLIENTS, &value);
		ctl->client = (client_id)value;
		*seen |= OPTION_CLIENT;
	} else {
		r = parse_number("--frames", optarg, UINT32_MAX, &ctl->n_frames);
		*seen |= OPTION_FRAMES;
	}
	return r;
}

/* What names segments is well formed, and nothing names a socket. */
static int judge_offline(const struct pagectl *ctl)
{
	if (!ctl->want_offline) {
		fprintf(stderr, "pagectl: %s goes with --offline; try pagectl check --help\n",
			ctl->instance ? "--instance" : "--aside");
		return PAGECTL_USAGE;
	}
	if (ctl->socket) {
		fputs("pagectl: --offline needs no daemon, and --socket names one; try pagectl "
		      "check --help\n",
		      stderr);
		return PAGECTL_USAGE;
	}
	if (ctl->instance && !instance_name_is_valid(ctl->instance))
		return usage("an instance has up to 31 letters, digits, '_', '.' and '-', not",
			     ctl->instance);
	if (ctl->aside && (!ctl->aside[0] || strlen(ctl->aside) > INSTANCE_ASIDE_BYTES ||
			   strspn(ctl->aside, "0123456789-") != strlen(ctl->aside)))
		return usage("the digits after .old- in the names would be right for --aside, not",
			     ctl->aside);
	return PAGECTL_OK;
}

/* `top 5`, `status --watch 5`, `run -- program`. */
static int judge_seeing(struct pagectl *ctl)
{
	uint32_t takes = ctl->command->options;
	uint64_t value;
	int r;

	if (takes & OPTION_RUN && (ctl->socket || ctl->runtime_dir || ctl->want_json)) {
		fputs("pagectl: run has a daemon of its own: no --socket, --runtime-dir and "
		      "--json; try pagectl run --help\n",
		      stderr);
		return PAGECTL_USAGE;
	}
	if (takes & OPTION_RUN && !ctl->program) {
		fputs("pagectl: run needs -- COMMAND; try pagectl run --help\n", stderr);
		return PAGECTL_USAGE;
	}
	if (!(takes & OPTION_SECONDS) || !ctl->n_operands)
		return PAGECTL_OK;
	if (takes & OPTION_WATCH && (!ctl->want_watch || ctl->interval_s))
		return usage("unexpected argument", ctl->operand[0]);
	r = parse_number("an interval", ctl->operand[0], SECONDS_MAX, &value);
	if (r == PAGECTL_OK)
		ctl->interval_s = (uint32_t)value;
	return r;
}

/* Has the command all that it cannot do without, and can it do what is asked of it? */
static int judge_needs(const struct pagectl *ctl)
{
	const struct command *command = ctl->command;

	if (ctl->want_json && command->has_no_json) {
		fprintf(stderr,
			"pagectl: %s is Prometheus' text; vmstat, status and the others have "
			"--json\n",
			command->name);
		return PAGECTL_USAGE;
	}
	if ((command->options & OPTION_FRAMES) && !ctl->n_frames) {
		fprintf(stderr, "pagectl: %s needs --frames N; try pagectl %s --help\n",
			command->name, command->name);
		return PAGECTL_USAGE;
	}
	if ((command->options & OPTION_LISTEN) && !ctl->listen) {
		fprintf(stderr, "pagectl: %s needs --listen WHERE; try pagectl %s --help\n",
			command->name, command->name);
		return PAGECTL_USAGE;
	}
	if (ctl->n_operands < command->min_operands) {
		fprintf(stderr, "pagectl: %s needs %s; try pagectl %s --help\n", command->name,
			command->args, command->name);
		return PAGECTL_USAGE;
	}
	return PAGECTL_OK;
}

/* Is what was given complete, and meant for this command? */
static int judge(struct pagectl *ctl, uint32_t seen)
{
	static const struct {
		uint32_t option;
		const char *name;
	} names[] = {
		{OPTION_ALL, "--all"},           {OPTION_CLIENT, "--client"},
		{OPTION_FRAMES, "--frames"},     {OPTION_VERBOSE, "--verbose"},
		{OPTION_OFFLINE, "--offline"},   {OPTION_CACHE, "--cache"},
		{OPTION_DRY_RUN, "--dry-run"},   {OPTION_OLDER_THAN, "--older-than"},
		{OPTION_SIMULATE, "--simulate"}, {OPTION_WATCH, "--watch"},
		{OPTION_OUT, "--out"},           {OPTION_RUN, "--size, --config and --paged"},
		{OPTION_LISTEN, "--listen"},
	};
	int r;

	if (ctl->socket && !ctl->socket[0])
		return usage("the path of a socket would be right for --socket, not", "");
	if (ctl->runtime_dir && !ctl->runtime_dir[0])
		return usage("a directory would be right for --runtime-dir, not", "");
	if (ctl->want_version)
		return PAGECTL_OK;
	if (ctl->command && !ctl->command->run && !ctl->want_help) {
		ctl->command = NULL; /* plain `pagectl help` */
		ctl->want_help = true;
	}
	if (ctl->want_help)
		return PAGECTL_OK;
	if (!ctl->command) {
		fputs("pagectl: no command; try pagectl --help\n", stderr);
		return PAGECTL_USAGE;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (seen & ~ctl->command->options & names[i].option) {
			fprintf(stderr, "pagectl: %s takes no '%s'; try pagectl %s --help\n",
				ctl->command->name, names[i].name, ctl->command->name);
			return PAGECTL_USAGE;
		}
	r = judge_needs(ctl);
	if (r != PAGECTL_OK)
		return r;
	if (seen & OPTION_OFFLINE)
		return judge_offline(ctl);
	if (ctl->command->options & (OPTION_SECONDS | OPTION_RUN))
		r = judge_seeing(ctl);
	if (r != PAGECTL_OK)
		return r;
	if (ctl->socket && ctl->runtime_dir) {
		fputs("pagectl: --socket and --runtime-dir exclude each other; try pagectl "
		      "--help\n",
		      stderr);
		return PAGECTL_USAGE;
	}
	return PAGECTL_OK;
}

int options_parse(struct pagectl *ctl, int argc, char **argv)
{
	uint32_t seen = 0;
	int r = PAGECTL_OK;

	/* '-': operands come in order, as option 1; ':': a missing value is told apart. */
	for (int option; r == PAGECTL_OK;) {
		char letter[3] = "-?";

		option = getopt_long(argc, argv, "-:hv", long_options, NULL);
		if (option == -1)
			break;
		letter[1] = (char)(optopt > 0 && optopt < 128 ? optopt : '?');
		if (option == 1)
			r = take_operand(ctl, optarg);
		else if (option == ':')
			r = usage("a value is missing after", argv[optind - 1]);
		else if (option == '?' && !strncmp(argv[optind - 1], "--", 2))
			r = usage("unknown option", argv[optind - 1]);
		else if (option == '?')
			r = usage("unknown option", letter);
		else
			r = take_option(ctl, option, &seen);
	}
	if (r == PAGECTL_OK && optind < argc && ctl->command &&
	    ctl->command->options & OPTION_RUN) {
		ctl->program = argv + optind;
		optind = argc;
	}
	while (r == PAGECTL_OK && optind < argc) /* after "--" */
		r = take_operand(ctl, argv[optind++]);
	return r == PAGECTL_OK ? judge(ctl, seen) : r;
}
