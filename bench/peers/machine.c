/* bench/peers/machine.c - see machine.h. */
#include "bench/peers/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_cpu(char *text, size_t text_bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)snprintf(text, text_bytes, "unknown CPU");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(text, text_bytes, "%.*s", (int)text_bytes - 1, colon + 2);
		break;
	}
	if (file)
		(void)fclose(file);
}

void machine_read(bool hugepages, struct machine *ret_machine)
{
	struct utsname name;

	ret_machine->hugepages = hugepages;
	read_cpu(ret_machine->cpu, sizeof(ret_machine->cpu));
	(void)snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "unknown kernel");
	if (uname(&name) == 0)
		(void)snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "%.15s %.64s",
			       name.sysname, name.release);
	ret_machine->n_cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
}
