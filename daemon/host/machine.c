/* daemon/host/machine.c - see machine.h. */
#include "daemon/host/machine.h"

#include "daemon/session/session.h"
#include "paged/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_MS 2000u /* as long as the windows that need no privilege */
/* Two windows. Lower: a level falls between two triggers; higher: memory is kept back longer. */
#define HOLD_NS UINT64_C(4000000000)
#define SOME_US 150000u /* of a period: 7.5 % */
#define FULL_US 100000u /* 5 % */
#define MACHINE_MAX_SOURCES 4u

enum source_kind {
	SOURCE_TRIGGER, /* POLLPRI means `level` */
	SOURCE_STREAM,  /* POLLIN does */
	SOURCE_READ,    /* looked at every period */
};

struct source {
	enum source_kind kind;
	struct machine *machine;
	uv_poll_t poll;
	int fd;
	uint32_t level;    /* TRIGGER, STREAM: of an event; READ: of the last look */
	uint64_t until_ns; /* it counts until then */
	bool has_totals;
	uint64_t some_us, full_us, read_ns; /* READ: the last */
};

struct machine {
	struct machine_options options;
	uv_loop_t *loop;
	uv_timer_t timer;
	uint32_t level;     /* as told */
	uint32_t shortage;  /* of the cgroups' limits, as last looked at */
	uint32_t n_sources; /* that are open */
	uint32_t n_handles;
	bool is_closing;
	struct source source[MACHINE_MAX_SOURCES];
};

static void tell_level(struct machine *machine)
{
	uint64_t now = uv_hrtime();
	uint32_t level = machine->shortage;

	for (uint32_t i = 0; i < machine->n_sources; i++)
		if (machine->source[i].until_ns > now)
			level = (uint32_t)bits_max(level, machine->source[i].level);
	if (level == machine->level || machine->is_closing)
		return;
	machine->level = level;
	machine->options.on_level(machine->options.arg, level);
}

/* --- events --------------------------------------------------------------------------------- */

/* Reads away what came; false: no more will come. */
static bool drain(int fd)
{
	char buffer[256];
	ssize_t n;

	for (uint32_t i = 0; i < 64; i++) {
		n = read(fd, buffer, sizeof(buffer));
		if (n == 0)
			return false;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
	}
	return true;
}

/* A trigger whose cgroup is gone is in error and has something to tell, for ever. libuv passes on
 * the second alone. */
static bool is_in_error(int fd)
{
	struct pollfd now = {.fd = fd, .events = POLLPRI};

	return poll(&now, 1, 0) > 0 && now.revents & (POLLERR | POLLNVAL);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct source *source = handle->data;
	struct machine *machine = source->machine;

	(void)events;
	if (status < 0 || (source->kind == SOURCE_STREAM && !drain(source->fd)) ||
	    (source->kind == SOURCE_TRIGGER && is_in_error(source->fd))) {
		/* The cgroup is gone, or who served the socket. */
		(void)uv_poll_stop(handle);
		log_print(machine->options.log, LOG_LEVEL_INFO,
			  "a source of memory pressure has ended");
		return;
	}
	source->until_ns = uv_hrtime() + HOLD_NS;
	tell_level(machine);
}

static void read_totals(struct source *source)
{
	uint64_t some, full, now = uv_hrtime();
	char text[512];
	ssize_t n = pread(source->fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (!machine_parse_psi(text, &some, &full))
		return;
	/* A period that came late is longer, and more of it may be stalled. */
	if (source->has_totals && some >= source->some_us && full >= source->full_us) {
		uint64_t periods =
			bits_max((now - source->read_ns) / (PERIOD_MS * UINT64_C(1000000)), 1);
		uint32_t level = full - source->full_us >= FULL_US * periods   ? LEVEL_CRITICAL
				 : some - source->some_us >= SOME_US * periods ? LEVEL_MEDIUM
									       : LEVEL_NONE;

		if (level >= source->level || now >= source->until_ns) {
			source->level = level;
			source->until_ns = now + HOLD_NS;
		}
	}
	source->has_totals = true;
	source->some_us = some;
	source->full_us = full;
	source->read_ns = now;
}

static void look(struct machine *machine)
{
	char text[HEADROOM_PATH_BYTES + 128];
	uint32_t before = machine->shortage;

	for (uint32_t i = 0; i < machine->n_sources; i++)
		if (machine->source[i].kind == SOURCE_READ)
			read_totals(&machine->source[i]);
	machine->shortage = headroom_shortage(machine->options.headroom, text, sizeof(text));
	if (machine->shortage > before)
		log_print(machine->options.log, LOG_LEVEL_INFO, "%s", text);
}

static void on_timer(uv_timer_t *timer)
{
	struct machine *machine = timer->data;

	look(machine);
	tell_level(machine);
}

/* --- start ---------------------------------------------------------------------------------- */

/* Takes fd over. A source that cannot be polled, as a file of a test, is read. */
static void add_source(struct machine *machine, enum source_kind kind, int fd, uint32_t level)
{
	struct source *source = &machine->source[machine->n_sources];

	if (machine->n_sources == MACHINE_MAX_SOURCES) {
		(void)close(fd);
		return;
	}
	machine->n_sources++;
	*source = (struct source){.kind = kind, .machine = machine, .fd = fd, .level = level};
	if (kind != SOURCE_READ && uv_poll_init(machine->loop, &source->poll, fd) < 0)
		source->kind = SOURCE_READ;
	if (source->kind == SOURCE_READ) {
		source->level = LEVEL_NONE;
		return;
	}
	source->poll.data = source;
	machine->n_handles++;
	(void)uv_poll_start(&source->poll, kind == SOURCE_TRIGGER ? UV_PRIORITIZED : UV_READABLE,
			    on_poll);
}

static bool add_trigger(struct machine *machine, const char *path, const char *trigger,
			uint32_t level)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (write(fd, trigger, strlen(trigger) + 1) < 0) {
		(void)close(fd);
		return false;
	}
	add_source(machine, SOURCE_TRIGGER, fd, level);
	return true;
}

