/* pagectl/command.c - the table, and help made from it. */
#include "pagectl/command.h"

#include <string.h>

static const struct command commands[] = {
	{
		.name = "status",
		.args = "[--watch]",
		.text = "the daemon, its segment and watermarks, what they cost",
		.more = "Frames are free, owned by one client, or shared. Holes are free\n"
			"frames that have no memory behind them yet. The two elephants are\n"
			"the metadata (mem_map and the rest) and the page tables of the\n"
			"attached processes: all tables of each process, as VmPTE in\n"
			"/proc/PID/status has them.\n\n"
			"With --watch it is shown again each second, or each SECONDS, until it\n"
			"is interrupted; it waits for a daemon that is away.\n",
		.options = OPTION_WATCH | OPTION_SECONDS,
		.max_operands = 1,
		.run = show_status,
	},
	{
		.name = "zones",
		.args = "",
		.text = "free blocks per order and migratetype, watermarks, large runs",
		.more = "As /proc/buddyinfo and /proc/pagetypeinfo. A block of order k is 1\n"
			"<< k frames. A Hole is free and not committed: it gets memory before\n"
			"it is granted.\n\n"
			"The largest run after reclaim is an estimate, from the types of\n"
			"pageblocks alone: the largest aligned run, up to order 18, of those\n"
			"that are holes, wholly free, or Reclaimable. Less comes of it where\n"
			"frames in them are pinned or kept, more where Unmovable ones are\n"
			"purgeable. The last lines say how often a block of order 9 was\n"
			"granted, or was not there when asked for, and how often a run was\n"
			"looked for and emptied for a large block.\n",
		.run = show_zones,
	},
	{
		.name = "pcp",
		.args = "[--all]",
		.text = "each magazine of each client thread: count, high, batch",
		.more = "Shows the magazines that were ever granted something; with --all,\n"
			"and with --json, each one. COUNT is what a magazine held when the\n"
			"daemon last looked, in blocks of its order. HIGH follows demand,\n"
			"BASE is where it starts. A refill is BATCH << SCALE.\n",
		.options = OPTION_ALL,
		.run = show_pcp,
	},
	{
		.name = "clients",
		.args = "",
		.text = "who is attached and what they hold",
		.more = "Sorted by OWNED, which includes what lies in magazines (MAG). SHARED\n"
			"is what a client has a reference to. Clients that had trouble\n"
			"(refused frees, lies, stalls, failed requests) or lost frames to\n"
			"reclaim are listed a second time, with the counts; those with limits\n"
			"of their own with these, and what set them. --older-than lists those\n"
			"alone that have been attached for so long: 90s, 5m, 1h, 2d.\n",
		.options = OPTION_OLDER_THAN,
		.run = show_clients,
	},
	{
		.name = "caches",
		.args = "[-v]",
		.text = "registered caches, as slabtop shows slabs",
		.more = "Sorted by FRAMES, which is the daemon's estimate; OBJECTS is what\n"
			"count() said last. SCANNED and FREED are objects, BACK the frames\n"
			"that really came back, LATE the deadlines missed, COST what a frame\n"
			"costs to rebuild. After three missed in a row the breaker is open: the\n"
			"cache is left alone for a while.\n\n"
			"The purgeable frames of a client are a row, too: OBJECTS are its\n"
			"entries, of which so many are PINNED, PURGED were taken, and REFAULTS\n"
			"of them were wanted again. With -v each cache is followed by how often\n"
			"an upcall took, scanned and brought back how much, in powers of two.\n",
		.options = OPTION_VERBOSE,
		.run = show_caches,
	},
	{
		.name = "vmstat",
		.args = "[-v]",
		.text = "all counters, `name value` per line, as /proc/vmstat",
		.more = "With -v each line also says the unit and what is counted.\n",
		.options = OPTION_VERBOSE,
		.run = show_vmstat,
		.more_help = show_vmstat_help,
	},
	{
		.name = "metrics",
		.args = "",
		.text = "everything above in Prometheus' text format 0.0.4",
		.more = "For node_exporter's textfile collector, or to look at; `pagectl "
			"exporter`\n"
			"serves the same over HTTP. At most 256 clients and 256 caches are told;\n"
			"paged_metrics_omitted counts the rest.\n",
		.has_no_json = true,
		.run = show_metrics,
		.more_help = show_metrics_help,
	},
	{
		.name = "exporter",
		.args = "--listen WHERE",
		.text = "serve `metrics` over HTTP, at /metrics, until SIGTERM",
		.more = "WHERE is ADDR:PORT, [ADDR]:PORT or unix:PATH; a port of 0 is any that is\n"
			"free, and said. Without a daemon paged_up is 0, and the next one is "
			"found\n"
			"by itself. /-/healthy tells that the exporter lives. At most 16 "
			"connections.\n",
		.options = OPTION_LISTEN,
		.is_alone = true,
		.has_no_json = true,
		.run = run_exporter,
	},
	{
		.name = "psi",
		.args = "",
		.text = "who waited for frames, and how long, as /proc/pressure",
		.more = "Of all, of each zone and of each client. some: a request waited for\n"
			"frames; full: one did, and nobody else had a request met in the last\n"
			"second (of a client: as many waited as it has threads). Shares of the\n"
			"last 10, 60 and 300 s in percent; total in microseconds. Programs\n"
			"subscribe at pressure.sock, as systemd's MEMORY_PRESSURE_WATCH has it.\n",
		.run = show_psi,
	},
	{
		.name = "top",
		.args = "[SECONDS]",
		.text = "segment, zones, clients and caches, live",
		.more = "Refreshed each second, or each SECONDS. Needs a terminal of 80x24 or\n"
			"more; the last line shows the keys, h explains them. Tab chooses a\n"
			"table, < and > the column that it is sorted by. It stays while the\n"
			"daemon is restarted. With --json two samples are taken, SECONDS apart,\n"
			"and printed once: numbers now, and rates per second between the two.\n",
		.options = OPTION_SECONDS,
		.max_operands = 1,
		.run = show_top,
	},
	{
		.name = "map",
		.args = "[--out FILE]",
		.text = "the frames as a picture: whose they are, free, holes",
		.more = "Each cell stands for as many frames as the legend says, in the order of\n"
			"pfns. A capital letter, or the sign of a state: three quarters of the\n"
			"cell or more are that. A small letter, or the other sign: most of it\n"
			"is. ! says that there is a bad frame in the cell. The clients that have\n"
			"most get a letter each, all others are Z. On a terminal there are\n"
			"colours, unless NO_COLOR is set.\n\n"
			"Which frames lie in magazines and which may be purged is known to the\n"
			"daemon, which tells root and its own user; for others they are drawn as\n"
			"their owner's, and the legend has the numbers. With --out a picture goes\n"
			"to FILE as SVG; - is the standard output.\n",
		.options = OPTION_OUT,
		.run = show_map,
	},
	{
		.name = "run",
		.args = "-- COMMAND...",
		.text = "a command with a daemon of its own, for tests and scripts",
		.more = "Starts a private daemon, runs COMMAND with $PAGED_SOCKET naming it, and\n"
			"stops it when COMMAND has ended. Its segment is nameless (backing =\n"
			"memfd) and its directory is removed, so nothing is left, however it\n"
			"ends. SIGINT, SIGTERM, SIGHUP and SIGQUIT go to COMMAND. With -v the\n"
			"daemon's log goes to stderr.\n\n"
			"Exit status: that of COMMAND, 128 + N if signal N ended it; 125 if\n"
			"there is no daemon to be had, 126 if COMMAND cannot be run, 127 if there\n"
			"is no such command.\n",
		.options = OPTION_RUN | OPTION_VERBOSE,
		.run = act_run,
		.is_alone = true,
	},
	{
		.name = "pressure",
		.args = "[--simulate ...]",
		.text = "the level of pressure: none, low, medium or critical",
		.more = "own is that of the segment, machine that of the machine, its cgroups\n"
			"and the service manager; clients are told the higher. With --simulate\n"
			"LEVEL the machine counts as that short until --simulate off: caches are\n"
			"asked, and free memory is given back after [reclaim] give_back_after.\n",
		.options = OPTION_SIMULATE,
		.run = act_pressure,
	},
	{
		.name = "check",
		.args = "[--offline]",
		.text = "recount everything; names the invariant that is broken",
		.more = "The daemon recounts while its clients go on. Exit status 0: every\n"
			"invariant holds. 1: one does not.\n\n"
			"With --offline it is pagectl that recounts, and the daemon is dead: the\n"
			"files /dev/shm/paged-INSTANCE-{meta,state,data} that it left are read,\n"
			"and recovered in copies as the next daemon would do it; the files stay\n"
			"as they are. Prints what state they were left in. The user has to be\n"
			"that of the daemon. INSTANCE is found as paged finds it (system,\n"
			"user-UID, or made from --runtime-dir). Exit status 1 also if it is\n"
			"running, or the files are no segments of this version; 3: there are\n"
			"none. Segments of backing = memfd have no name: they cannot be looked\n"
			"at; they end with the daemon and the service manager's hold on them.\n",
		.options = OPTION_OFFLINE,
		.run = act_check,
	},
	{
		.name = "drain",
		.args = "[--client ID]",
		.text = "take back what magazines hold, of all clients or one",
		.more = "Clients refill when they need to: nothing is lost, the next\n"
			"allocation is slower. Prints how many frames came back.\n",
		.options = OPTION_CLIENT,
		.run = act_drain,
	},
	{
		.name = "reclaim",
		.args = "--frames N [...]",
		.text = "get N frames back: magazines, purgeable frames, caches",
		.more = "Of all clients, in the order of reclaim: who is over its high or its\n"
			"share first, who is spared last, nobody below its min. With --client\n"
			"of one client, with --cache from one cache alone. With --dry-run nothing\n"
			"is taken: prints what could be, and from whom.\n\n"
			"Prints how many of them came back, and what from; exit status 0 even if\n"
			"that is fewer than N.\n",
		.options = OPTION_FRAMES | OPTION_CLIENT | OPTION_CACHE | OPTION_DRY_RUN,
		.run = act_reclaim,
	},
	{
		.name = "set",
		.args = "CLIENT KEY=VALUE...",
		.text = "limits of a client: min, low, high, max, weight",
		.more = "min is never reclaimed; low is spared while others have more; above high\n"
			"a client pays first; above max it gets nothing. A weight is a share: who\n"
			"holds more than its part of the segment by weight pays first, too.\n\n"
			"CLIENT is a number or a name, as `pagectl clients` shows them. A VALUE "
			"is\n"
			"a size (64M, 1G), a percentage of the segment (25%), a number of frames,\n"
			"none, or default: what the configuration says. What is set holds until\n"
			"the client ends, also if the daemon is restarted meanwhile.\n",
		.min_operands = 2,
		.max_operands = PAGECTL_MAX_OPERANDS,
		.run = act_set,
	},
	{
		.name = "resize",
		.args = "SIZE",
		.text = "how many frames are in use, up to [segment] size_max",
		.more = "SIZE is a size (512M, 2G), a percentage of the size now, a number of\n"
			"frames, or default: what the configuration says. Growing is done at\n"
			"once. Shrinking takes what is free; what is in use at the end of a zone\n"
			"is asked for and goes out of use when it is freed: `pagectl status`\n"
			"shows both sizes. Zones change from the last to the first. What is\n"
			"wanted outlives the daemon, until the configured size is changed.\n",
		.min_operands = 1,
		.max_operands = 1,
		.run = act_resize,
	},
	{
		.name = "config",
		.args = "",
		.text = "every key in force, its value, and where it stands",
		.more = "ORIGIN is FILE:LINE, or default. MEANS is what auto and a percentage are\n"
			"here, and what a reload has left for the next start. Keys of zones and of "
			"[client MATCH] sections are shown where they\n"
			"are given. What `pagectl set` and `pagectl resize` changed follows, with\n"
			"these as its origin. `paged --check-config` looks at the files instead.\n",
		.run = act_config,
	},
	{
		.name = "why",
		.args = "CLIENT|CACHE|PFN",
		.text = "who holds this, and why it was not reclaimed",
		.more = "  why client 3       or the client's name; so does `why 3`\n"
			"  why cache 3:1      CLIENT:ID as `pagectl caches` has it, or its name\n"
			"  why pfn 12345      a page frame, also as 0x3039\n"
			"A name alone is a client's, else a cache's. Says who holds it and since\n"
			"when, whether it is pinned, what could be taken and what not, and ends\n"
			"with what to do. A generation is a second, less while much is purged.\n"
			"Root and the user of the daemon may ask.\n",
		.min_operands = 1,
		.max_operands = 2,
		.run = act_why,
	},
	{
		.name = "help",
		.args = "[COMMAND]",
		.text = "this text, or that of one command",
	},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	uint32_t option; /* 0: for every command */
	const char *name;
	const char *text;
} options[] = {
	{OPTION_ALL, "--all", "also magazines that were never granted anything"},
	{OPTION_CACHE, "--cache CLIENT:ID", "this cache only; or its NAME, if no other has it"},
	{OPTION_DRY_RUN, "--dry-run", "take nothing, say what could be taken"},
	{OPTION_CLIENT, "--client ID", "this client only, as `pagectl clients` numbers them"},
	{OPTION_OFFLINE, "--offline", "the segments of a daemon that does not run, read-only"},
	{OPTION_OFFLINE, "--instance NAME", "of this instance; with --offline"},
	{OPTION_OFFLINE, "--aside TIME", "those put aside as *.old-TIME; with --offline"},
	{OPTION_FRAMES, "--frames N", "how many frames, 1 and up"},
	{OPTION_SIMULATE, "--simulate LEVEL",
	 "none, low, medium, critical; off: as the machine is"},
	{OPTION_OLDER_THAN, "--older-than AGE", "attached for so long: 90s, 5m, 1h, 2d"},
	{OPTION_WATCH, "--watch [SECONDS]", "again and again, each second or each SECONDS"},
	{OPTION_OUT, "--out FILE", "write an SVG picture to FILE"},
	{OPTION_RUN, "--size SIZE", "of its segment, as in paged.conf; by default 64M"},
	{OPTION_RUN, "--config FILE", "its configuration; --size counts all the same"},
	{OPTION_RUN, "--paged FILE", "the daemon; by default the one beside pagectl, or in $PATH"},
	{OPTION_LISTEN, "--listen WHERE", "127.0.0.1:9000, [::1]:9000 or unix:/PATH"},
	{OPTION_VERBOSE, "-v, --verbose", "with more: units and meanings, or histograms"},
	{OPTION_JSON, "--json", "one JSON object with a version field, for programs"},
	{0, "--socket PATH", "the daemon's socket"},
	{0, "--runtime-dir DIR", "the daemon's directory: the socket is DIR/paged.sock"},
	{0, "-h, --help", "this text; after a command, that command's"},
	{0, "--version", "the version of pagectl"},
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_options(uint32_t mask, FILE *file)
{
	fputs("\nOptions:\n", file);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!options[i].option || (options[i].option & mask))
			fprintf(file, "  %-19s %s\n", options[i].name, options[i].text);
}

