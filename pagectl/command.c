/* pagectl/command.c - the table, and help made from it. */
#include "pagectl/command.h"

#include <string.h>

static const struct command commands[] = {
	{
		.name = "status",
		.args = "",
		.text = "the daemon, its segment and watermarks, what they cost",
		.more = "Frames are free, owned by one client, or shared. Holes are free\n"
			"frames that have no memory behind them yet. The two elephants are\n"
			"the metadata (mem_map and the rest) and the page tables of the\n"
			"attached processes: all tables of each process, as VmPTE in\n"
			"/proc/PID/status has them.\n",
		.run = show_status,
	},
	{
		.name = "zones",
		.args = "",
		.text = "free blocks per order and migratetype, watermarks",
		.more = "As /proc/buddyinfo and /proc/pagetypeinfo. A block of order k is 1\n"
			"<< k frames. A Hole is free and not committed: it gets memory before\n"
			"it is granted.\n",
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
			"reclaim are listed a second time, with the counts.\n",
		.run = show_clients,
	},
	{
		.name = "caches",
		.args = "",
		.text = "registered caches, as slabtop shows slabs",
		.more = "Sorted by FRAMES, which is the daemon's estimate; OBJECTS is what\n"
			"count() said last. SCANNED and FREED are objects, BACK the frames\n"
			"that really came back, LATE the deadlines missed. After three missed\n"
			"in a row the breaker is open: the cache is left alone for a while.\n",
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
		.name = "check",
		.args = "",
		.text = "recount everything; names the invariant that is broken",
		.more = "The daemon recounts while its clients go on. Exit status 0: every\n"
			"invariant holds. 1: one does not.\n",
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
		.args = "--frames N",
		.text = "get N frames back from magazines and caches",
		.more = "Prints how many of them came back; exit status 0 even if that is\n"
			"fewer than N.\n",
		.options = OPTION_FRAMES,
		.run = act_reclaim,
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
	{OPTION_CLIENT, "--client ID", "this client only, as `pagectl clients` numbers them"},
	{OPTION_FRAMES, "--frames N", "how many frames, 1 and up"},
	{OPTION_VERBOSE, "-v, --verbose", "with unit and meaning"},
	{0, "--json", "one JSON object with a version field, for programs"},
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
	print_options(command->options, file);
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
	print_options(0, file);
	fputs("\nThe daemon is found by --socket or --runtime-dir, else by $PAGED_SOCKET, else at\n"
	      "$XDG_RUNTIME_DIR/paged/paged.sock, else at /run/paged/paged.sock.\n"
	      "Exit status: 0 ok, 1 failed, 2 usage, 3 daemon not reachable.\n",
	      file);
}
