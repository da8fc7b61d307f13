/* client/dispatch.c - upcalls, and who runs them.
 *
 *   epoll_fd (pageclient_fd)  <- event socket: readable       upcalls
 *                             <- call socket: hung up         the daemon is gone
 *                             <- wake_fd: readable            the state changed
 *                             <- timer_fd: readable           away: the next try is due
 *                             <- a Resume's socket: readable  away: its reply is there
 *
 * One thread dispatches at a time; another that comes meanwhile finds nothing to do (the library's
 * own thread waits instead, or it would spin on a descriptor that stays readable). The daemon ends
 * the event socket alone when a program lets upcalls pile up: then no more come before the next
 * resume, and calls go on. After a resume, by whomever, dispatch takes the new event socket. */
#include "client/cancel.h"
#include "client/client_private.h"
#include "client/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

int dispatch_watch(const pageclient *client, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.fd = fd}};

	return epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void dispatch_unwatch(const pageclient *client, int fd)
{
	(void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int dispatch_open(pageclient *client)
{
	int r;

	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd < 0)
		return error_set(-errno, "no descriptor for pageclient_fd()");
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->wake_fd < 0)
		return error_set(-errno, "no descriptor for pageclient_fd()");
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (client->timer_fd < 0)
		return error_set(-errno, "no descriptor for pageclient_fd()");
	r = dispatch_watch(client, client->wake_fd, EPOLLIN);
	if (r == 0)
		r = dispatch_watch(client, client->timer_fd, EPOLLIN);
	if (r == 0 && client->event_fd >= 0)
		r = dispatch_watch(client, client->event_fd, EPOLLIN);
	if (r == 0 && client->call_fd >= 0)
		r = dispatch_watch(client, client->call_fd, EPOLLRDHUP);
	return r < 0 ? error_set(r, "the sockets cannot be watched") : 0;
}

static void dispatch_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void dispatch_close(pageclient *client)
{
	dispatch_close_fd(&client->epoll_fd);
	dispatch_close_fd(&client->wake_fd);
	dispatch_close_fd(&client->timer_fd);
	dispatch_close_fd(&client->stop_fd);
	dispatch_close_fd(&client->call_fd);
	dispatch_close_fd(&client->event_fd);
	dispatch_close_fd(&client->away.fd);
	dispatch_close_fd(&client->away.event_fd);
	dispatch_close_fd(&client->ctl_fd);
}

