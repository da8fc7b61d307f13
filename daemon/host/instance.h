/* daemon/host/instance.h - what this daemon is called and where it lives.
 *
 *   started by                    kind      runtime directory         instance
 *   root, no --runtime-dir        SYSTEM    /run/paged                system
 *   a user, no --runtime-dir      USER      $XDG_RUNTIME_DIR/paged    user-<uid>
 *   anybody, --runtime-dir DIR    PRIVATE   DIR                       dir-<8 hex digits of DIR>
 *
 * --instance overrides the name. The name goes into /dev/shm and has to be free of slashes; a
 * private one is made from the directory's real path, so that two private daemons never meet in one
 * segment. */
#ifndef DAEMON_HOST_INSTANCE_H
#define DAEMON_HOST_INSTANCE_H
#include "shm/layout.h"

#include <limits.h>
#include <stdbool.h>

enum instance_kind { INSTANCE_SYSTEM, INSTANCE_USER, INSTANCE_PRIVATE };

struct instance {
	enum instance_kind kind;
	char name[SHM_NAME_BYTES];
	char directory[PATH_MAX]; /* absolute */
};

/* Letters, digits, '_', '.' and '-', 1 to 31 of them, not starting with '.'. Pure. */
bool instance_name_is_valid(const char *name);

enum instance_kind instance_kind(const char *runtime_dir);

/* runtime_dir and name may be NULL; else they are not "", and the name is valid. Makes the runtime
 * directory (mode 0700, for the system 0755) if it is missing. Returns 0, or -errno with a sentence
 * in text. */
int instance_open(const char *runtime_dir, const char *name, struct instance *ret_instance,
		  char *text, size_t text_bytes);

#endif
