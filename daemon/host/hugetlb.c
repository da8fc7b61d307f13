/* daemon/host/hugetlb.c - see hugetlb.h. */
#include "daemon/host/hugetlb.h"

#include "paged/bits.h"

#include <limits.h>
#include <stdio.h>

static uint64_t read_number(const char *folder, const char *name)
{
	char path[PATH_MAX];
	unsigned long long n = 0;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &n) != 1)
		n = 0;
	(void)fclose(file);
	return n;
}

uint64_t hugetlb_free_bytes(const char *folder)
{
	uint64_t n = read_number(folder, "free_hugepages");

	return (n - bits_min(n, read_number(folder, "resv_hugepages"))) * SEGMENT_HUGE_BYTES;
}

/* The reason why DATA is not of huge pages that are reserved, for the log; NULL if it may be. */
static const char *find_obstacle(const struct segments *segments, char *text, size_t text_bytes)
{
	uint64_t wanted = segments_bytes_at_start(segments);
	uint64_t n_pages = (wanted + SEGMENT_HUGE_BYTES - 1) / SEGMENT_HUGE_BYTES;

	if (segments->data_bytes % SEGMENT_HUGE_BYTES)
		return "the size is no multiple of 2M";
	if (hugetlb_free_bytes(HUGETLB_FOLDER) >= wanted)
		return NULL;
	(void)snprintf(text, text_bytes,
		       "fewer than %llu huge pages are reserved and free (vm.nr_hugepages)",
		       (unsigned long long)n_pages);
	return text;
}

int hugetlb_create_data(struct segments *segments, char *text, size_t text_bytes)
{
	const struct segments_options *options = &segments->options;
	const char *why = NULL;

	if (options->hugepages == SHM_HUGEPAGES_ALWAYS) {
		why = find_obstacle(segments, text, text_bytes);
		if (!why &&
		    segment_create_hugetlb(options->instance, SHM_PART_DATA, segments->data_bytes,
					   &segments->data_fd, text, text_bytes) == 0)
			return 0;
		log_print(options->log, LOG_LEVEL_NOTICE,
			  "hugepages = always: of ordinary memory, made huge as it is committed, "
			  "because %s",
			  why ? why : text);
	}
	return segment_create(SHM_BACKING_MEMFD, options->instance, SHM_PART_DATA,
			      segments->data_bytes, &segments->data_fd, text, text_bytes);
}
