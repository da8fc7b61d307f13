/* daemon/host/psi_socket.c - see psi_socket.h.
 *
 *   listen_poll -> accept -> struct subscriber: reading its trigger   (deadline: 1 s)
 *                                              | newline, NUL, or the second is over
 *                                              v
 *                                            watching: window, threshold   <- timer, ten a window
 *
 * One timer for all: at the shortest of the windows' tenths while anything may grow, and at the
 * next deadline of a trigger that is not complete. What it is due for has a time of its own that
 * nobody's coming, going or writing puts off: a storm of them is nothing to those who wait. */
#include "daemon/host/psi_socket.h"

#include "paged/bits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIGGER_MS 1000u
#define WINDOW_MIN_US 500000u   /* the kernel's WINDOW_MIN_US */
#define WINDOW_MAX_US 10000000u /* and WINDOW_MAX_US */
#define LOOKS_PER_WINDOW 10u    /* UPDATES_PER_WINDOW */
#define ACCEPTS_PER_WAKE 16u
#define PAUSE_MS 100u /* out of descriptors: lower spins, higher lets subscribers wait */

enum subscriber_state {
	SUBSCRIBER_NONE,
	SUBSCRIBER_READING,
	SUBSCRIBER_WATCHING,
	SUBSCRIBER_CLOSING
};

struct subscriber {
	enum subscriber_state state;
	struct psi_socket *owner;
	uv_poll_t poll;
	int fd;
	uid_t uid;
	uint64_t number; /* the higher, the newer */
	uint64_t deadline_ns;
	uint32_t n_bytes;
	char bytes[PSI_SOCKET_TRIGGER_BYTES + 1];
	struct psi_trigger trigger;
	struct psi_window window;
	uint64_t told_ns;
	bool was_told;
	int next_fd; /* CLOSING: whose place it is then; -1: nobody's */
	uid_t next_uid;
};

struct psi_socket {
	struct psi_socket_options options;
	uv_poll_t listen_poll;
	uv_timer_t timer;
	uint64_t next_number;
	uint32_t n_handles;
	bool is_closing, is_paused, is_looking;
	uint64_t look_ns;   /* is_looking: the next look, if anybody watches */
	uint64_t accept_ns; /* is_paused: the next try */
	struct subscriber subscriber[PSI_SOCKET_MAX];
};

/* --- triggers ------------------------------------------------------------------------------- */

/* Digits and what follows them; false if there is none or too many. */
static bool take_number(const char **at, uint64_t *ret_n)
{
	char *end;

	while (**at == ' ')
		(*at)++;
	if (**at < '0' || **at > '9' || strspn(*at, "0123456789") > 9)
		return false;
	*ret_n = strtoull(*at, &end, 10);
	*at = end;
	return true;
}

int psi_trigger_parse(const char *text, struct psi_trigger *ret_trigger)
{
	struct psi_trigger trigger = {.kind = SHM_PSI_SOME};

	if (strncmp(text, "full ", 5) == 0)
		trigger.kind = SHM_PSI_FULL;
	else if (strncmp(text, "some ", 5) != 0)
		return -EINVAL;
	text += 5;
	if (!take_number(&text, &trigger.stall_us) || *text != ' ' ||
	    !take_number(&text, &trigger.window_us))
		return -EINVAL;
	if (text[strspn(text, " ")] || trigger.window_us < WINDOW_MIN_US ||
	    trigger.window_us > WINDOW_MAX_US || trigger.stall_us == 0 ||
	    trigger.stall_us > trigger.window_us)
		return -EINVAL;
	*ret_trigger = trigger;
	return 0;
}

/* --- the timer ------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static uint64_t look_every_ns(const struct subscriber *sub)
{
	return sub->trigger.window_us * 1000 / LOOKS_PER_WINDOW;
}

/* Now that all have been looked at, or anything began to grow. */
static void plan_look(struct psi_socket *s, uint64_t now)
{
	uint64_t ns = UINT64_C(1000) * WINDOW_MAX_US;

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		if (s->subscriber[i].state == SUBSCRIBER_WATCHING)
			ns = bits_min(ns, look_every_ns(&s->subscriber[i]));
	s->look_ns = now + ns;
}

/* When the timer is due; UINT64_MAX: never. */
static uint64_t next_due_ns(const struct psi_socket *s)
{
	uint64_t due = s->is_paused ? s->accept_ns : UINT64_MAX;

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++) {
		const struct subscriber *sub = &s->subscriber[i];

		if (sub->state == SUBSCRIBER_READING)
			due = bits_min(due, sub->deadline_ns);
		else if (sub->state == SUBSCRIBER_WATCHING && s->is_looking)
			due = bits_min(due, s->look_ns);
	}
	return due;
}

static void set_timer(struct psi_socket *s)
{
	uint64_t due = next_due_ns(s), now = uv_hrtime();

	if (s->is_closing)
		return;
	if (due == UINT64_MAX)
		(void)uv_timer_stop(&s->timer);
	else
		(void)uv_timer_start(&s->timer, on_timer, due > now ? (due - now) / 1000000 + 1 : 0,
				     0);
}

