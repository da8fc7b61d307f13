/* daemon/host/main.c - from the command line to a serving daemon.
 *
 * In this order, so that each failure says what it is about and leaves nothing behind: options,
 * configuration, runtime directory, is somebody on the socket, segment (with its lock), pool,
 * socket, server. */
#include "daemon/host/instance.h"
#include "daemon/host/options.h"
#include "daemon/host/server.h"

#include "paged/bits.h"
#include "shm/access.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pageclient/pageclient.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 1024

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct daemon {
	struct log log;
	struct options options;
	struct config config;
	struct config_errors errors;
	struct instance instance;
	struct endpoint endpoint;
	struct headroom headroom;
	struct segments segments;
	struct pool *pool;
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

static void read_config(struct daemon *daemon)
{
	bool check = daemon->options.command == OPTIONS_CHECK_CONFIG;

	daemon->read_system =
		!daemon->options.config &&
		(check || instance_kind(daemon->options.runtime_dir) == INSTANCE_SYSTEM);
	config_init(&daemon->config);
	if (daemon->options.config)
		config_read(&daemon->config, daemon->options.config, &daemon->errors);
	else if (daemon->read_system)
		config_read_system(&daemon->config, &daemon->errors);
}

/* What the values mean on this machine: the segment's size, and whether all fits into it. */
static int plan_sizes(struct daemon *daemon, uint64_t *ret_bytes)
{
	const struct config_value *headroom = &daemon->config.value[CONFIG_segment_headroom];
	uint64_t machine;

	headroom_open(&daemon->headroom, "/proc", config_bytes(headroom, 0));
	machine = headroom_machine_bytes(&daemon->headroom);
	*ret_bytes = config_segment_bytes(&daemon->config, machine, &daemon->errors);
	if (daemon->errors.n == 0)
		config_check_sizes(&daemon->config, *ret_bytes, &daemon->errors);
	return daemon->errors.n ? print_errors(daemon) : 0;
}

/* Zones as configured, then "normal" with the rest. */
static void plan_zones(const struct daemon *daemon, uint64_t bytes, uint32_t shift,
		       struct pool_options *pool)
{
	const struct config *config = &daemon->config;
	uint64_t pageblock = UINT64_C(1) << PAGEBLOCK_ORDER << shift;
	uint64_t left = bytes;

	for (uint32_t i = 0; i < config->nr_zones; i++) {
		uint64_t n = config_bytes(&config->zone[i].size, bytes) & ~(pageblock - 1);

		(void)snprintf(pool->zone[i].name, SHM_NAME_BYTES, "%s", config->zone[i].name);
		pool->zone[i].nr_frames = (uint32_t)(n >> shift);
		left -= n;
	}
	pool->nr_zones = config->nr_zones;
	if (left) {
		(void)snprintf(pool->zone[pool->nr_zones].name, SHM_NAME_BYTES, "normal");
		pool->zone[pool->nr_zones++].nr_frames = (uint32_t)(left >> shift);
	}
}

static void plan_segments(struct daemon *daemon, uint64_t bytes, struct segments_options *options)
{
	const struct config_value *value = daemon->config.value;
	uint32_t shift = bits_log2(config_page_size(&daemon->config));

	*options = (struct segments_options){
		.instance = daemon->instance.name,
		.backing = (enum segments_backing)value[CONFIG_segment_backing].n,
		.hugepages = (enum shm_hugepages)value[CONFIG_segment_hugepages].n,
		.page_shift = shift,
		.commit_full = value[CONFIG_segment_commit].n == 1,
		.log = &daemon->log,
		.headroom = &daemon->headroom,
		.pool = {.batch = (uint32_t)value[CONFIG_pcp_batch].n,
			 .min_free_frames =
				 config_bytes(&value[CONFIG_reclaim_min_free], bytes) >> shift,
			 .watermark_scale = (uint32_t)value[CONFIG_reclaim_watermark_scale].n,
			 .commit_full = value[CONFIG_segment_commit].n == 1},
	};
	plan_zones(daemon, bytes, shift, &options->pool);
}

/* --- start ---------------------------------------------------------------------------------- */

static void raise_file_limit(void)
{
	struct rlimit limit;

	/* Each client takes five descriptors; the soft limit is for programs that use select(). */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int check_barrier(struct daemon *daemon)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands >= 0 && commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED)
		return 0;
	(void)snprintf(daemon->text, sizeof(daemon->text),
		       "the kernel has no membarrier(GLOBAL_EXPEDITED), or a filter forbids it");
	return -ENOSYS;
}

