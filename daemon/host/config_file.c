/* daemon/host/config_file.c - the files: which are read, and inih with line numbers.
 *
 * The shared inih does not tell its handler the line. So we hand it the lines ourselves: its reader
 * is called once for each, and the handler only ever runs for the line read last. On the way a line
 * loses its indentation (inih would take it for the continuation of the value before), a line that
 * is too long is an error and not two lines, and a section is seen even if it has no keys.
 *
 * Drop-ins of several folders are one set by name: of two with the same name the one of the folder
 * that comes first counts, so that an administrator replaces what a package ships, or masks it by
 * an empty file or a link to /dev/null. /run is none of the folders: /run/paged is the daemon's own
 * runtime directory, and it does not take orders from what it can write itself. */
#include "daemon/host/config.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FOLDERS_MAX 3u
#define LINE_BYTES_MAX 2048u /* what is read of a line before the rest is thrown away */

struct reader {
	struct config *config;
	struct config_errors *errors;
	const char *name;
	FILE *file;
	uint32_t line;
	char section[CONFIG_TEXT_BYTES]; /* inih cuts it after 49 bytes */
};

static void announce_section(struct reader *reader, const char *text)
{
	const char *end = strchr(text, ']');
	size_t n = end ? (size_t)(end - text - 1) : 0;

	reader->section[0] = '\0';
	if (!end || n >= sizeof(reader->section))
		return; /* inih says so, or config_set() for its first key */
	memcpy(reader->section, text + 1, n);
	reader->section[n] = '\0';
	config_set(reader->config, reader->name, reader->line, reader->section, NULL, "",
		   reader->errors);
}

/* As fgets(), over a struct reader. */
static char *read_line(char *buffer, int bytes, void *stream)
{
	struct reader *reader = stream;
	char line[LINE_BYTES_MAX];
	const char *text = line;
	size_t n;
	int c = '\n';

	if (!fgets(line, sizeof(line), reader->file))
		return NULL;
	reader->line++;
	n = strlen(line);
	if (n && line[n - 1] != '\n')
		while ((c = fgetc(reader->file)) != EOF && c != '\n')
			n++;
	text += strspn(text, " \t");
	if (strlen(text) + 1 > (size_t)bytes || n >= sizeof(line)) {
		config_error(reader->errors, reader->name, reader->line, "", "",
			     "the line is too long; at most %d bytes would be right", bytes - 3);
		text = "\n";
	}
	if (text[0] == '[')
		announce_section(reader, text);
	(void)snprintf(buffer, (size_t)bytes, "%s", text);
	return buffer;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reader *reader = user;

	if (reader->section[0])
		section = reader->section;
	config_set(reader->config, reader->name, reader->line, section, key, value, reader->errors);
	return 1; /* what is wrong is noted; inih shall go on */
}

static void read_file(struct config *config, const char *name, struct config_errors *errors)
{
	struct reader reader = {.config = config, .errors = errors, .name = name};
	struct stat st;
	int error = 0;
	int line;

	reader.file = fopen(name, "re");
	if (!reader.file || fstat(fileno(reader.file), &st) < 0)
		error = errno;
	else if (S_ISDIR(st.st_mode))
		error = EISDIR;
	if (error) {
		config_error(errors, name, 0, "", "",
			     "cannot be read: %s; a readable file would be right", strerror(error));
		if (reader.file)
			(void)fclose(reader.file);
		return;
	}
	line = ini_parse_stream(read_line, &reader, handle, &reader);
	if (line > 0)
		config_error(errors, name, (uint32_t)line, "", "",
			     "is neither a section nor a key; `key = value` would be right");
	if (ferror(reader.file))
		config_error(errors, name, reader.line, "", "", "reading stopped here: %s",
			     strerror(errno));
	(void)fclose(reader.file);
	config->nr_files++;
}

/* --- which files ---------------------------------------------------------------------------- */

struct drop_in {
	char path[CONFIG_FILE_BYTES + 256];
	size_t name; /* where its name begins */
};

struct drop_ins {
	uint32_t n;
	struct drop_in item[FOLDERS_MAX * CONFIG_MAX_FILES];
};

