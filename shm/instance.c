/* shm/instance.c - see instance.h. */
#include "shm/instance.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool instance_name_is_valid(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	size_t n = strlen(name);

	return n > 0 && n < SHM_NAME_BYTES && name[0] != '.' && strspn(name, letters) == n;
}

bool instance_name_is_reserved(const char *name)
{
	return strcmp(name, "system") == 0 || strcmp(name, "paged") == 0 ||
	       strncmp(name, "user-", 5) == 0 || strncmp(name, "dir-", 4) == 0;
}

enum instance_kind instance_kind(const char *runtime_dir)
{
	if (runtime_dir)
		return INSTANCE_PRIVATE;
	return geteuid() == 0 ? INSTANCE_SYSTEM : INSTANCE_USER;
}

/* FNV-1a; it only has to tell the few directories of one host apart. */
static uint32_t hash(const char *text)
{
	uint32_t h = UINT32_C(2166136261);

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT32_C(16777619);
	return h;
}

void instance_name_plan(enum instance_kind kind, const char *directory,
			char ret_name[SHM_NAME_BYTES])
{
	switch (kind) {
	case INSTANCE_SYSTEM:
		(void)snprintf(ret_name, SHM_NAME_BYTES, "system");
		break;
	case INSTANCE_USER:
		(void)snprintf(ret_name, SHM_NAME_BYTES, "user-%u", geteuid());
		break;
	case INSTANCE_PRIVATE:
		(void)snprintf(ret_name, SHM_NAME_BYTES, "dir-%08x", hash(directory));
		break;
	}
}
