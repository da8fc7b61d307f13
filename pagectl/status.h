/* pagectl/status.h - all that `pagectl status` says, gathered once and shown by two printers. */
#ifndef PAGECTL_STATUS_H
#define PAGECTL_STATUS_H
#include "pagectl/host.h"
#include "pagectl/pagectl.h"

/* A part of the metadata: bytes with memory behind them, and bytes of address space. */
struct status_bytes {
	uint64_t used;
	uint64_t reserved;
};

struct status {
	struct shm_meta_header header; /* a copy; its texts end inside their arrays */
	uint64_t uptime_s;
	uint64_t free, hole, owned, shared; /* frames */
	uint64_t unmanaged;                 /* frames in use that are BAD */
	uint64_t min, low, high;            /* summed over the zones */
	uint32_t n_clients;
	uint32_t n_caches;
	struct status_bytes map;  /* the first elephant */
	struct status_bytes rest; /* of META */
	struct status_bytes state;
	uint64_t ctl_bytes;
	uint64_t metadata_bytes;   /* used, of all four */
	uint64_t page_table_bytes; /* the second elephant */
	uint32_t n_processes;      /* that have clients */
	uint32_t n_unreadable;     /* of them, whose page tables could not be read */
	uint64_t file_limit;       /* descriptors that the server may have open; 0: unknown */
	uint32_t clients_that_fit; /* below it, and into the table of clients */
	struct host_huge huge;
	bool huge_possible;
	const char *huge_advice;
};

/* Reads META, /proc and /sys. */
void status_read(const struct shm_view *view, struct status *ret_status);

const char *status_level(const struct status *status);   /* "above high", "below low" ... */
const char *status_pressure(uint32_t level);             /* "none", "low", "medium", "critical" */
const char *status_backing(const struct status *status); /* "posix", "memfd" */
const char *status_unprotected(const struct status *status); /* what the backing does not stop */
const char *status_hugepages(const struct status *status);   /* "auto", "never", "always" */
/* "yes", "yes, reserved ones", "in part", "possible" (the kernel does not tell), "no" */
const char *status_huge_in_force(const struct status *status);
double status_bytes_per_frame(const struct status *status);

#endif
