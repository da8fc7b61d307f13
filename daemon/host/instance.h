/* daemon/host/instance.h - what this daemon is called and where it lives.
 *
 *   started by                    kind      runtime directory
 *   root, no --runtime-dir        SYSTEM    /run/paged
 *   anybody, --system             SYSTEM    /run/paged, or /run/paged-NAME with --instance NAME
 *   a user, no --runtime-dir      USER      $XDG_RUNTIME_DIR/paged
 *   anybody, --runtime-dir DIR    PRIVATE   DIR
 *
 * What each is called is in shm/instance.h. */
#ifndef DAEMON_HOST_INSTANCE_H
#define DAEMON_HOST_INSTANCE_H
#include "shm/instance.h"

#include <limits.h>
#include <stddef.h>

struct instance {
	enum instance_kind kind;
	char name[SHM_NAME_BYTES];
	char directory[PATH_MAX]; /* absolute */
};

struct instance_options { /* as the command line has them; none is "", and the name is valid */
	const char *runtime_dir; /* NULL: not given */
	const char *name;        /* the same */
	bool system;             /* and then no runtime_dir */
};

enum instance_kind instance_kind_of(const struct instance_options *options);

/* Makes the runtime directory (mode 0700, for the system 0755) if it is missing. Returns 0, or
 * -errno with a sentence in text. */
int instance_open(const struct instance_options *options, struct instance *ret_instance, char *text,
		  size_t text_bytes);

#endif
