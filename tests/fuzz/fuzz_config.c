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

/* Reads the file behind fd from its start. */
static void read_back(struct config *config, int fd, struct config_errors *errors)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	config_init(config);
	config_read(config, path, errors);
}

/* What was understood can be written, and is understood again. */
static void check_print(const struct config *config)
{
	struct config *again = calloc(1, sizeof *again);
	struct config_errors *errors = calloc(1, sizeof *errors);
	int fd = memfd_create("printed", MFD_CLOEXEC);
	FILE *file = fdopen(dup(fd), "w");

	if (!again || !errors || !file)
		abort();
	config_print(config, file);
	(void)fclose(file);
	read_back(again, fd, errors);
	if (errors->n)
		abort();
	(void)close(fd);
	free(errors);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct config *config = calloc(1, sizeof *config);
	struct config_errors *errors = calloc(1, sizeof *errors);
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (!config || !errors || fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	read_back(config, fd, errors);
	(void)close(fd);
	if (errors->n == 0) {
		check_print(config);
		config_check_sizes(config, config_segment_bytes(config, UINT64_C(8) << 30, errors),
				   errors);
	}
	free(errors);
	free(config);
	return 0;
}