/* Attaches the pool; a segment that it cannot use is put aside and a new one made. */
static int attach_pool(struct daemon *daemon)
{
	struct segments *segments = &daemon->segments;
	uint64_t bad = 0;
	int r = POOL_CORRUPT;

	daemon->pool = calloc(1, pool_bytes());
	if (!daemon->pool) {
		(void)snprintf(daemon->text, sizeof(daemon->text), "no memory for the pool");
		return -ENOMEM;
	}
	for (int tries = 0; tries < 2 && r; tries++) {
		if (tries) {
			log_print(&daemon->log, LOG_LEVEL_ERROR, "the segment of instance %s: %s",
				  daemon->instance.name,
				  pool_condition_text((enum pool_condition)r));
			r = segments_renew(segments, daemon->text, sizeof(daemon->text));
			if (r)
				return r;
		}
		r = pool_attach(daemon->pool, segments->meta, segments->meta_bytes, segments->state,
				segments->state_bytes, &segments->options.pool, &bad);
	}
	if (r) {
		(void)snprintf(daemon->text, sizeof(daemon->text), "a new segment: %s",
			       pool_condition_text((enum pool_condition)r));
		return -EIO;
	}
	if (bad)
		log_print(&daemon->log, LOG_LEVEL_ERROR,
			  "%llu frames of the segment are damaged and out of use",
			  (unsigned long long)bad);
	return 0;
}

static void show_ourselves(struct daemon *daemon)
{
	struct shm_meta_header *meta = daemon->segments.meta;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	shm_store32(&meta->daemon_pid, (uint32_t)getpid());
	shm_store32(&meta->daemon_version, PAGECLIENT_VERSION);
	shm_store(&meta->started_ns,
		  (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
	shm_store32(&meta->backing, (uint32_t)daemon->segments.backing);
	shm_store32(&meta->hugepages, (uint32_t)daemon->segments.options.hugepages);
	shm_store(&meta->ctl_used_bytes, 0);
	(void)snprintf(meta->cgroup, sizeof(meta->cgroup), "%s",
		       headroom_cgroup(&daemon->headroom));
	log_print(&daemon->log, LOG_LEVEL_INFO,
		  "serving instance %s on %s: %lluM in frames of %uK, %s, %s",
		  daemon->instance.name,
		  daemon->endpoint.path[0] ? daemon->endpoint.path : "the passed socket",
		  (unsigned long long)(daemon->segments.data_bytes >> 20),
		  1u << (meta->page_shift - 10),
		  daemon->segments.backing == SHM_BACKING_POSIX ? "posix" : "memfd",
		  daemon->segments.adopted ? "as the last daemon left it" : "new");
}

static int serve(struct daemon *daemon)
{
	struct server_options options = {
		.log = &daemon->log,
		.config_file = daemon->options.config,
		.read_system = daemon->read_system,
		.config = &daemon->config,
		.segments = &daemon->segments,
		.endpoint = &daemon->endpoint,
		.pool = daemon->pool,
	};
	int r = endpoint_open(&daemon->endpoint, &daemon->config, daemon->text,
			      sizeof(daemon->text));

	if (r)
		return r;
	show_ourselves(daemon);
	r = server_run(&options, daemon->text, sizeof(daemon->text));
	endpoint_close(&daemon->endpoint);
	return r;
}

/* Where we live, and that nobody else does. */
static int open_instance(struct daemon *daemon)
{
	const struct options *options = &daemon->options;
	int r = instance_open(options->runtime_dir, options->instance, &daemon->instance,
			      daemon->text, sizeof(daemon->text));

	if (r == 0)
		r = endpoint_plan(&daemon->config, &daemon->instance, &daemon->endpoint,
				  daemon->text, sizeof(daemon->text));
	if (r == 0)
		r = endpoint_probe(&daemon->endpoint, daemon->text, sizeof(daemon->text));
	return r ? r : check_barrier(daemon);
}

static int start(struct daemon *daemon, uint64_t bytes)
{
	struct segments_options options;
	int r = open_instance(daemon);

	if (r)
		return r;
	raise_file_limit();
	plan_segments(daemon, bytes, &options);
	r = segments_open(&daemon->segments, &options, daemon->text, sizeof(daemon->text));
	if (r)
		return r;
	r = attach_pool(daemon);
	if (r == 0)
		r = serve(daemon);
	free(daemon->pool);
	segments_close(&daemon->segments);
	return r;
}

/* --- commands ------------------------------------------------------------------------------- */

static int run(struct daemon *daemon)
{
	uint64_t bytes;
	int r;

	read_config(daemon);
	r = plan_sizes(daemon, &bytes);
	if (r == 0 && daemon->options.command == OPTIONS_CHECK_CONFIG) {
		config_print(&daemon->config, stdout);
		(void)fprintf(stderr, "paged: the configuration is good (%u file(s) read)\n",
			      daemon->config.nr_files);
	} else if (r == 0) {
		r = start(daemon, bytes);
		if (r)
			log_print(&daemon->log, LOG_LEVEL_ERROR, "%s", daemon->text);
	}
	headroom_close(&daemon->headroom);
	return r ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int status = EXIT_SUCCESS;

	if (!daemon)
		return EXIT_FAILED;
	log_init(&daemon->log, false);
	if (options_parse(argc, argv, &daemon->options)) {
		free(daemon);
		return EXIT_USAGE;
	}
	log_init(&daemon->log, daemon->options.foreground);
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
