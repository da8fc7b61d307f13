/* daemon/host/main.c - from the command line to a serving daemon.
 *
 * In this order, so that each failure says what it is about and leaves nothing behind: options,
 * configuration, runtime directory, is somebody on the socket, socket, segment (its descriptors);
 * then the supervisor, whose server does the rest (server.h), or that rest in this process. */
#include "daemon/host/files.h"
#include "daemon/host/granted.h"
#include "daemon/host/instance.h"
#include "daemon/host/options.h"
#include "daemon/host/server.h"
#include "daemon/host/supervisor.h"

#include "paged/bits.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pageclient/pageclient.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_BYTES 1024
/* New segments in a row for a server without a supervisor. */
#define RENEWALS_MAX 4u

enum { EXIT_FAILED = SERVER_FAILED, EXIT_USAGE = 2 };

struct daemon {
	struct log log;
	struct log_limits log_limits;
	struct options options;
	struct config config;
	struct config_errors errors;
	struct instance instance;
	struct endpoint endpoint, pressure;
	struct headroom headroom;
	struct segments segments;
	struct store store; /* what the service manager had for us */
	bool read_system;
	char text[TEXT_BYTES];
};

static int print_errors(const struct daemon *daemon)
{
	uint32_t kept = (uint32_t)bits_min(daemon->errors.n, CONFIG_MAX_ERRORS);

	for (uint32_t i = 0; i < kept; i++)
		(void)fprintf(stderr, "paged: %s\n", daemon->errors.text[i]);
	if (daemon->errors.n > kept)
		(void)fprintf(stderr, "paged: and %u more\n", daemon->errors.n - kept);
	return -EINVAL;
}

/* --- configuration -------------------------------------------------------------------------- */

static struct instance_options where_from(const struct options *options)
{
	return (struct instance_options){.runtime_dir = options->runtime_dir,
					 .name = options->instance,
					 .system = options->system};
}

static void read_config(struct daemon *daemon)
{
	bool check = daemon->options.command == OPTIONS_CHECK_CONFIG;
	const struct instance_options where = where_from(&daemon->options);

	daemon->read_system =
		!daemon->options.config && (check || instance_kind_of(&where) == INSTANCE_SYSTEM);
	config_init(&daemon->config);
	if (daemon->options.config)
		config_read(&daemon->config, daemon->options.config, &daemon->errors);
	else if (daemon->read_system)
		config_read_system(&daemon->config, "", &daemon->errors);
	if (daemon->read_system && daemon->options.system && daemon->options.instance)
		config_read_instance(&daemon->config, daemon->options.instance, &daemon->errors);
}

struct sizes {
	uint64_t bytes, bytes_max; /* of the segment: at the start, and by resize at most */
};

/* What the values mean on this machine: the segment's size, and whether all fits into it. */
static int plan_sizes(struct daemon *daemon, struct sizes *ret_sizes)
{
	const struct config_value *headroom = &daemon->config.value[CONFIG_segment_headroom];
	const struct config_value *root = &daemon->config.value[CONFIG_reclaim_cgroup_root];
	uint64_t keep =
		headroom->kind == CONFIG_IS_AUTO ? HEADROOM_AUTO : config_bytes(headroom, 0);
	uint64_t machine;

	if (root->kind == CONFIG_IS_NUMBER)
		headroom_open_at(&daemon->headroom, "/proc", root->text, keep);
	else
		headroom_open(&daemon->headroom, "/proc", keep);
	machine = headroom_machine_bytes(&daemon->headroom);
	ret_sizes->bytes = config_segment_bytes(&daemon->config, machine, &daemon->errors);
	ret_sizes->bytes_max = config_segment_max_bytes(&daemon->config, machine, ret_sizes->bytes,
							&daemon->errors);
	if (daemon->errors.n == 0)
		config_check_sizes(&daemon->config, ret_sizes->bytes, &daemon->errors);
	endpoint_check(&daemon->config, &daemon->errors);
	return daemon->errors.n ? print_errors(daemon) : 0;
}

/* One zone more: so many bytes are in use, and it has room for more. */
static void plan_zone(struct pool_options *pool, const char *name, uint64_t bytes, uint64_t room,
		      uint32_t shift)
{
	struct pool_zone_options *zone = &pool->zone[pool->nr_zones++];

	(void)snprintf(zone->name, SHM_NAME_BYTES, "%s", name);
	room = bits_max(room, bytes);
	zone->nr_frames = (uint32_t)(room >> shift);
	zone->nr_offline = (uint32_t)((room - bytes) >> shift);
}

