/* pagectl/show_status.c - `pagectl status`, for people and as JSON. */
#include "pagectl/human.h"
#include "pagectl/json.h"
#include "pagectl/status.h"

#include <stdarg.h>
#include <string.h>

#define LABEL_WIDTH 14
#define LINE_WIDTH 80u

/* "label         text", the text wrapped at blanks to LINE_WIDTH and indented. */
__attribute__((format(printf, 2, 3))) static void line(const char *label, const char *format, ...)
{
	char text[1024];
	const char *rest = text;
	size_t room = LINE_WIDTH - LABEL_WIDTH - 1;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (; strlen(rest) > room; label = "") {
		size_t n = room;

		while (n && rest[n] != ' ')
			n--;
		if (!n) /* a word longer than a line */
			n = strcspn(rest, " ");
		if (!rest[n])
			break;
		printf("%-*s %.*s\n", LABEL_WIDTH, label, (int)n, rest);
		rest += n + 1;
	}
	printf("%-*s %s\n", LABEL_WIDTH, label, rest);
}

static void print_frames(const char *label, const struct status *s, uint64_t n)
{
	line(label, "%s (%llu frames)", human_size(n << s->header.page_shift).s,
	     (unsigned long long)n);
}

static void print_daemon(const struct pagectl *ctl, const struct status *s)
{
	const struct shm_meta_header *h = &s->header;

	line("instance", "%s", human_clean(h->instance, sizeof(h->instance)).s);
	line("daemon", "pid %u, version %s, up %s, epoch %llu", h->daemon_pid,
	     human_version(h->daemon_version).s, human_age(s->uptime_s).s,
	     (unsigned long long)h->epoch);
	line("socket", "%s", ctl->connection.address.sun_path);
	line("page size", "%s", human_size(UINT64_C(1) << h->page_shift).s);
}

static void print_segment(const struct status *s)
{
	const struct shm_meta_header *h = &s->header;

	print_frames("segment", s, h->online_frames);
	if (h->wanted_frames != h->online_frames)
		print_frames("  wanted", s, h->wanted_frames);
	if (h->nr_frames != h->online_frames)
		print_frames("  at most", s, h->nr_frames);
	print_frames("  committed", s, h->committed_frames);
	line("  free", "%s (%llu frames), of them holes %s (%llu)",
	     human_size(s->free << h->page_shift).s, (unsigned long long)s->free,
	     human_size(s->hole << h->page_shift).s, (unsigned long long)s->hole);
	print_frames("  largest block", s, h->largest_free);
	print_frames("  owned", s, s->owned);
	print_frames("  shared", s, s->shared);
	line("  purgeable", "%llu blocks of owned and shared, not pinned",
	     (unsigned long long)h->nr_purgeable);
	if (s->unmanaged)
		print_frames("  bad", s, s->unmanaged);
	line("watermarks", "min %llu, low %llu, high %llu frames; free is %s",
	     (unsigned long long)s->min, (unsigned long long)s->low, (unsigned long long)s->high,
	     status_level(s));
	line("pressure", "%s (the segment's own %s, the machine's %s)", status_pressure(h->level),
	     status_pressure(h->own_level), status_pressure(h->machine_level));
	line("clients", "%u attached, %u caches registered", s->n_clients, s->n_caches);
}

static void print_machine(const struct status *s)
{
	const struct shm_meta_header *h = &s->header;
	char text[SHM_TEXT_BYTES];

	line("backing", "%s; %s", status_backing(s), status_unprotected(s));
	line("huge pages",
	     "%s (hugepages = %s, shmem_enabled is %s, /dev/shm has huge=%s, reserved %llu, free "
	     "of them %llu); %s",
	     status_huge_in_force(s), status_hugepages(s),
	     s->huge.shmem_enabled[0] ? s->huge.shmem_enabled : "unknown",
	     s->huge.dev_shm[0] ? s->huge.dev_shm : "unknown",
	     (unsigned long long)s->huge.n_reserved, (unsigned long long)s->huge.n_free,
	     s->huge_advice);
	if (h->huge_bytes || h->small_bytes)
		line("  committed", "%s of huge pages and %s of small ones since the server began",
		     human_size(h->huge_bytes).s, human_size(h->small_bytes).s);
	human_clean_into(text, sizeof(text), h->cgroup, sizeof(h->cgroup));
	line("cgroup", "%s", text[0] ? text : "none");
	if (s->file_limit)
		line("descriptors", "at most %llu for the server: room for %u clients",
		     (unsigned long long)s->file_limit, s->clients_that_fit);
	human_clean_into(text, sizeof(text), h->limit, sizeof(h->limit));
	line("commit failure", "%s", text[0] ? text : "none");
}

static void print_costs(const struct status *s)
{
	line("mem_map", "%s in use of %s", human_size(s->map.used).s,
	     human_size(s->map.reserved).s);
	line("metadata", "META beside it %s of %s, STATE %s of %s, CTL %s",
	     human_size(s->rest.used).s, human_size(s->rest.reserved).s,
	     human_size(s->state.used).s, human_size(s->state.reserved).s,
	     human_size(s->ctl_bytes).s);
	line("  together", "%s in use, %.2f bytes per frame", human_size(s->metadata_bytes).s,
	     status_bytes_per_frame(s));
	if (s->n_unreadable)
		line("page tables", "%s of %u of the processes; %u could not be read",
		     human_size(s->page_table_bytes).s, s->n_processes - s->n_unreadable,
		     s->n_unreadable);
	else
		line("page tables", "%s of %u process%s", human_size(s->page_table_bytes).s,
		     s->n_processes, s->n_processes == 1 ? "" : "es");
}

