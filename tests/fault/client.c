/* tests/fault/client.c - the client whose own calls fail: a program, so that the shim can be in it.
 *
 *	fault_client PHASE SOCKET
 *
 * It arms the shim itself, around what the phase is about; the sweep disarms it when time is up.
 * Exit 0: all was as documented; else 1 and a line that says what was not. */
#include "tests/fault/inject.h"
#include "tests/fault/work.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct client {
	struct inject_control *control;
	struct work work;
	char text[512];
};

static void arm(const struct client *client, uint32_t armed)
{
	__atomic_store_n(&client->control->armed, armed, __ATOMIC_RELEASE);
}

static bool end_well(struct work *work)
{
	if (!work_surely(work) || !work_verify(work))
		return false;
	work_close(work);
	return true;
}

static bool attach(struct client *client)
{
	bool good;
	int r;

	arm(client, 1);
	good = work_open(&client->work, &r);
	arm(client, 0);
	if (good && r < 0)
		good = work_open_surely(&client->work);
	return good && end_well(&client->work);
}

static bool work(struct client *client)
{
	bool good = work_open_surely(&client->work);

	arm(client, 1);
	good = good && work_try(&client->work);
	arm(client, 0);
	return good && end_well(&client->work);
}

/* The sweep kills the server in between. */
static bool resume(struct client *client)
{
	bool good = work_open_surely(&client->work) && work_hold(&client->work);
	char byte = 0;

	if (!good || write(STDOUT_FILENO, "-\n", 2) < 0 || read(STDIN_FILENO, &byte, 1) != 1)
		return false;
	arm(client, 1);
	good = work_try(&client->work);
	arm(client, 0);
	return good && end_well(&client->work);
}

static bool end(struct client *client)
{
	bool good = work_open_surely(&client->work) && work_hold(&client->work) &&
		    work_surely(&client->work);

	if (good)
		(void)pageclient_start_thread(client->work.client);
	arm(client, 1);
	if (good)
		work_close(&client->work);
	arm(client, 0);
	return good && work_open_surely(&client->work) && end_well(&client->work);
}

static bool run(struct client *client, const char *phase)
{
	if (strcmp(phase, "attach") == 0)
		return attach(client);
	if (strcmp(phase, "work") == 0)
		return work(client);
	if (strcmp(phase, "resume") == 0)
		return resume(client);
	return strcmp(phase, "close") == 0 && end(client);
}

static struct inject_control *map_control(void)
{
	const char *path = getenv(INJECT_ENVIRONMENT);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(struct inject_control), PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

int main(int argc, char **argv)
{
	struct client client = {.control = map_control()};

	if (argc != 3 || !client.control) {
		(void)fprintf(stderr, "usage: fault_client PHASE SOCKET, as the sweep does it\n");
		return 2;
	}
	client.work.socket = argv[2];
	client.work.also = client.control->error;
	client.work.text = client.text;
	client.work.text_bytes = sizeof(client.text);
	if (run(&client, argv[1]))
		return 0;
	(void)printf("%s\n", client.text);
	return 1;
}
