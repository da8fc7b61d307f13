/* pagectl/options.h - argv to struct pagectl. */
#ifndef PAGECTL_OPTIONS_H
#define PAGECTL_OPTIONS_H
#include "pagectl/pagectl.h"

/* Reads argv into *ctl, which is zero. Returns PAGECTL_OK, or PAGECTL_USAGE after it printed one
 * line to stderr that names the argument and says what would be right. With PAGECTL_OK either
 * want_help or want_version is set (command may be NULL then), or command is one that runs and has
 * all that it needs. */
int options_parse(struct pagectl *ctl, int argc, char **argv);

#endif
