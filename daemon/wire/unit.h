/* daemon/wire/unit.h - the systemd unit of a process, by /proc/PID/cgroup.
 *
 * The service manager makes the cgroup of a unit, and only it and root move processes there: so the
 * path is a word that a client cannot give itself. The unit is the first part of the path that is
 * no slice: of what runs in a user's own manager that is user@UID.service, whatever its units are
 * called. */
#ifndef DAEMON_WIRE_UNIT_H
#define DAEMON_WIRE_UNIT_H
#include "daemon/session/session.h"

/* From the text of the file. ret_unit is "" if there is none, or its name does not fit. Pure. */
void unit_parse(const char *text, char ret_unit[SESSION_UNIT_BYTES]);

/* The same for a process; "" also if /proc does not show it. -errno: it would have, but for a lack
 * of ours; who is let in by its unit must not be taken for one that has none. */
int unit_of(uint32_t pid, char ret_unit[SESSION_UNIT_BYTES]);

#endif
