/* examples/gauge.h - what it costs a program that its daemon dies now and then.
 *
 * Two threads beside the one that serves. One asks the daemon for something all the time (it
 * imports a frame that it shares itself: a request each time, and no frame is needed for it); the
 * longest call from one outage to the next is one number. The other gives a frame back and takes
 * one, which is the fast path; each pair while the daemon is away is a number, and some of those
 * while it is there, to compare with: what both have is the machine's. */
#ifndef EXAMPLES_GAUGE_H
#define EXAMPLES_GAUGE_H
#include <pageclient/pageclient.h>

struct gauge;

/* Before pageclient_open(): its callback and argument go into options. NULL: no memory. */
struct gauge *gauge_new(struct pageclient_options *options);
/* The client has its thread. 0 or -errno. */
int gauge_start(struct gauge *gauge, pageclient *client);
/* Ends the threads, whose frames go back. Returns how many of their calls failed, each named on
 * stderr. */
unsigned gauge_stop(struct gauge *gauge);
/* "call US", "pair-away NS" and "pair-there NS", a line each. 0 or -errno. */
int gauge_write(const struct gauge *gauge, const char *path);
void gauge_free(struct gauge *gauge); /* NULL is nothing */

#endif
