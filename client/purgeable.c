/* client/purgeable.c - purgeable frames come with a later version. The calls are part of the ABI
 * from the first one, and say that they are not there yet. */
#include "client/client_private.h"

#include <errno.h>

static int purgeable_missing(void)
{
	return error_set(-EOPNOTSUPP, "this version of the library has no purgeable frames: use "
				      "pageclient_alloc() and register a cache");
}

int pageclient_purgeable_new(pageclient *client, void *frame, pageclient_slot *ret_slot)
{
	(void)client, (void)frame, (void)ret_slot;
	return purgeable_missing();
}

void *pageclient_pin(pageclient *client, pageclient_slot slot)
{
	(void)client, (void)slot;
	errno = -purgeable_missing();
	return NULL;
}

void pageclient_unpin(pageclient *client, pageclient_slot slot)
{
	(void)client, (void)slot;
	(void)purgeable_missing();
}

int pageclient_purgeable_rearm(pageclient *client, pageclient_slot slot, void *frame)
{
	(void)client, (void)slot, (void)frame;
	return purgeable_missing();
}

int pageclient_purgeable_take(pageclient *client, pageclient_slot slot, void **ret_frame)
{
	(void)client, (void)slot, (void)ret_frame;
	return purgeable_missing();
}

int pageclient_purgeable_drop(pageclient *client, pageclient_slot slot)
{
	(void)client, (void)slot;
	return purgeable_missing();
}
