/* tests/abi/pair.c - inlined pairs, for tests/abi/run.sh to look at: no lock prefix and no call but
 * the two slow functions. */
#include <pageclient/pageclient.h>

void pair(pageclient *client, void *volatile *where);
void pair(pageclient *client, void *volatile *where)
{
	void *frame = pageclient_alloc(client, 0, 0);

	*where = frame;
	pageclient_free(client, frame, 0);
}

void pair_of_any_order(pageclient *client, void *volatile *where, unsigned order);
void pair_of_any_order(pageclient *client, void *volatile *where, unsigned order)
{
	void *frame = pageclient_alloc(client, order, 0);

	*where = frame;
	pageclient_free(client, frame, order);
}
