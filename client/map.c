/* client/map.c - META, DATA and CTL in this process.
 *
 *   META  read-only: nobody here can forge a word or a top
 *   DATA  at a boundary of 1 GiB, so that every block is aligned to its size; one read-only page of
 *         zeros behind it, for readers that run past the end of a buffer. Its descriptor is the
 *         caller's to close: what is closed cannot be truncated by accident
 *   CTL   not passed on by fork (MADV_DONTFORK): a child that pops from it faults
 *
 * What the daemon says is checked against the files once, so that no later access can be outside.
 */
#include "client/client_private.h"

#include "paged/bits.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

char *map_reserve(uint64_t bytes)
{
	uint64_t all = bytes + MAP_ALIGN;
	uint64_t lead;
	char *at = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	lead = bits_align_up((uint64_t)(uintptr_t)at, MAP_ALIGN) - (uint64_t)(uintptr_t)at;
	if (lead > 0)
		(void)munmap(at, lead);
	if (lead < MAP_ALIGN)
		(void)munmap(at + lead + bytes, MAP_ALIGN - lead);
	return at + lead;
}

static int map_check_size(int fd, uint64_t bytes, const char *what)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_set(-errno, "the descriptor of %s is of no use", what);
	if ((uint64_t)status.st_size < bytes)
		return error_set(-EPROTO, "%s has %llu bytes where the segment says %llu", what,
				 (unsigned long long)status.st_size, (unsigned long long)bytes);
	return 0;
}

static int map_meta(pageclient *client, int fd)
{
	char text[SHM_TEXT_BYTES];
	int r = shm_view_attach(&client->view, fd, text, sizeof(text));

	if (r < 0) {
		memset(&client->view, 0, sizeof(client->view));
		return error_set(r, "%s", text);
	}
	client->instance_id = client->view.header->instance_id;
	client->nr_frames = client->view.header->nr_frames;
	client->page_shift = client->view.header->page_shift;
	return 0;
}

static int map_data(pageclient *client, int fd)
{
	uint64_t bytes = client->view.header->data_bytes;
	int protection =
		client->options.flags & PAGECLIENT_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	int r = map_check_size(fd, bytes, "DATA");

	if (r < 0)
		return r;
	client->data = map_reserve(bytes + SHM_PAGE);
	if (!client->data)
		return error_set(-ENOMEM, "no address space for %llu bytes of frames",
				 (unsigned long long)bytes);
	client->data_bytes = bytes;
	client->data_mask = UINT64_MAX >> __builtin_clzll(bytes - 1);
	client->slots_write = slots_writer(client->nr_frames);
	if (mmap(client->data, bytes, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
		    MAP_FAILED ||
	    mprotect(client->data + bytes, SHM_PAGE, PROT_READ) < 0)
		return error_set(-errno, "the frames cannot be mapped");
	if (client->view.header->hugepages != SHM_HUGEPAGES_NEVER)
		(void)madvise(client->data, bytes, MADV_HUGEPAGE); /* a kernel without: no loss */
	return 0;
}

static int map_ctl(pageclient *client, int fd)
{
	uint64_t bytes = shm_ctl_bytes(client->max_threads, client->nr_frames);
	const struct shm_ctl_header *header;
	void *map;
	int r = map_check_size(fd, bytes, "CTL");

	if (r < 0)
		return r;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error_set(-errno, "the magazines cannot be mapped");
	client->ctl = map;
	client->ctl_bytes = bytes;
	if (madvise(map, bytes, MADV_DONTFORK) < 0)
		return error_set(-errno, "the magazines cannot be kept from a fork");
	header = map;
	if (header->magic != SHM_CTL_MAGIC || header->version != SHM_LAYOUT_VERSION ||
	    header->instance_id != client->view.header->instance_id ||
	    header->client != client->id || header->max_threads < client->max_threads)
		return error_set(-EPROTO, "the daemon sent the magazines of somebody else");
	return 0;
}

int map_attach(pageclient *client, const int *fds)
{
	int r = map_meta(client, fds[0]);

	if (r == 0)
		r = map_data(client, fds[1]);
	if (r == 0)
		r = map_ctl(client, fds[2]);
	return r;
}

void map_detach(pageclient *client)
{
	if (client->data)
		(void)munmap(client->data,
			     client->data_bytes + (client->private_pool ? 0 : SHM_PAGE));
	if (client->ctl && client_state(client) != PAGECLIENT_FORKED)
		(void)munmap(client->ctl, client->ctl_bytes);
	if (client->view.header)
		shm_view_detach(&client->view);
	client->data = NULL;
	client->ctl = NULL;
}