/* Zones as configured, then "normal" with the rest; each with what it has of size_max. */
static void plan_zones(const struct daemon *daemon, const struct sizes *sizes, uint32_t shift,
		       struct pool_options *pool)
{
	const struct config *config = &daemon->config;
	uint64_t pageblock = UINT64_C(1) << PAGEBLOCK_ORDER << shift;
	uint64_t left = sizes->bytes, room_left = sizes->bytes_max;

	for (uint32_t i = 0; i < config->nr_zones; i++) {
		const struct config_value *size = &config->zone[i].size;
		uint64_t n = config_bytes(size, sizes->bytes) & ~(pageblock - 1);
		uint64_t room = config_bytes(size, sizes->bytes_max) & ~(pageblock - 1);

		plan_zone(pool, config->zone[i].name, n, room, shift);
		config_plan_zone(config, i, &pool->zone[i]);
		left -= n;
		room_left -= room;
	}
	if (left || room_left)
		plan_zone(pool, "normal", left, room_left, shift);
}

static void plan_segments(struct daemon *daemon, const struct sizes *sizes,
			  struct segments_options *options)
{
	const struct config_value *value = daemon->config.value;
	const struct config_value *min_free = &value[CONFIG_reclaim_min_free];
	uint32_t shift = bits_log2(config_page_size(&daemon->config));

	*options = (struct segments_options){
		.instance = daemon->instance.name,
		.backing = (enum segments_backing)value[CONFIG_segment_backing].n,
		.hugepages = (enum shm_hugepages)value[CONFIG_segment_hugepages].n,
		.page_shift = shift,
		.commit_full = value[CONFIG_segment_commit].n == 1,
		.log = &daemon->log,
		.headroom = &daemon->headroom,
		.store = &daemon->store,
		.pool = {.batch = (uint32_t)value[CONFIG_pcp_batch].n,
			 .min_free_frames = config_bytes(min_free, sizes->bytes) >> shift,
			 .min_free_percent =
				 min_free->kind == CONFIG_IS_PERCENT ? (uint32_t)min_free->n : 0,
			 .watermark_scale = (uint32_t)value[CONFIG_reclaim_watermark_scale].n,
			 .commit_full = value[CONFIG_segment_commit].n == 1,
			 .edges_given = SHM_EDGES_STEP},
	};
	plan_zones(daemon, sizes, shift, &options->pool);
}

/* --- start ---------------------------------------------------------------------------------- */

static int check_barrier(struct daemon *daemon)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands >= 0 && commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED)
		return 0;
	(void)snprintf(daemon->text, sizeof(daemon->text),
		       "the kernel has no membarrier(GLOBAL_EXPEDITED), or a filter forbids it");
	return -ENOSYS;
}

/* What a server does, in whichever process. Returns its exit status. */
static int serve(void *arg, struct control *control)
{
	struct daemon *daemon = arg;
	struct server_options options = {
		.log = &daemon->log,
		.config_file = daemon->options.config,
		.read_system = daemon->read_system,
		.instance = daemon->options.system ? daemon->options.instance : NULL,
		.config = &daemon->config,
		.segments = &daemon->segments,
		.endpoint = &daemon->endpoint,
		.pressure = &daemon->pressure,
		.control = control,
	};
	int r = server_run(&options, daemon->text, sizeof(daemon->text));

	if (r == SEGMENTS_NO_ROOM) {
		log_print(&daemon->log, LOG_LEVEL_NOTICE, "backing = auto: memfd, because %s",
			  daemon->text);
		return SERVER_NO_ROOM;
	}
	if (r == SEGMENTS_AGAIN || r == SEGMENTS_CHANGED) {
		log_event(&daemon->log, r == SEGMENTS_AGAIN ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
			  LOG_ID_SEGMENT_NEW, NULL, "%s", daemon->text);
		return SERVER_AGAIN;
	}
	if (r)
		log_event(&daemon->log, LOG_LEVEL_ERROR, LOG_ID_START_FAILED, NULL, "%s",
			  daemon->text);
	return r ? SERVER_FAILED : SERVER_STOPPED;
}

static int serve_alone(const struct supervisor_options *options)
{
	struct control control;
	int status = SERVER_AGAIN;

	control_init(&control);
	store_take_ctls(options->store, control.ctl);
	for (uint32_t i = 0; i <= RENEWALS_MAX; i++) {
		status = options->serve(options->arg, &control);
		if (status != SERVER_AGAIN && status != SERVER_NO_ROOM)
			return status;
		if (supervisor_renew(options, (enum server_exit)status))
			return SERVER_FAILED;
	}
	return SERVER_FAILED;
}