/* --- subscribers ---------------------------------------------------------------------------- */

static void subscriber_on_closed(uv_handle_t *handle);

static void subscriber_close(struct subscriber *sub)
{
	if (sub->state == SUBSCRIBER_NONE || sub->state == SUBSCRIBER_CLOSING)
		return;
	sub->state = SUBSCRIBER_CLOSING;
	sub->next_fd = -1;
	uv_close((uv_handle_t *)&sub->poll, subscriber_on_closed);
}

static void watch(struct subscriber *sub, const struct psi_trigger *trigger)
{
	struct psi_socket *s = sub->owner;
	uint64_t now = uv_hrtime();

	sub->state = SUBSCRIBER_WATCHING;
	sub->trigger = *trigger;
	psi_window_init(&sub->window, trigger->window_us * 1000, now,
			s->options.stalled_ns(s->options.arg, trigger->kind));
	if (s->is_looking)
		s->look_ns = bits_min(s->look_ns, now + look_every_ns(sub));
	else
		psi_socket_wake(s);
}

/* The line is complete, or the second is over. */
static void take_trigger(struct subscriber *sub)
{
	struct psi_trigger trigger = {SHM_PSI_SOME, 200000, 2000000};

	sub->bytes[sub->n_bytes] = '\0';
	if (sub->n_bytes && psi_trigger_parse(sub->bytes, &trigger))
		subscriber_close(sub);
	else
		watch(sub, &trigger);
}

/* One more byte of the trigger. */
static void on_byte(struct subscriber *sub, char byte)
{
	bool is_end = byte == '\n' || byte == '\0';

	if (is_end && sub->n_bytes)
		take_trigger(sub);
	else if (is_end || sub->n_bytes == PSI_SOCKET_TRIGGER_BYTES)
		subscriber_close(sub); /* an empty line is no trigger, and no silence either */
	else
		sub->bytes[sub->n_bytes++] = byte;
}

/* What a subscriber wrote. A line may end with its newline and with the NUL of its string. */
static void on_bytes(struct subscriber *sub, const char *bytes, size_t n)
{
	bool has_trigger = sub->state == SUBSCRIBER_WATCHING;

	for (size_t i = 0; i < n && sub->state != SUBSCRIBER_CLOSING; i++) {
		if (sub->state == SUBSCRIBER_READING)
			on_byte(sub, bytes[i]);
		else if (has_trigger || (bytes[i] != '\n' && bytes[i] != '\0'))
			subscriber_close(sub);
	}
}

static void read_some(struct subscriber *sub)
{
	char bytes[2 * PSI_SOCKET_TRIGGER_BYTES];
	ssize_t n = read(sub->fd, bytes, sizeof(bytes));

	if (n > 0)
		on_bytes(sub, bytes, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		subscriber_close(sub);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct subscriber *sub = poll->data;

	(void)events;
	if (status < 0)
		subscriber_close(sub);
	else
		read_some(sub);
	set_timer(sub->owner);
}

/* Its second is over. What it wrote may lie there if it was we who had no processor. */
static void on_silence(struct subscriber *sub)
{
	read_some(sub);
	if (sub->state == SUBSCRIBER_READING)
		take_trigger(sub);
}

/* Looks at the window; true if there is something left in it. */
static bool look(struct subscriber *sub, uint64_t now)
{
	const struct psi_socket_options *options = &sub->owner->options;
	uint64_t total = options->stalled_ns(options->arg, sub->trigger.kind);
	uint64_t growth = psi_window_update(&sub->window, now, total);

	if (growth < sub->trigger.stall_us * 1000 ||
	    (sub->was_told && now - sub->told_ns < sub->trigger.window_us * 1000))
		return growth > 0;
	/* Full: it has not read what it was told before. */
	if (send(sub->fd, "p", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
	    errno != EINTR)
		subscriber_close(sub);
	sub->was_told = true;
	sub->told_ns = now;
	return true;
}

static void listen_again(struct psi_socket *s);

static void on_timer(uv_timer_t *timer)
{
	struct psi_socket *s = timer->data;
	uint64_t now = uv_hrtime();
	bool any = s->options.is_stalled(s->options.arg);

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++) {
		struct subscriber *sub = &s->subscriber[i];

		if (sub->state == SUBSCRIBER_READING && now >= sub->deadline_ns)
			on_silence(sub);
		else if (sub->state == SUBSCRIBER_WATCHING)
			any |= look(sub, now);
	}
	s->is_looking = any;
	plan_look(s, now);
	if (s->is_paused && now >= s->accept_ns)
		listen_again(s);
	set_timer(s);
}

void psi_socket_wake(struct psi_socket *s)
{
	if (s->is_looking || s->is_closing || !s->options.is_stalled(s->options.arg))
		return;
	s->is_looking = true;
	plan_look(s, uv_hrtime());
	set_timer(s);
}

/* --- the listener --------------------------------------------------------------------------- */

static uint32_t count_of(const struct psi_socket *s, uid_t uid)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		n += s->subscriber[i].state != SUBSCRIBER_NONE &&
		     s->subscriber[i].state != SUBSCRIBER_CLOSING && s->subscriber[i].uid == uid;
	return n;
}

