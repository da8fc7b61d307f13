/* daemon/host/perform.c - each action of the session, carried out.
 *
 * After the stop has begun there is no wire any more: messages go nowhere, and only what the pool
 * must still be told (a commit that ends) comes back as an event. */
#include "daemon/host/server.h"

#include "paged/check.h"
#include "paged/crash_point.h"
#include "shm/access.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CTLs looked at in a tick. Lower: ctl_used_bytes is older; higher: a tick takes longer. */
#define CTL_LOOKS 64u

/* --- clients -------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void account_ctl(struct server *server, struct server_client *client, uint64_t bytes)
{
	struct shm_meta_header *meta = server->options.segments->meta;

	__atomic_store_n(&meta->ctl_used_bytes,
			 meta->ctl_used_bytes - client->ctl_used_bytes + bytes, __ATOMIC_RELAXED);
	client->ctl_used_bytes = bytes;
}

/* Makes what the supervisor keeps what it should. If that fails it is tried again. */
static void keep_ctl(struct server *server, client_id id)
{
	struct server_client *client = &server->client[id];

	if (client->is_kept != client->is_open &&
	    control_keep(server->options.control, id, client->is_open ? client->ctl_fd : -1) == 0)
		client->is_kept = client->is_open;
}

void server_account_ctl(struct server *server)
{
	uint32_t looks = 0;

	for (uint32_t n = 0; n < SHM_MAX_CLIENTS && looks < CTL_LOOKS; n++) {
		struct server_client *client = &server->client[server->ctl_next + 1];
		struct stat st;

		server->ctl_next = (server->ctl_next + 1) % SHM_MAX_CLIENTS;
		if (!client->is_open)
			continue;
		looks++;
		if (fstat(client->ctl_fd, &st) == 0)
			account_ctl(server, client, (uint64_t)st.st_blocks * 512);
	}
}

/* Its CTL and what else PREPARE or a Resume made; nothing where there is none. */
static void release_ctl(struct server *server, client_id id)
{
	struct server_client *client = &server->client[id];

	if (!client->is_open)
		return;
	CRASH_POINT(CLIENT_RELEASED);
	account_ctl(server, client, 0);
	(void)munmap(client->ctl, client->ctl_bytes);
	close_fd(&client->ctl_fd);
	close_fd(&client->event_fd);
	client->is_open = false;
	keep_ctl(server, id);
}

void server_release(struct server *server, client_id id)
{
	if (server->wire)
		wire_client_close(server->wire, id);
	release_ctl(server, id);
}

void server_keep_ctls(struct server *server)
{
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		keep_ctl(server, id);
}

/* What a client needs before it can be attached. Fills event on success. */
static int prepare(struct server *server, const struct session_action *action,
		   struct session_event *event, char *text, size_t text_bytes)
{
	struct segments *segments = server->options.segments;
	struct server_client client = {.is_open = true, .event_fd = -1};
	struct stat st;
	int r;

	r = headroom_check_own(segments->options.headroom, 0, text, text_bytes);
	if (r == 0)
		r = segments_give_state(segments, action->client, text, text_bytes);
	if (r)
		return r;
	r = segment_ctl_create(action->client, action->max_threads, segments->meta->nr_frames,
			       segments->meta->instance_id, &client.ctl_fd, &client.ctl);
	if (r) {
		(void)snprintf(text, text_bytes, "no memory for the client's magazines: %s",
			       strerror(-r));
		return r;
	}
	client.ctl_bytes = shm_ctl_bytes(action->max_threads, segments->meta->nr_frames);
	server->client[action->client] = client;
	if (fstat(client.ctl_fd, &st) < 0 ||
	    getrandom(event->token, sizeof(event->token), 0) != (ssize_t)sizeof(event->token))
		r = -errno;
	else
		r = wire_client_open(server->wire, action->conn, action->client,
				     &server->client[action->client].event_fd);
	if (r) {
		(void)snprintf(text, text_bytes, "the client cannot be watched: %s", strerror(-r));
		server_release(server, action->client);
		return r;
	}
	account_ctl(server, &server->client[action->client], (uint64_t)st.st_blocks * 512);
	CRASH_POINT(CLIENT_PREPARED);
	keep_ctl(server, action->client);
	CRASH_POINT(CTL_KEPT);
	event->ctl = client.ctl;
	event->ctl_dev = st.st_dev;
	event->ctl_ino = st.st_ino;
	return 0;
}

static void perform_prepare(struct server *server, const struct session_action *action)
{
	struct session_event event = {.kind = EVENT_PREPARED,
				      .conn = action->conn,
				      .client = action->client,
				      .cookie = action->cookie};

	server->pending_text[0] = '\0';
	server_release(server, action->client); /* nothing, unless the session forgot */
	event.status =
		prepare(server, action, &event, server->pending_text, sizeof(server->pending_text));
	event.text = server->pending_text;
	server_pend(server, &event, SERVER_LAST);
}