/* Where we live, and that nobody else does. */
static int open_instance(struct daemon *daemon)
{
	const struct options *options = &daemon->options;
	const struct instance_options where = where_from(options);
	int r = instance_open(&where, &daemon->instance, daemon->text, sizeof(daemon->text));

	if (r == 0)
		(void)snprintf(daemon->log.instance, sizeof(daemon->log.instance), "%s",
			       daemon->instance.name);
	if (r == 0)
		r = endpoint_plan(&daemon->config, &daemon->instance, &daemon->endpoint,
				  daemon->text, sizeof(daemon->text));
	if (r == 0)
		r = endpoint_plan_pressure(&daemon->config, &daemon->instance, &daemon->pressure,
					   daemon->text, sizeof(daemon->text));
	if (r == 0)
		r = endpoint_take_passed(&daemon->endpoint, &daemon->store, daemon->text,
					 sizeof(daemon->text));
	if (r == 0)
		r = endpoint_probe(&daemon->endpoint, daemon->text, sizeof(daemon->text));
	return r ? r : check_barrier(daemon);
}

static void check_granted(const struct daemon *daemon, const struct sizes *sizes)
{
	struct granted granted = {
		.wants_oom_score = daemon->options.system,
		.segment_bytes = sizes->bytes_max,
		.machine_bytes = headroom_machine_bytes(&daemon->headroom),
	};

	granted_read(&granted, "/proc");
	granted_log(&granted, &daemon->log);
}

/* All that a server needs and could not get twice. -errno with a text. */
static int open_all(struct daemon *daemon, const struct sizes *sizes)
{
	struct segments_options options;
	int r = open_instance(daemon);

	if (r)
		return r;
	files_raise_limit(&daemon->log, SHM_MAX_CLIENTS);
	check_granted(daemon, sizes);
	plan_segments(daemon, sizes, &options);
	/* The socket first: it leaves nothing behind if the segment fails, new segments would. */
	r = endpoint_open(&daemon->endpoint, &daemon->config, daemon->text, sizeof(daemon->text));
	if (r)
		return r;
	r = segments_open(&daemon->segments, &options, daemon->text, sizeof(daemon->text));
	if (r)
		endpoint_close(&daemon->endpoint);
	return r;
}

/* Returns the exit status: of the supervisor, or of a server. */
static int start(struct daemon *daemon, const struct sizes *sizes)
{
	const struct supervisor_options options = {
		.log = &daemon->log,
		.segments = &daemon->segments,
		.endpoint = &daemon->endpoint,
		.store = &daemon->store,
		.serve = serve,
		.arg = daemon,
	};
	int status;

	if (open_all(daemon, sizes)) {
		log_event(&daemon->log, LOG_LEVEL_ERROR, LOG_ID_START_FAILED, NULL, "%s",
			  daemon->text);
		return EXIT_FAILED;
	}
	status = daemon->options.no_supervisor ? serve_alone(&options) : supervisor_run(&options);
	endpoint_close(&daemon->endpoint);
	endpoint_sweep(&daemon->pressure);
	segments_close(&daemon->segments);
	return status;
}

/* --- commands ------------------------------------------------------------------------------- */

static int run(struct daemon *daemon)
{
	int status = EXIT_SUCCESS;
	struct sizes sizes;

	read_config(daemon);
	if (plan_sizes(daemon, &sizes)) {
		status = EXIT_FAILED;
	} else if (daemon->options.command == OPTIONS_CHECK_CONFIG) {
		config_print(&daemon->config, stdout);
		(void)fprintf(stderr, "paged: the configuration is good (%u file(s) read)\n",
			      daemon->config.nr_files);
	} else {
		status = start(daemon, &sizes);
	}
	headroom_close(&daemon->headroom);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int status = EXIT_SUCCESS;

	if (!daemon) {
		(void)fprintf(stderr, "paged: error: no memory to start with\n");
		return EXIT_FAILED;
	}
	log_init(&daemon->log, &daemon->log_limits, false);
	store_init(&daemon->store);
	if (options_parse(argc, argv, &daemon->options)) {
		free(daemon);
		return EXIT_USAGE;
	}
	log_init(&daemon->log, &daemon->log_limits, daemon->options.foreground);
	(void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more ends nobody */
	if (daemon->options.command == OPTIONS_HELP)
		options_print_help(stdout);
	else if (daemon->options.command == OPTIONS_VERSION)
		(void)printf("paged %d.%d.%d\n", PAGECLIENT_VERSION_MAJOR, PAGECLIENT_VERSION_MINOR,
			     PAGECLIENT_VERSION_PATCH);
	else
		status = run(daemon);
	free(daemon);
	return status;
}