uint32_t psi_socket_count(const struct psi_socket *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		n += s->subscriber[i].state == SUBSCRIBER_READING ||
		     s->subscriber[i].state == SUBSCRIBER_WATCHING;
	return n;
}

/* All places are taken: that of the newest of the user with most, which ends; NULL: uid has as
 * many.
 */
static struct subscriber *make_room(struct psi_socket *s, uid_t uid)
{
	struct subscriber *newest = NULL;
	uint32_t most = 0;

	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++) {
		struct subscriber *sub = &s->subscriber[i];
		uint32_t n;

		if (sub->state == SUBSCRIBER_CLOSING)
			continue;
		n = count_of(s, sub->uid);
		if (n > most || (newest && n == most && sub->number > newest->number)) {
			most = n;
			newest = sub;
		}
	}
	if (!newest || most < count_of(s, uid) + 2)
		return NULL;
	subscriber_close(newest);
	return newest;
}

static struct subscriber *find_place(struct psi_socket *s)
{
	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		if (s->subscriber[i].state == SUBSCRIBER_NONE)
			return &s->subscriber[i];
	return NULL;
}

/* Takes fd over. */
static void subscribe(struct psi_socket *s, int fd, struct subscriber *sub, uid_t uid)
{
	*sub = (struct subscriber){.owner = s,
				   .fd = fd,
				   .uid = uid,
				   .number = s->next_number++,
				   .deadline_ns = uv_hrtime() + TRIGGER_MS * UINT64_C(1000000)};
	if (uv_poll_init(uv_handle_get_loop((uv_handle_t *)&s->timer), &sub->poll, fd) < 0) {
		(void)close(fd);
		return;
	}
	sub->poll.data = sub;
	sub->state = SUBSCRIBER_READING;
	s->n_handles++;
	(void)uv_poll_start(&sub->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

static void on_connect(struct psi_socket *s, int fd)
{
	struct subscriber *place = find_place(s);
	struct ucred peer = {0};
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) {
		(void)close(fd);
		return;
	}
	if (place) {
		subscribe(s, fd, place, peer.uid);
		return;
	}
	place = make_room(s, peer.uid);
	if (!place) {
		(void)close(fd);
		return;
	}
	place->next_fd = fd;
	place->next_uid = peer.uid;
}

static void listener_on_poll(uv_poll_t *poll, int status, int events)
{
	struct psi_socket *s = poll->data;

	(void)events;
	for (uint32_t i = 0; i < ACCEPTS_PER_WAKE && status == 0; i++) {
		int fd = accept4(s->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			on_connect(s, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN)
			status = -errno;
		break;
	}
	if (status < 0) {
		(void)uv_poll_stop(&s->listen_poll);
		s->is_paused = true;
		s->accept_ns = uv_hrtime() + PAUSE_MS * UINT64_C(1000000);
	}
	set_timer(s);
}

static void listen_again(struct psi_socket *s)
{
	s->is_paused = false;
	(void)uv_poll_start(&s->listen_poll, UV_READABLE, listener_on_poll);
}

/* --- start and end -------------------------------------------------------------------------- */

int psi_socket_open(uv_loop_t *loop, const struct psi_socket_options *options,
		    struct psi_socket **ret_socket)
{
	struct psi_socket *s = calloc(1, sizeof(*s));
	int r = s ? uv_poll_init(loop, &s->listen_poll, options->listen_fd) : -ENOMEM;

	if (r < 0) {
		free(s);
		return r;
	}
	(void)uv_timer_init(loop, &s->timer);
	s->options = *options;
	s->listen_poll.data = s;
	s->timer.data = s;
	s->n_handles = 2;
	listen_again(s);
	*ret_socket = s;
	return 0;
}

static void forget_handle(struct psi_socket *s)
{
	if (--s->n_handles == 0)
		free(s);
}

static void on_closed(uv_handle_t *handle)
{
	forget_handle(handle->data);
}

static void subscriber_on_closed(uv_handle_t *handle)
{
	struct subscriber *sub = handle->data;
	struct psi_socket *s = sub->owner;
	int next_fd = sub->next_fd;

	(void)close(sub->fd);
	sub->state = SUBSCRIBER_NONE;
	if (next_fd >= 0 && s->is_closing)
		(void)close(next_fd);
	else if (next_fd >= 0)
		subscribe(s, next_fd, sub, sub->next_uid);
	set_timer(s);
	forget_handle(s);
}

void psi_socket_close(struct psi_socket *s)
{
	if (!s || s->is_closing)
		return;
	s->is_closing = true;
	for (uint32_t i = 0; i < PSI_SOCKET_MAX; i++)
		subscriber_close(&s->subscriber[i]);
	(void)uv_poll_stop(&s->listen_poll);
	(void)close(s->options.listen_fd);
	uv_close((uv_handle_t *)&s->listen_poll, on_closed);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}
