/* daemon/host/files.h - the limit of open descriptors. */
#ifndef DAEMON_HOST_FILES_H
#define DAEMON_HOST_FILES_H
#include "daemon/host/log.h"

/* Raises the soft limit to the hard one: the soft one is for programs that use select(). It holds
 * for the supervisor and for each server, which inherits it. Warns where fewer clients fit than
 * n_clients. */
void files_raise_limit(const struct log *log, uint32_t n_clients);

#endif
