/* bench/peers/roudi.c - see roudi.h. A runtime waits until RouDi answers, so nothing waits here. */
#include "bench/peers/roudi.h"

int roudi_start(struct bench *bench, struct server *ret_server)
{
	static const char *const argv[] = {"iox-roudi", "-c", "@conf", "-m", "off", NULL};
	static const char *const pools = "[general]\nversion = 1\n\n[[segment]]\n\n"
					 "[[segment.mempool]]\nsize = 4096\ncount = 1024\n\n"
					 "[[segment.mempool]]\nsize = 2097152\ncount = 32\n";

	return server_start(bench, bench->place.daemon_cpu, argv, pools, ret_server);
}
