/* daemon/host/instance.c - see instance.h. */
#include "daemon/host/instance.h"

#include "paged/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY "/run/paged"

enum instance_kind instance_kind_of(const struct instance_options *options)
{
	return options->system ? INSTANCE_SYSTEM : instance_kind(options->runtime_dir);
}

/* Where the directory would be, before it is known to exist. */
static int directory_plan(enum instance_kind kind, const struct instance_options *options,
			  char *ret_path, size_t bytes, char *text, size_t text_bytes)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (kind == INSTANCE_USER && xdg && xdg[0] && xdg[0] != '/') {
		(void)snprintf(text, text_bytes,
			       "no runtime directory: XDG_RUNTIME_DIR is \"%.200s\"; an absolute "
			       "path would be right, or --runtime-dir DIR",
			       xdg);
		return -EINVAL;
	}
	if (kind == INSTANCE_USER && (!xdg || !xdg[0])) {
		(void)snprintf(text, text_bytes,
			       "no runtime directory: XDG_RUNTIME_DIR is not set; log in with a "
			       "session or give --runtime-dir DIR");
		return -ENOENT;
	}
	if (kind == INSTANCE_PRIVATE)
		n = snprintf(ret_path, bytes, "%s", options->runtime_dir);
	else if (kind == INSTANCE_USER)
		n = snprintf(ret_path, bytes, "%s/paged", xdg);
	else if (options->system && options->name)
		n = snprintf(ret_path, bytes, "%s-%s", SYSTEM_DIRECTORY, options->name);
	else
		n = snprintf(ret_path, bytes, "%s", SYSTEM_DIRECTORY);
	if (n >= (int)bytes) {
		(void)snprintf(text, text_bytes, "the runtime directory's name is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

/* Makes it if it is missing; its real path into instance. */
static int directory_open(enum instance_kind kind, const char *path, char ret_real[PATH_MAX],
			  char *text, size_t text_bytes)
{
	struct stat st;
	int r = 0;

	if (mkdir(path, kind == INSTANCE_SYSTEM ? 0755 : 0700) < 0 && errno != EEXIST)
		r = -errno;
	else if (!realpath(path, ret_real) || stat(ret_real, &st) < 0)
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r)
		(void)snprintf(text, text_bytes, "the runtime directory %s cannot be used: %s",
			       path, strerror(-r));
	return r;
}

int instance_open(const struct instance_options *options, struct instance *ret_instance, char *text,
		  size_t text_bytes)
{
	const char *name = options->name;
	char path[PATH_MAX];
	int r;

	memset(ret_instance, 0, sizeof(*ret_instance));
	ret_instance->kind = instance_kind_of(options);
	PAGED_CHECK(!name || instance_name_is_valid(name));
	r = directory_plan(ret_instance->kind, options, path, sizeof(path), text, text_bytes);
	if (r)
		return r;
	r = directory_open(ret_instance->kind, path, ret_instance->directory, text, text_bytes);
	if (r)
		return r;
	if (name)
		(void)snprintf(ret_instance->name, sizeof(ret_instance->name), "%s", name);
	else
		instance_name_plan(ret_instance->kind, ret_instance->directory, ret_instance->name);
	return 0;
}
