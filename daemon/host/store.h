/* daemon/host/store.h - descriptors that outlive the daemon, in the service manager's fd store.
 *
 *   name            what
 *   meta state data the segment of backing = memfd: nameless, so whoever has it last ends it
 *   ctl-7           the CTL of client 7, with any backing: its magazines are served from the first
 *                   moment on, and not only from its Resume on
 *
 * The supervisor stores each when it gets it, takes it out when its time is over, and finds again
 * what was stored by name when the manager starts it anew: after a crash, the watchdog and a
 * restart, before systemd 254 not after a stop. What it is handed is no more than a hint: the parts
 * are taken all three or none, if they are sealed memfds of our uid; what is in them is judged as
 * that of any old segment (segments.h), and a CTL is looked at by the server (server_take_ctl()).
 *
 * Without a manager that stores, all of this does nothing. One thread. */
#ifndef DAEMON_HOST_STORE_H
#define DAEMON_HOST_STORE_H
#include "shm/segment.h"

#define STORE_NR_PARTS 3u /* enum shm_part */

struct store { /* what the manager handed us and nobody has taken; -1: none */
	int part[STORE_NR_PARTS];
	int ctl[SHM_MAX_CLIENTS + 1];
};

void store_init(struct store *ret_store);
/* Takes fd over. A name that we do not know, or have already, is closed and taken out. */
void store_put(struct store *store, const char *name, int fd);

/* All three parts, the caller's from now on, or false. */
bool store_take_parts(struct store *store, int ret_fd[STORE_NR_PARTS]);
/* All CTLs; -1 where there is none. */
void store_take_ctls(struct store *store, int ret_ctl[SHM_MAX_CLIENTS + 1]);
/* Closes the parts that nobody took, and takes them out. Idempotent. */
void store_close_parts(struct store *store);

/* Stores these instead of what was stored before; fd stays the caller's. */
void store_keep_parts(const int fd[STORE_NR_PARTS]);
void store_drop_parts(void);
void store_keep_ctl(client_id client, int fd);
void store_drop_ctl(client_id client);

#endif
