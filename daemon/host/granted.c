/* daemon/host/granted.c - see granted.h. */
#include "daemon/host/granted.h"

#include <stdio.h>

void granted_read(struct granted *granted, const char *proc)
{
	char path[128];
	FILE *file;

	granted->oom_score_adj = 0;
	(void)snprintf(path, sizeof(path), "%s/self/oom_score_adj", proc);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%d", &granted->oom_score_adj) != 1)
		granted->oom_score_adj = 0;
	(void)fclose(file);
}

void granted_log(const struct granted *granted, const struct log *log)
{
	if (granted->wants_oom_score && granted->oom_score_adj >= 0)
		log_print(
			log, LOG_LEVEL_WARNING,
			"oom_score_adj is %d: a machine out of memory may kill this daemon first, "
			"which frees nothing; OOMScoreAdjust=-900 was not asked for or not granted",
			granted->oom_score_adj);
	if (granted->segment_bytes > granted->machine_bytes)
		log_print(
			log, LOG_LEVEL_NOTICE,
			"the segment may have %lluM, the machine or its cgroup has %lluM: what is "
			"beyond is refused (see MemoryMax=, [segment] size, size_max)",
			(unsigned long long)(granted->segment_bytes >> 20),
			(unsigned long long)(granted->machine_bytes >> 20));
}