int server_take_ctl(struct server *server, client_id id, int fd)
{
	const struct shm_record *record = pool_client_record(server->pool, id);
	struct server_client client = {.is_open = true, .ctl_fd = fd, .event_fd = -1};
	uint32_t nr_slots = server->options.segments->meta->nr_frames;
	struct stat st;
	int r = 0;

	PAGED_CHECK(!server->client[id].is_open);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != record->ctl_dev ||
	    st.st_ino != record->ctl_ino)
		r = -EBADF;
	if (r == 0)
		r = segment_ctl_map(fd, record->max_threads, nr_slots, &client.ctl);
	if (r) {
		close_fd(&fd);
		return r;
	}
	client.ctl_bytes = shm_ctl_bytes(record->max_threads, nr_slots);
	server->client[id] = client;
	account_ctl(server, &server->client[id], (uint64_t)st.st_blocks * 512);
	return 0;
}

/* The CTL that a Resume carried, which is the shell's only through the step. */
static int take_ctl_of_resume(struct server *server, client_id id)
{
	const struct session_event *event = server->event;
	int fd = event->has_fd ? fcntl(event->fd, F_DUPFD_CLOEXEC, 0) : -1;
	int r;

	if (event->has_fd && fd < 0)
		return -errno;
	r = server_take_ctl(server, id, fd);
	CRASH_POINT(RESUME_TAKEN);
	if (r == 0)
		keep_ctl(server, id);
	return r;
}

static void perform_reattach(struct server *server, const struct session_action *action)
{
	struct server_client *client = &server->client[action->client];
	struct session_event event = {.kind = EVENT_REATTACHED,
				      .conn = action->conn,
				      .client = action->client,
				      .text = server->pending_text};
	bool is_new = !client->is_open;

	if (is_new)
		event.status = take_ctl_of_resume(server, action->client);
	if (event.status == 0) {
		close_fd(&client->event_fd);
		event.status = wire_client_open(server->wire, action->conn, action->client,
						&client->event_fd);
	}
	CRASH_POINT(CLIENT_REATTACHED);
	if (event.status == 0)
		event.ctl = is_new ? client->ctl : NULL;
	else if (is_new) /* it is watched as before: its process may die without another try */
		release_ctl(server, action->client);
	(void)snprintf(server->pending_text, sizeof(server->pending_text), "%s",
		       event.status == -EBADF ? "a Resume must carry the client's own CTL"
					      : strerror(-event.status));
	server_pend(server, &event, SERVER_LAST);
}

static void perform_heads(struct server *server, const struct session_action *action)
{
	struct session_event event = {.kind = EVENT_HEADS,
				      .conn = action->conn,
				      .client = action->client,
				      .thread = action->thread,
				      .cookie = action->cookie,
				      .text = server->pending_text};

	event.status = segments_give_heads(server->options.segments, action->client, action->thread,
					   server->pending_text, sizeof(server->pending_text));
	CRASH_POINT(HEADS_GIVEN);
	server_pend(server, &event, SERVER_LAST);
}

static void perform_table(struct server *server, const struct session_action *action)
{
	struct session_event event = {.kind = EVENT_TABLE,
				      .conn = action->conn,
				      .client = action->client,
				      .nr_slots = action->nr_slots,
				      .cookie = action->cookie,
				      .text = server->pending_text};
	const struct server_client *client = &server->client[action->client];
	uint64_t bytes = (uint64_t)(action->nr_slots - action->from_slot) * 8;

	server->pending_text[0] = '\0';
	event.status = headroom_check_own(server->options.segments->options.headroom, bytes,
					  server->pending_text, sizeof(server->pending_text));
	if (event.status == 0 && client->is_open)
		event.status = segment_ctl_give_table(
			client->ctl_fd,
			pool_client_record(server->pool, action->client)->max_threads,
			action->from_slot, action->nr_slots);
	CRASH_POINT(TABLE_GIVEN);
	server_pend(server, &event, SERVER_LAST);
}

/* --- messages ------------------------------------------------------------------------------- */

