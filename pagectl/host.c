/* pagectl/host.c - what /proc and /sys know beside META. */
#include "pagectl/host.h"

#include <mntent.h>
#include <stdio.h>
#include <string.h>

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

bool host_page_table_bytes(uint32_t pid, uint64_t *ret_bytes)
{
	char path[40], line[256];
	unsigned long long kib;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "VmPTE: %llu kB", &kib) == 1;
	fclose(file);
	if (found)
		*ret_bytes = (uint64_t)kib * 1024;
	return found;
}

bool host_process_state(uint32_t pid, char *ret_state)
{
	char path[40], line[512] = "";
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	/* "17 (a name) of) T 1 ..." */
	return end && sscanf(end, ") %c", ret_state) == 1;
}

bool host_file_limit(uint32_t pid, uint64_t *ret_limit)
{
	char path[40], line[256];
	unsigned long long soft;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/limits", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "Max open files %llu", &soft) == 1;
	fclose(file);
	if (found)
		*ret_limit = soft;
	return found;
}

/* "always within_size [advise] never": the word in brackets. */
static void read_shmem_enabled(char word[HOST_WORD_BYTES])
{
	char line[256];
	FILE *file = fopen(SHMEM_ENABLED, "re");
	char *start = NULL, *end = NULL;

	if (!file)
		return;
	if (fgets(line, sizeof(line), file))
		start = strchr(line, '[');
	if (start)
		end = strchr(start, ']');
	if (end) {
		*end = '\0';
		snprintf(word, HOST_WORD_BYTES, "%.31s", start + 1);
	}
	fclose(file);
}

static void read_dev_shm(char word[HOST_WORD_BYTES])
{
	char buffer[4096];
	struct mntent entry;
	FILE *file = setmntent("/proc/self/mounts", "re");

	if (!file)
		return;
	while (getmntent_r(file, &entry, buffer, sizeof(buffer))) {
		const char *option;

		/* the last mount over a directory is the one in sight */
		if (strcmp(entry.mnt_dir, "/dev/shm") != 0)
			continue;
		option = hasmntopt(&entry, "huge");
		option = option && option[4] == '=' ? option + 5 : "never";
		snprintf(word, HOST_WORD_BYTES, "%.*s", (int)strcspn(option, ","), option);
	}
	endmntent(file);
}

static uint64_t read_hugetlb(const char *name)
{
	char path[96];
	unsigned long long n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &n) != 1)
		n = 0;
	fclose(file);
	return n;
}

void host_read_huge(struct host_huge *ret_huge)
{
	memset(ret_huge, 0, sizeof(*ret_huge));
	ret_huge->n_reserved = read_hugetlb("nr_hugepages");
	ret_huge->n_free = read_hugetlb("free_hugepages");
	read_shmem_enabled(ret_huge->shmem_enabled);
	read_dev_shm(ret_huge->dev_shm);
}

/* Any setting of the two files that gives huge pages to who asks with madvise(). */
static bool word_allows(const char *word)
{
	static const char *const words[] = {"always", "within_size", "advise", "force"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

bool host_huge_verdict(const struct host_huge *huge, const struct shm_meta_header *header,
		       const char **ret_advice)
{
	bool is_memfd = header->backing == SHM_BACKING_MEMFD;

	*ret_advice = "nothing to set";
	if (header->hugetlb)
		return true;
	if (header->hugepages == SHM_HUGEPAGES_NEVER) {
		*ret_advice = "set hugepages = auto in paged.conf to use them";
		return false;
	}
	if (!huge->shmem_enabled[0]) {
		*ret_advice = "this kernel offers none for shared memory";
		return false;
	}
	if (!strcmp(huge->shmem_enabled, "deny")) {
		*ret_advice =
			"the kernel denies them to all; as root: echo advise > " SHMEM_ENABLED;
		return false;
	}
	if (header->hugepages == SHM_HUGEPAGES_ALWAYS || !strcmp(huge->shmem_enabled, "force") ||
	    word_allows(is_memfd ? huge->shmem_enabled : huge->dev_shm))
		return true;
	*ret_advice = is_memfd ? "as root: echo advise > " SHMEM_ENABLED
				 ", or set hugepages = always in paged.conf"
			       : "as root: mount -o remount,huge=advise /dev/shm, or set "
				 "hugepages = always in paged.conf";
	return false;
}
