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

bool instance_name_is_valid(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	size_t n = strlen(name);

	return n > 0 && n < SHM_NAME_BYTES && name[0] != '.' && strspn(name, letters) == n;
}

enum instance_kind instance_kind(const char *runtime_dir)
{
	if (runtime_dir)
		return INSTANCE_PRIVATE;
	return geteuid() == 0 ? INSTANCE_SYSTEM : INSTANCE_USER;
}

/* Where the directory would be, before it is known to exist. */
static int directory_plan(enum instance_kind kind, const char *runtime_dir, char *ret_path,
			  size_t bytes, char *text, size_t text_bytes)
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
		n = snprintf(ret_path, bytes, "%s", runtime_dir);
	else if (kind == INSTANCE_USER)
		n = snprintf(ret_path, bytes, "%s/paged", xdg);
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

/* FNV-1a; it only has to tell the few directories of one host apart. */
static uint32_t hash(const char *text)
{
	uint32_t h = UINT32_C(2166136261);

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT32_C(16777619);
	return h;
}

static void name_plan(const struct instance *instance, char *ret_name, size_t bytes)
{
	switch (instance->kind) {
	case INSTANCE_SYSTEM:
		(void)snprintf(ret_name, bytes, "system");
		break;
	case INSTANCE_USER:
		(void)snprintf(ret_name, bytes, "user-%u", geteuid());
		break;
	case INSTANCE_PRIVATE:
		(void)snprintf(ret_name, bytes, "dir-%08x", hash(instance->directory));
		break;
	}
}

int instance_open(const char *runtime_dir, const char *name, struct instance *ret_instance,
		  char *text, size_t text_bytes)
{
	char path[PATH_MAX];
	int r;

	memset(ret_instance, 0, sizeof(*ret_instance));
	ret_instance->kind = instance_kind(runtime_dir);
	PAGED_CHECK(!name || instance_name_is_valid(name));
	r = directory_plan(ret_instance->kind, runtime_dir, path, sizeof(path), text, text_bytes);
	if (r)
		return r;
	r = directory_open(ret_instance->kind, path, ret_instance->directory, text, text_bytes);
	if (r)
		return r;
	if (name)
		(void)snprintf(ret_instance->name, sizeof(ret_instance->name), "%s", name);
	else
		name_plan(ret_instance, ret_instance->name, sizeof(ret_instance->name));
	return 0;
}