static void put_bytes(json_t *parent, const char *key, const struct status_bytes *bytes)
{
	json_t *object = json_object();

	json_put_number(object, "used_bytes", bytes->used);
	json_put_number(object, "reserved_bytes", bytes->reserved);
	json_object_set_new(parent, key, object);
}

static json_t *daemon_json(const struct status *s)
{
	json_t *object = json_object();

	json_put_number(object, "pid", s->header.daemon_pid);
	json_put_string(object, "version", human_version(s->header.daemon_version).s);
	json_put_number(object, "started_ns", s->header.started_ns);
	json_put_number(object, "uptime_s", s->uptime_s);
	json_put_number(object, "epoch", s->header.epoch);
	return object;
}

static json_t *watermarks_json(const struct status *s)
{
	json_t *object = json_object();

	json_put_number(object, "min", s->min);
	json_put_number(object, "low", s->low);
	json_put_number(object, "high", s->high);
	json_put_string(object, "free_is", status_level(s));
	return object;
}

static json_t *pressure_json(const struct shm_meta_header *h)
{
	json_t *object = json_object();

	json_put_string(object, "level", status_pressure(h->level));
	json_put_string(object, "own", status_pressure(h->own_level));
	json_put_string(object, "machine", status_pressure(h->machine_level));
	return object;
}

static json_t *huge_json(const struct status *s)
{
	json_t *object = json_object();

	json_put_string(object, "configured", status_hugepages(s));
	json_put_string(object, "in_force", status_huge_in_force(s));
	json_put_number(object, "huge_bytes", s->header.huge_bytes);
	json_put_number(object, "small_bytes", s->header.small_bytes);
	json_put_number(object, "reserved", s->huge.n_reserved);
	json_put_number(object, "reserved_free", s->huge.n_free);
	json_object_set_new(object, "possible", json_boolean(s->huge_possible));
	json_put_string(object, "shmem_enabled",
			s->huge.shmem_enabled[0] ? s->huge.shmem_enabled : NULL);
	json_put_string(object, "dev_shm", s->huge.dev_shm[0] ? s->huge.dev_shm : NULL);
	json_put_string(object, "advice", s->huge_advice);
	return object;
}

static void put_files(json_t *root, const struct status *s)
{
	json_t *object = json_object();

	if (s->file_limit) {
		json_put_number(object, "limit", s->file_limit);
		json_put_number(object, "clients", s->clients_that_fit);
	}
	json_object_set_new(root, "descriptors", object);
}

static void put_costs(json_t *root, const struct status *s)
{
	json_t *metadata = json_object(), *tables = json_object();

	put_bytes(metadata, "mem_map", &s->map);
	put_bytes(metadata, "meta_rest", &s->rest);
	put_bytes(metadata, "state", &s->state);
	json_put_number(metadata, "ctl_bytes", s->ctl_bytes);
	json_put_number(metadata, "used_bytes", s->metadata_bytes);
	json_put_real(metadata, "bytes_per_frame", status_bytes_per_frame(s));
	json_object_set_new(root, "metadata", metadata);
	json_put_number(tables, "bytes", s->page_table_bytes);
	json_put_number(tables, "processes", s->n_processes);
	json_put_number(tables, "unreadable", s->n_unreadable);
	json_object_set_new(root, "page_tables", tables);
}

static int print_json(const struct pagectl *ctl, const struct status *s)
{
	const struct shm_meta_header *h = &s->header;
	const char *socket = ctl->connection.address.sun_path;
	json_t *root = json_new();

	json_put_text(root, "instance", h->instance, sizeof(h->instance));
	json_put_text(root, "socket", socket, sizeof(ctl->connection.address.sun_path));
	json_object_set_new(root, "daemon", daemon_json(s));
	json_put_number(root, "page_size", UINT64_C(1) << h->page_shift);
	json_put_number(root, "frames", h->nr_frames);
	json_put_number(root, "online_frames", h->online_frames);
	json_put_number(root, "wanted_frames", h->wanted_frames);
	json_put_number(root, "segment_bytes", h->data_bytes);
	json_put_number(root, "committed_frames", h->committed_frames);
	json_put_number(root, "free", s->free);
	json_put_number(root, "hole", s->hole);
	json_put_number(root, "owned", s->owned);
	json_put_number(root, "shared", s->shared);
	json_put_number(root, "purgeable", h->nr_purgeable);
	json_put_number(root, "largest_free", h->largest_free);
	json_object_set_new(root, "pressure", pressure_json(h));
	json_put_number(root, "unmanaged", s->unmanaged);
	json_object_set_new(root, "watermarks", watermarks_json(s));
	json_put_string(root, "backing", status_backing(s));
	json_put_string(root, "unprotected", status_unprotected(s));
	json_object_set_new(root, "huge_pages", huge_json(s));
	json_put_text(root, "cgroup", h->cgroup, sizeof(h->cgroup));
	json_put_text(root, "commit_failure", h->limit, sizeof(h->limit));
	json_put_number(root, "clients", s->n_clients);
	json_put_number(root, "caches", s->n_caches);
	put_files(root, s);
	put_costs(root, s);
	return json_print(root);
}

int show_status(struct pagectl *ctl)
{
	struct status status;

	status_read(&ctl->view, &status);
	if (ctl->want_json)
		return print_json(ctl, &status);
	print_daemon(ctl, &status);
	print_segment(&status);
	print_machine(&status);
	print_costs(&status);
	return PAGECTL_OK;
}
