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

/* Are there enough for what is in use at the start? Else text says what is missing. */
static bool is_enough(const struct segments *segments, char *text, size_t text_bytes)
{
	uint64_t wanted = segments_bytes_at_start(segments);

	if (hugetlb_free_bytes(HUGETLB_FOLDER) >= wanted)
		return true;
	(void)snprintf(text, text_bytes,
		       "fewer than %llu huge pages are reserved and free (vm.nr_hugepages)",
		       (unsigned long long)(wanted / SEGMENT_HUGE_BYTES));
	return false;
}

int hugetlb_create_data(struct segments *segments, char *text, size_t text_bytes)
{
	const struct segments_options *options = &segments->options;

	if (options->hugepages == SHM_HUGEPAGES_ALWAYS) {
		if (is_enough(segments, text, text_bytes) &&
		    segment_create_hugetlb(options->instance, SHM_PART_DATA, segments->data_bytes,
					   &segments->data_fd, text, text_bytes) == 0)
			return 0;
		log_print(options->log, LOG_LEVEL_NOTICE,
			  "hugepages = always: of ordinary memory, made huge as it is committed, "
			  "because %s",
			  text);
	}
	return segment_create(SHM_BACKING_MEMFD, options->instance, SHM_PART_DATA,
			      segments->data_bytes, &segments->data_fd, text, text_bytes);
}