static void print_command_help(const struct command *command, FILE *file)
{
	fprintf(file, "usage: pagectl %s%s%s [OPTION]...\n\n%s: %s.\n", command->name,
		command->args[0] ? " " : "", command->args, command->name, command->text);
	if (command->more)
		fputs(command->more, file);
	print_options(command->options | (command->has_no_json ? 0 : OPTION_JSON), file);
	if (command->more_help)
		command->more_help();
}

void command_print_help(const struct command *command, FILE *file)
{
	if (command) {
		print_command_help(command, file);
		return;
	}
	fputs("usage: pagectl COMMAND [OPTION]...\n\n"
	      "Looks into a running paged, the daemon that serves shared page "
	      "frames.\n\nCommands:\n",
	      file);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char call[40];

		snprintf(call, sizeof(call), "%s %s", commands[i].name, commands[i].args);
		fprintf(file, "  %-19s %s\n", call, commands[i].text);
	}
	print_options(OPTION_JSON, file);
	fputs("\nThe daemon is found by --socket or --runtime-dir, else by $PAGED_SOCKET, else at\n"
	      "$XDG_RUNTIME_DIR/paged/paged.sock, else at /run/paged/paged.sock.\n"
	      "Exit status: 0 ok, 1 failed, 2 usage, 3 daemon not reachable (--offline: no "
	      "segments).\n",
	      file);
}
