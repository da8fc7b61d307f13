/* daemon/host/store.c - see store.h. */
#include "daemon/host/store.h"

#include "daemon/host/notify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 16u
#define CTL_PREFIX "ctl-"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void ctl_name(client_id client, char ret_name[NAME_BYTES])
{
	(void)snprintf(ret_name, NAME_BYTES, CTL_PREFIX "%u", client);
}

void store_init(struct store *ret_store)
{
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		ret_store->part[i] = -1;
	for (client_id id = 0; id <= SHM_MAX_CLIENTS; id++)
		ret_store->ctl[id] = -1;
}

/* Where a descriptor of that name belongs, NULL: nowhere. */
static int *place_of(struct store *store, const char *name)
{
	char expected[NAME_BYTES];
	unsigned long id;

	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		if (strcmp(name, shm_part_name((enum shm_part)i)) == 0)
			return &store->part[i];
	if (strncmp(name, CTL_PREFIX, strlen(CTL_PREFIX)) != 0)
		return NULL;
	id = strtoul(name + strlen(CTL_PREFIX), NULL, 10);
	if (id < 1 || id > SHM_MAX_CLIENTS)
		return NULL;
	ctl_name((client_id)id, expected);
	return strcmp(name, expected) == 0 ? &store->ctl[id] : NULL;
}

void store_put(struct store *store, const char *name, int fd)
{
	int *place = place_of(store, name);

	if (place && *place < 0) {
		*place = fd;
		return;
	}
	(void)close(fd);
	if (!place)
		notify_unstore(name);
}

/* Made by us, and nobody can have changed its size since. */
static bool is_part(int fd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 07777) == 0600 && (fcntl(fd, F_GET_SEALS) & seals) == seals;
}

bool store_take_parts(struct store *store, int ret_fd[STORE_NR_PARTS])
{
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		if (!is_part(store->part[i]))
			return false;
	memcpy(ret_fd, store->part, sizeof(store->part));
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		store->part[i] = -1;
	return true;
}

void store_take_ctls(struct store *store, int ret_ctl[SHM_MAX_CLIENTS + 1])
{
	for (client_id id = 0; id <= SHM_MAX_CLIENTS; id++) {
		ret_ctl[id] = store->ctl[id];
		store->ctl[id] = -1;
	}
}

void store_close_parts(struct store *store)
{
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++) {
		if (store->part[i] >= 0)
			notify_unstore(shm_part_name((enum shm_part)i));
		close_fd(&store->part[i]);
	}
}

/* --- telling -------------------------------------------------------------------------------- */

void store_keep_parts(const int fd[STORE_NR_PARTS])
{
	store_drop_parts(); /* or the manager has two of a name */
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		notify_store(shm_part_name((enum shm_part)i), fd[i]);
}

void store_drop_parts(void)
{
	for (uint32_t i = 0; i < STORE_NR_PARTS; i++)
		notify_unstore(shm_part_name((enum shm_part)i));
}

void store_keep_ctl(client_id client, int fd)
{
	char name[NAME_BYTES];

	ctl_name(client, name);
	notify_store(name, fd);
}

void store_drop_ctl(client_id client)
{
	char name[NAME_BYTES];

	ctl_name(client, name);
	notify_unstore(name);
}
