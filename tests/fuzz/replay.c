/* tests/fuzz/replay.c - runs a target over files, or over all files of folders, in a build without
 * libFuzzer. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_MAX (1u << 20)

static int replay_file(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t n;

	if (!file) {
		perror(path);
		return -1;
	}
	n = fread(bytes, 1, sizeof bytes, file);
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(bytes, n);
	return 1;
}

/* Inputs run, or -1. */
static int replay(const char *path)
{
	struct dirent *entry;
	char name[4096];
	struct stat st;
	int n = 0;
	DIR *dir;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return replay_file(path);
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return -1;
	}
	while (n >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		n = replay_file(name) < 0 ? -1 : n + 1;
	}
	(void)closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int sum = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0)
			return 1;
		sum += n;
	}
	printf("%d inputs replayed\n", sum);
	return sum == 0;
}
