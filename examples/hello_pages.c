/* examples/hello_pages.c - the first program: takes page frames from the daemon, uses them, gives
 * them back.
 *
 * Start a daemon first:   paged --runtime-dir /tmp/hello &
 * then:                   PAGED_SOCKET=/tmp/hello/paged.sock hello_pages
 *
 * Without a daemon it says so and ends; with PAGECLIENT_FALLBACK_PRIVATE in options.flags the same
 * calls would go on over private memory. */
#include <pageclient/pageclient.h>

#include <stdio.h>

/* One frame, and where it is: the address is this process's own, the pfn is the same for all. */
static int take_one(pageclient *client)
{
	char *frame = pageclient_alloc(client, 0, PAGECLIENT_ZERO);

	if (!frame)
		return -1;
	(void)snprintf(frame, pageclient_page_size(client), "Hello, pages!");
	printf("frame %u at %p says: %s\n", pageclient_pfn(client, frame), (void *)frame, frame);
	pageclient_free(client, frame, 0);
	return 0;
}

/* A block of 1 << 4 frames that lie side by side, for whatever is larger than a frame. */
static int take_block(pageclient *client)
{
	char *block = pageclient_alloc(client, 4, 0);

	if (!block)
		return -1;
	printf("block of 16 frames: %u to %u, %zu bytes\n", pageclient_pfn(client, block),
	       pageclient_pfn(client, block) + 15, pageclient_page_size(client) << 4);
	pageclient_free(client, block, 4);
	return 0;
}

static int print_status(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	if (pageclient_read_status(client, &status) < 0)
		return -1;
	printf("client %u owns %llu frames: its magazines keep a stock for the next allocation\n",
	       status.client_id, (unsigned long long)status.nr_owned);
	return 0;
}

int main(void)
{
	struct pageclient_options options;
	pageclient *client;
	int r;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.name = "hello_pages";
	r = pageclient_open(&options, &client);
	if (r < 0) {
		(void)fprintf(stderr, "hello_pages: %s\n", pageclient_error());
		return 1;
	}
	r = take_one(client);
	if (r == 0)
		r = take_block(client);
	if (r == 0)
		r = print_status(client);
	if (r < 0)
		(void)fprintf(stderr, "hello_pages: %s\n", pageclient_error());
	pageclient_close(client);
	return r < 0;
}
