/* pagectl/follow.h - an observer that stays while daemons come and go: `top`, `status --watch`.
 *
 * A server that is replaced by its supervisor goes on with the same META, which stays mapped; all
 * that ends is our connection. Another daemon may bring another segment. So whoever stays asks
 * before each look whether the connection still stands, and says Hello again if it does not. Until
 * somebody answers, the last META can still be read: it says what was. */
#ifndef PAGECTL_FOLLOW_H
#define PAGECTL_FOLLOW_H
#include "pagectl/pagectl.h"

/* Is there a daemon behind ctl's view? Connects again where there was none, for at most some
 * tenths of a second, and then ctl->view is the new one's. ctl->view is always mapped. */
bool follow_daemon(struct pagectl *ctl);

/* False: the connection has ended since follow_daemon() said that there is one. Asks nobody. */
bool follow_daemon_stands(const struct pagectl *ctl);

/* Waits until timeout_ms have passed, the daemon behind the connection has gone, or fd (-1: none)
 * has something to read or a signal came. True: fd has, or has ended. */
bool follow_wait(const struct pagectl *ctl, int fd, uint32_t timeout_ms);

#endif
