/* daemon/host/options.c - see options.h. */
#include "daemon/host/options.h"

#include "daemon/host/instance.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

enum {
	LONG_CONFIG = 256,
	LONG_RUNTIME_DIR,
	LONG_INSTANCE,
	LONG_SYSTEM,
	LONG_FOREGROUND,
	LONG_NO_SUPERVISOR,
	LONG_CHECK_CONFIG,
	LONG_VERSION,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, LONG_CONFIG},
	{"runtime-dir", required_argument, NULL, LONG_RUNTIME_DIR},
	{"instance", required_argument, NULL, LONG_INSTANCE},
	{"system", no_argument, NULL, LONG_SYSTEM},
	{"foreground", no_argument, NULL, LONG_FOREGROUND},
	{"no-supervisor", no_argument, NULL, LONG_NO_SUPERVISOR},
	{"check-config", no_argument, NULL, LONG_CHECK_CONFIG},
	{"version", no_argument, NULL, LONG_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

void options_print_help(FILE *file)
{
	(void)fputs(
		"usage: paged [OPTION]...\n"
		"\n"
		"Serves page frames of one shared segment to the processes of this host.\n"
		"\n"
		"  --config FILE      read FILE and FILE.d/*.conf instead of "
		"/etc/paged/paged.conf, or\n"
		"                     else /usr/lib/paged/paged.conf, and their "
		"paged.conf.d/*.conf,\n"
		"                     which only the system's daemon reads\n"
		"  --runtime-dir DIR  a private daemon: its socket is DIR/paged.sock (DIR is made, "
		"mode\n"
		"                     0700, if it is missing). Default: /run/paged for root, else\n"
		"                     $XDG_RUNTIME_DIR/paged\n"
		"  --instance NAME    name of the segment in /dev/shm. Default: system, "
		"user-<uid>, or\n"
		"                     dir-<hash of DIR>\n"
		"  --system           the system's daemon, as root runs it by default, as another "
		"user:\n"
		"                     configuration of /usr/lib and /etc, /run/paged. With "
		"--instance\n"
		"                     NAME one of several: /run/paged-NAME, and "
		"/etc/paged/NAME.conf "
		"is\n"
		"                     read after the system's\n"
		"  --foreground       log as in a terminal, with the time\n"
		"  --no-supervisor    serve in this very process, for debugging: without it a\n"
		"                     supervisor starts the server anew if that crashes or hangs\n"
		"  --check-config     print the configuration that counts, or explain what is "
		"wrong\n"
		"  --version          print the version\n"
		"  --help             print this\n"
		"\n"
		"Signals: SIGTERM and SIGINT stop (the second time at once), SIGHUP reads the\n"
		"configuration again.\n"
		"Exit status: 0 stopped in order, 1 failed, 2 wrong usage.\n",
		file);
}

static void take(struct options *options, int option)
{
	switch (option) {
	case LONG_CONFIG:
		options->config = optarg;
		break;
	case LONG_RUNTIME_DIR:
		options->runtime_dir = optarg;
		break;
	case LONG_INSTANCE:
		options->instance = optarg;
		break;
	case LONG_SYSTEM:
		options->system = true;
		break;
	case LONG_FOREGROUND:
		options->foreground = true;
		break;
	case LONG_CHECK_CONFIG:
		options->command = OPTIONS_CHECK_CONFIG;
		break;
	case LONG_VERSION:
		options->command = OPTIONS_VERSION;
		break;
	case 'h':
		options->command = OPTIONS_HELP;
		break;
	case LONG_NO_SUPERVISOR:
		options->no_supervisor = true;
		break;
	default:
		break;
	}
}

static int refuse(const char *what, const char *word)
{
	(void)fprintf(stderr, "paged: %s \"%s\"; see paged --help\n", what, word);
	return -EINVAL;
}

/* Is what was given fit for use, whatever the command is? */
static int judge(const struct options *options)
{
	if (options->config && !options->config[0])
		return refuse("the name of a file would be right for --config, not", "");
	if (options->runtime_dir && !options->runtime_dir[0])
		return refuse("a directory would be right for --runtime-dir, not", "");
	if (options->system && options->runtime_dir) {
		(void)fprintf(stderr, "paged: --system and --runtime-dir exclude each other; see "
				      "paged --help\n");
		return -EINVAL;
	}
	if (options->instance && !instance_name_is_valid(options->instance)) {
		(void)fprintf(
			stderr,
			"paged: --instance \"%.64s\" is no name; letters, digits, '_', '.' and "
			"'-', at most %u, the first no '.', would be right\n",
			options->instance, SHM_NAME_BYTES - 1);
		return -EINVAL;
	}
	if (options->system && options->instance && instance_name_is_reserved(options->instance)) {
		(void)fprintf(stderr,
			      "paged: --instance \"%.64s\" is taken: system, paged, user-* and "
			      "dir-* are other daemons' and files; another name would be right\n",
			      options->instance);
		return -EINVAL;
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	int option;

	memset(ret_options, 0, sizeof(*ret_options));
	opterr = 0; /* one line, ours */
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (option == ':')
			return refuse("an argument is missing after", argv[optind - 1]);
		if (option == '?')
			return refuse(optopt ? "wrong use of option" : "unknown option",
				      argv[optind - 1]);
		take(ret_options, option);
	}
	if (optind < argc)
		return refuse("unexpected argument", argv[optind]);
	return judge(ret_options);
}
