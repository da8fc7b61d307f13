/* shm/instance.h - what an instance is called, for the daemon that makes its segments and for
 * pagectl that looks at them.
 *
 *   started by                    kind      instance
 *   root, no --runtime-dir        SYSTEM    system
 *   a user, no --runtime-dir      USER      user-<uid>
 *   anybody, --runtime-dir DIR    PRIVATE   dir-<8 hex digits of DIR>
 *
 * --instance overrides the name. The name goes into /dev/shm and has to be free of slashes; a
 * private one is made from the directory's real path, so that two private daemons never meet in one
 * segment. */
#ifndef SHM_INSTANCE_H
#define SHM_INSTANCE_H
#include "shm/layout.h"

#include <stdbool.h>

/* The most of what stands after ".old-" in the name of a part that was put aside: a time in
 * seconds, and a number of two digits. */
#define INSTANCE_ASIDE_BYTES 24u

enum instance_kind { INSTANCE_SYSTEM, INSTANCE_USER, INSTANCE_PRIVATE };

/* Letters, digits, '_', '.' and '-', 1 to 31 of them, not starting with '.'. Pure. */
bool instance_name_is_valid(const char *name);

/* Is it a name that daemons have without --instance, or that of the system's configuration? One of
 * several of the system (--system) may not have it: it would take over a segment of others, or read
 * their file as its own. Pure. */
bool instance_name_is_reserved(const char *name);

/* runtime_dir may be NULL. */
enum instance_kind instance_kind(const char *runtime_dir);

/* The name that an instance has if nobody gives it one. directory: its real path, for PRIVATE; else
 * it is not looked at. */
void instance_name_plan(enum instance_kind kind, const char *directory,
			char ret_name[SHM_NAME_BYTES]);

#endif