/* Has the daemon closed its end of the call socket? */
static void dispatch_check_hangup(pageclient *client)
{
	struct pollfd item = {.fd = client->call_fd, .events = POLLRDHUP};
	uint64_t generation = rpc_generation(client); /* before the look */

	if (client_state(client) == PAGECLIENT_CONNECTED && poll(&item, 1, 0) > 0 &&
	    (item.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		client_away(client, generation);
}

static void dispatch_end_events(pageclient *client)
{
	client->events_ended = true;
	dispatch_unwatch(client, client->event_fd);
	dispatch_check_hangup(client);
}

/* The event socket of the last resume. What was not read from the old one was asked by a daemon
 * that does not wait for it any more. */
static void dispatch_take_events(pageclient *client)
{
	int fd;

	(void)pthread_mutex_lock(&client->away.lock);
	fd = client->away.event_fd;
	client->away.event_fd = -1;
	(void)pthread_mutex_unlock(&client->away.lock);
	if (fd < 0)
		return;
	dispatch_unwatch(client, client->event_fd);
	while (dup3(fd, client->event_fd, O_CLOEXEC) < 0 && errno == EINTR)
		continue;
	(void)close(fd);
	client->events_ended = dispatch_watch(client, client->event_fd, EPOLLIN) < 0;
}

static void dispatch_drain(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		continue;
}

static int dispatch_tell(pageclient *client, enum pageclient_state state)
{
	client->state_told = (uint32_t)state;
	if (!client->options.on_state)
		return 0;
	client->options.on_state(client->options.arg, state);
	return 1;
}

/* Tells on_state what it has not heard yet, also that the daemon was away for a moment in between.
 * Returns callbacks run. */
static int dispatch_state(pageclient *client)
{
	uint64_t generation;
	enum pageclient_state state;
	int n = 0;

	dispatch_drain(client->wake_fd);
	state = client_state(client);
	generation = rpc_generation(client); /* last: what comes between is told at the next wake */
	if (generation != client->generation_told && client->state_told == PAGECLIENT_CONNECTED)
		n += dispatch_tell(client, PAGECLIENT_AWAY);
	client->generation_told = generation;
	if ((uint32_t)state != client->state_told)
		n += dispatch_tell(client, state);
	return n;
}

static int dispatch_shrink(pageclient *client, const struct message *message)
{
	struct message answer = {.kind = MESSAGE_SHRINK_DONE, .id = message->id};
	int n;

	cache_upcall(client, &message->shrink, &answer.shrink_done, &n);
	/* A daemon that does not read its end counts a missed deadline; nothing waits for that. */
	if (socket_send(client->event_fd, &answer) == -ENOTCONN)
		dispatch_end_events(client);
	return n;
}

static int dispatch_message(pageclient *client, const struct message *message)
{
	if (message->kind == MESSAGE_SHRINK)
		return dispatch_shrink(client, message);
	if (message->kind != MESSAGE_PRESSURE ||
	    message->pressure.level > PAGECLIENT_LEVEL_CRITICAL)
		return 0;
	/* relaxed; a number for people. After a resume the daemon says once more what it said. */
	if (__atomic_exchange_n(&client->level, message->pressure.level, __ATOMIC_RELAXED) ==
		    message->pressure.level ||
	    !client->options.on_pressure)
		return 0;
	client->options.on_pressure(client->options.arg,
				    (enum pageclient_level)message->pressure.level);
	return 1;
}

/* dispatch_lock is held. */
static int dispatch_run(pageclient *client)
{
	uint8_t *buffer = malloc(MESSAGE_BYTES_MAX);
	struct message message;
	int n = 0, r = 0;

	if (!buffer)
		return error_set(-ENOMEM, "no memory to read upcalls into");
	dispatch_check_hangup(client);
	n += dispatch_state(client);
	dispatch_drain(client->timer_fd);
	client_resume_step(client);
	dispatch_take_events(client);
	for (uint32_t i = 0; i < CLIENT_DISPATCH_MAX && !client->events_ended; i++) {
		if (client->event_fd < 0)
			break;
		r = socket_receive(client->event_fd, buffer, &message);
		if (r == -EAGAIN)
			break;
		if (r == 0)
			n += dispatch_message(client, &message);
		else
			dispatch_end_events(client);
	}
	n += dispatch_state(client);
	/* The wake that it drained may have been for more than on_state. Last, so that nothing
	 * drains the timer that is armed here. */
	client_resume_arm(client);
	dispatch_take_events(client);
	free(buffer);
	return n;
}

static int dispatch_check(const pageclient *client)
{
	int r = client_check(client);

	if (r == 0 && thread_is_scanning(client))
		r = error_set(-EDEADLK, "a callback of a cache must not dispatch: it runs inside a "
					"dispatch");
	return r;
}

int pageclient_fd(pageclient *client)
{
	int r = client_check(client);

	return r < 0 ? r : client->epoll_fd;
}

int pageclient_dispatch(pageclient *client)
{
	CANCEL_OFF;
	int r = dispatch_check(client);

	if (r < 0)
		return r;
	if (pthread_mutex_trylock(&client->dispatch_lock) != 0)
		return 0;
	r = dispatch_run(client);
	(void)pthread_mutex_unlock(&client->dispatch_lock);
	return r;
}

/* --- the library's thread --- */

static void *dispatch_thread(void *arg)
{
	pageclient *client = arg;

	for (;;) {
		struct pollfd items[2] = {{.fd = client->epoll_fd, .events = POLLIN},
					  {.fd = client->stop_fd, .events = POLLIN}};

		if (poll(items, 2, -1) < 0)
			continue;
		if (items[1].revents != 0)
			return NULL;
		(void)pthread_mutex_lock(&client->dispatch_lock);
		(void)dispatch_run(client);
		(void)pthread_mutex_unlock(&client->dispatch_lock);
	}
}

static int dispatch_spawn(pageclient *client)
{
	sigset_t all, before;
	int r;

	client->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (client->stop_fd < 0)
		return error_set(-errno, "no descriptor to stop the thread by");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&client->thread, NULL, dispatch_thread, client);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		dispatch_close_fd(&client->stop_fd);
		return error_set(r, "the thread cannot be started");
	}
	client->has_thread = true;
	return 0;
}

int pageclient_start_thread(pageclient *client)
{
	CANCEL_OFF;
	int r = dispatch_check(client);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&client->threads.lock);
	r = client->has_thread ? error_set(-EALREADY, "this client has its thread already")
			       : dispatch_spawn(client);
	(void)pthread_mutex_unlock(&client->threads.lock);
	return r;
}

void dispatch_stop_thread(pageclient *client)
{
	const uint64_t one = 1;

	if (!client->has_thread)
		return;
	while (write(client->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	(void)pthread_join(client->thread, NULL);
	client->has_thread = false;
}
