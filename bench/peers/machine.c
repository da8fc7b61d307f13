/* bench/peers/machine.c - see machine.h. */
#include "bench/peers/machine.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

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

void machine_read(struct machine *ret_machine)
{
	struct utsname name;
	cpu_set_t set;

	read_cpu(ret_machine->cpu, sizeof(ret_machine->cpu));
	(void)snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "unknown kernel");
	if (uname(&name) == 0)
		(void)snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "%.15s %.64s",
			       name.sysname, name.release);
	CPU_ZERO(&set);
	ret_machine->n_cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}