static void perform_send(struct server *server, const struct session_action *action)
{
	const struct segments *segments = server->options.segments;
	int fds[MESSAGE_FDS_MAX] = {segments->meta_read_fd};
	struct server_client *client;

	switch (action->fds) {
	case FDS_NONE:
		wire_send(server->wire, action->conn, &action->message, NULL, 0);
		break;
	case FDS_OBSERVER:
		wire_send(server->wire, action->conn, &action->message, fds, 1);
		break;
	case FDS_CLIENT:
		client = &server->client[action->client];
		PAGED_CHECK(client->is_open);
		fds[1] = action->read_only ? segments->data_read_fd : segments->data_fd;
		fds[2] = client->ctl_fd;
		fds[3] = client->event_fd;
		CRASH_POINT(HELLO_UNANSWERED);
		wire_send(server->wire, action->conn, &action->message, fds, 4);
		close_fd(&client->event_fd);
		break;
	case FDS_RESUMED:
		client = &server->client[action->client];
		wire_send(server->wire, action->conn, &action->message, &client->event_fd, 1);
		close_fd(&client->event_fd);
		break;
	}
}

/* --- commits and barriers ------------------------------------------------------------------- */

static void on_work(uv_work_t *work)
{
	struct server_job *job = work->data;

	CRASH_POINT(COMMIT_BEGUN);
	job->status = segments_commit(job->server->options.segments, &job->commit, job->text,
				      sizeof(job->text));
	CRASH_POINT(COMMIT_ENDED);
}

static void on_work_done(uv_work_t *work, int status)
{
	struct server_job *job = work->data;
	struct server *server = job->server;
	struct session_event event = {.kind = EVENT_COMMITTED,
				      .commit = job->commit,
				      .status = status ? status : job->status,
				      .text = job->text};

	segments_account(server->options.segments);
	job->busy = false;
	server_event(server, &event);
}

static void perform_commit(struct server *server, const struct session_action *action)
{
	struct session_event refused = {.kind = EVENT_COMMITTED,
					.commit = action->commit,
					.status = -ECANCELED,
					.text = "stopping"};
	struct server_job *job = server->job;

	if (server->stopping) {
		server_pend(server, &refused, SERVER_LAST);
		return;
	}
	while (job->busy) {
		job++;
		PAGED_CHECK(job < server->job + POOL_MAX_COMMITS);
	}
	*job = (struct server_job){.server = server, .commit = action->commit, .busy = true};
	job->work.data = job;
	PAGED_CHECK(uv_queue_work(&server->loop, &job->work, on_work, on_work_done) == 0);
}

static void perform_barrier(struct server *server)
{
	struct session_event event = {.kind = EVENT_BARRIER};

	CRASH_POINT(BARRIER_DUE);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0)
		event.status = -errno;
	CRASH_POINT(BARRIER_PASSED);
	server_pend(server, &event, SERVER_FIRST);
}

/* --- all ------------------------------------------------------------------------------------ */

static void perform_on_wire(struct server *server, const struct session_action *action)
{
	if (!server->wire)
		return;
	if (action->kind == ACTION_SEND)
		perform_send(server, action);
	else if (action->kind == ACTION_UPCALL)
		wire_upcall(server->wire, action->client, &action->message);
	else if (action->kind == ACTION_CLOSE)
		wire_end(server->wire, action->conn);
	else if (action->kind == ACTION_REATTACH)
		perform_reattach(server, action);
	else
		perform_prepare(server, action);
}

static void perform_log(const struct server *server, const struct session_action *action)
{
	struct log_fields fields = {0};

	if (action->client != CLIENT_NONE) {
		const struct shm_client *shown = pool_client(server->pool, action->client);

		log_field(&fields, "PAGED_CLIENT=%u", action->client);
		log_field(&fields, "PAGED_CLIENT_NAME=%.31s", shown->name);
		log_field(&fields, "PAGED_CLIENT_PID=%u", shown->pid);
		log_field(&fields, "PAGED_CLIENT_UID=%u", shown->uid);
	}
	log_event(server->options.log, action->level, action->log_id, &fields, "%s", action->text);
}

void server_perform(struct server *server, const struct session_action *action)
{
	switch (action->kind) {
	case ACTION_SEND:
	case ACTION_UPCALL:
	case ACTION_CLOSE:
	case ACTION_PREPARE:
	case ACTION_REATTACH:
		perform_on_wire(server, action);
		break;
	case ACTION_RELEASE:
		server_release(server, action->client);
		break;
	case ACTION_HEADS:
		perform_heads(server, action);
		break;
	case ACTION_TABLE:
		perform_table(server, action);
		break;
	case ACTION_COMMIT:
		perform_commit(server, action);
		break;
	case ACTION_BARRIER:
		perform_barrier(server);
		break;
	case ACTION_AGAIN:
		server_again(server);
		break;
	case ACTION_TIMER:
		server_timer(server, action->at_ns);
		break;
	case ACTION_LOG:
		perform_log(server, action);
		break;
	case ACTION_NR_KINDS:
		PAGED_CHECK(action->kind != ACTION_NR_KINDS);
		break;
	}
}