/* A PSI file: by triggers, or read, or not there. */
static void add_psi(struct machine *machine, const char *path)
{
	char some[64], full[64];
	int fd;

	(void)snprintf(some, sizeof(some), "some %u %u", SOME_US, PERIOD_MS * 1000);
	(void)snprintf(full, sizeof(full), "full %u %u", FULL_US, PERIOD_MS * 1000);
	if (add_trigger(machine, path, some, LEVEL_MEDIUM)) {
		/* Opened once more: a descriptor takes one trigger. What is no PSI of the kernel's
		 * is read, and once is enough. */
		if (machine->source[machine->n_sources - 1].kind == SOURCE_TRIGGER)
			(void)add_trigger(machine, path, full, LEVEL_CRITICAL);
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		log_print(machine->options.log, LOG_LEVEL_DEBUG, "no memory pressure from %s: %s",
			  path, strerror(errno));
		return;
	}
	add_source(machine, SOURCE_READ, fd, LEVEL_NONE);
}

/* false: nothing is to be watched at all. */
static bool add_watch(struct machine *machine)
{
	const struct machine_options *options = &machine->options;
	struct machine_watch watch;
	char text[256];

	switch (machine_watch_open(options->watch, options->write, &watch, text, sizeof(text))) {
	case WATCH_OFF:
		return false;
	case WATCH_OPEN:
		add_source(machine, watch.is_psi ? SOURCE_TRIGGER : SOURCE_STREAM, watch.fd,
			   LEVEL_MEDIUM);
		return true;
	case WATCH_FAILED:
		log_print(options->log, LOG_LEVEL_WARNING, "%s", text);
		break;
	case WATCH_NONE:
		break;
	}
	if (options->headroom->pressure_path[0])
		add_psi(machine, options->headroom->pressure_path);
	return true;
}

int machine_open(uv_loop_t *loop, const struct machine_options *options,
		 struct machine **ret_machine)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	char path[512];

	if (!machine)
		return -ENOMEM;
	machine->options = *options;
	machine->loop = loop;
	(void)uv_timer_init(loop, &machine->timer);
	machine->timer.data = machine;
	machine->n_handles = 1;
	*ret_machine = machine;
	if (!add_watch(machine)) {
		log_print(options->log, LOG_LEVEL_DEBUG,
			  "MEMORY_PRESSURE_WATCH=/dev/null: memory pressure is not watched");
		return 0;
	}
	if (options->proc) {
		(void)snprintf(path, sizeof(path), "%s/pressure/memory", options->proc);
		add_psi(machine, path);
	}
	(void)uv_timer_start(&machine->timer, on_timer, 0, PERIOD_MS);
	return 0;
}

/* --- end ------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	struct machine *machine =
		handle->type == UV_TIMER ? handle->data : ((struct source *)handle->data)->machine;

	if (--machine->n_handles)
		return;
	for (uint32_t i = 0; i < machine->n_sources; i++)
		(void)close(machine->source[i].fd);
	free(machine);
}

void machine_close(struct machine *machine)
{
	if (!machine || machine->is_closing)
		return;
	machine->is_closing = true;
	for (uint32_t i = 0; i < machine->n_sources; i++)
		if (machine->source[i].kind != SOURCE_READ)
			uv_close((uv_handle_t *)&machine->source[i].poll, on_closed);
	uv_close((uv_handle_t *)&machine->timer, on_closed);
}
