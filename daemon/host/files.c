/* daemon/host/files.c - see files.h. */
#include "daemon/host/files.h"

#include "paged/files.h"

#include <sys/resource.h>

void files_raise_limit(const struct log *log, uint32_t n_clients)
{
	struct rlimit limit;
	uint64_t soft;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		soft = limit.rlim_max;
	if (files_clients_that_fit(soft) < n_clients)
		log_print(
			log, LOG_LEVEL_WARNING,
			"at most %llu descriptors may be open: room for %llu clients of %u; raise "
			"LimitNOFILE= of the service, or ulimit -Hn, to %llu",
			(unsigned long long)soft, (unsigned long long)files_clients_that_fit(soft),
			n_clients,
			(unsigned long long)n_clients * FILES_PER_CLIENT + FILES_OF_SERVER);
}