static int is_drop_in(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* An empty file or /dev/null, also behind a link: it says nothing, and hides what it stands for. */
static bool is_mask(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	return (S_ISREG(st.st_mode) && st.st_size == 0) ||
	       (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static const char *name_of(const struct drop_in *drop_in)
{
	return drop_in->path + drop_in->name;
}

static bool has_name(const struct drop_ins *drop_ins, const char *name)
{
	for (uint32_t i = 0; i < drop_ins->n; i++)
		if (strcmp(name_of(&drop_ins->item[i]), name) == 0)
			return true;
	return false;
}

static void add_drop_in(struct drop_ins *drop_ins, const char *folder, const char *name)
{
	struct drop_in *item = &drop_ins->item[drop_ins->n];

	if (has_name(drop_ins, name))
		return;
	(void)snprintf(item->path, sizeof(item->path), "%s/%s", folder, name);
	item->name = strlen(folder) + 1;
	drop_ins->n++;
}

/* `folder` need not exist. What is there already has its place. */
static void find_drop_ins(struct drop_ins *drop_ins, const char *folder,
			  struct config_errors *errors)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_drop_in, alphasort);

	if (n < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			config_error(errors, folder, 0, "", "", "cannot be read: %s",
				     strerror(errno));
		return;
	}
	if (n > (int)CONFIG_MAX_FILES)
		config_error(errors, folder, 0, "", "", "%d files; at most %u would be right", n,
			     CONFIG_MAX_FILES);
	for (int i = 0; i < n; i++) {
		if (i < (int)CONFIG_MAX_FILES)
			add_drop_in(drop_ins, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static int by_name(const void *a, const void *b)
{
	const struct drop_in *one = a, *two = b;

	return strcmp(name_of(one), name_of(two));
}

/* The drop-ins of the folders, the first of which wins, in the order of their names. */
static void read_drop_ins(struct config *config, char (*folders)[CONFIG_FILE_BYTES],
			  uint32_t n_folders, struct config_errors *errors)
{
	struct drop_ins *drop_ins = calloc(1, sizeof(*drop_ins));

	if (!drop_ins) {
		config_error(errors, "", 0, "", "", "no memory to read the drop-ins with");
		return;
	}
	for (uint32_t i = 0; i < n_folders; i++)
		find_drop_ins(drop_ins, folders[i], errors);
	qsort(drop_ins->item, drop_ins->n, sizeof(drop_ins->item[0]), by_name);
	for (uint32_t i = 0; i < drop_ins->n; i++)
		if (!is_mask(drop_ins->item[i].path))
			read_file(config, drop_ins->item[i].path, errors);
	free(drop_ins);
}

void config_read(struct config *config, const char *file, struct config_errors *errors)
{
	char folder[1][CONFIG_FILE_BYTES];

	if (snprintf(folder[0], sizeof(folder[0]), "%s.d", file) >= (int)sizeof(folder[0])) {
		config_error(errors, "", 0, "", "",
			     "--config: the name is too long; at most %zu bytes would be right",
			     sizeof(folder[0]) - 3);
		return;
	}
	read_file(config, file, errors);
	read_drop_ins(config, folder, 1, errors);
}

void config_read_system(struct config *config, const char *root, struct config_errors *errors)
{
	static const char *const places[FOLDERS_MAX] = {"/etc/paged", "/usr/local/lib/paged",
							"/usr/lib/paged"};
	char folders[FOLDERS_MAX][CONFIG_FILE_BYTES];
	bool found = false;

	for (size_t i = 0; i < FOLDERS_MAX; i++) {
		char file[CONFIG_FILE_BYTES];
		struct stat st;

		(void)snprintf(file, sizeof(file), "%.128s%s/paged.conf", root, places[i]);
		(void)snprintf(folders[i], sizeof(folders[i]), "%.128s%s/paged.conf.d", root,
			       places[i]);
		if (found || (stat(file, &st) < 0 && errno == ENOENT))
			continue;
		found = true;
		if (!is_mask(file))
			read_file(config, file, errors);
	}
	read_drop_ins(config, folders, FOLDERS_MAX, errors);
}

void config_read_instance(struct config *config, const char *name, struct config_errors *errors)
{
	char file[CONFIG_FILE_BYTES], folder[1][CONFIG_FILE_BYTES];
	struct stat st;

	(void)snprintf(file, sizeof(file), "/etc/paged/%s.conf", name);
	(void)snprintf(folder[0], sizeof(folder[0]), "/etc/paged/%s.conf.d", name);
	if ((stat(file, &st) == 0 || errno != ENOENT) && !is_mask(file))
		read_file(config, file, errors);
	read_drop_ins(config, folder, 1, errors);
}
