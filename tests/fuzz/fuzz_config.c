/* tests/fuzz/fuzz_config.c - any bytes as a configuration file: values, or errors that name a line.
 */
#include "daemon/host/config.h"
#include "paged/check.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void paged_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct config *config = calloc(1, sizeof *config);
	struct config_errors *errors = calloc(1, sizeof *errors);
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (!config || !errors || fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	config_init(config);
	config_read(config, path, errors);
	(void)close(fd);
	free(errors);
	free(config);
	return 0;
}
