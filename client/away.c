/* client/away.c - what happens when the daemon goes away. (Coming back, a Resume by token, is not
 * built yet; it will live here and begin where client_away() ends.)
 *
 * AWAY ends every call under way with -ENOTCONN and makes pageclient_fd() readable, so that
 * dispatch tells on_state. The mappings stay: frames are readable and writable, magazines go on
 * serving what they hold, frees that find theirs full go to the deferred list. */
#include "client/client_private.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void client_wake(pageclient *client)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then the descriptor is readable already. */
	if (write(client->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void client_away(pageclient *client)
{
	uint32_t expected = PAGECLIENT_CONNECTED;

	/* acq_rel; pairs with the acquire in client_state(): one thread does what follows */
	if (!__atomic_compare_exchange_n(&client->state, &expected, (uint32_t)PAGECLIENT_AWAY,
					 false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	/* At EOF a socket is readable for ever: out of the set with it. shutdown() wakes a leader.
	 */
	(void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, client->call_fd, NULL);
	(void)shutdown(client->call_fd, SHUT_RDWR);
	rpc_end(client);
	client_wake(client);
}
