/* daemon/host/config_file.c - the files: which are read, and inih with line numbers.
 *
 * The shared inih does not tell its handler the line. So we hand it the lines ourselves: its reader
 * is called once for each, and the handler only ever runs for the line read last. On the way a line
 * loses its indentation (inih would take it for the continuation of the value before), a line that
 * is too long is an error and not two lines, and a section is seen even if it has no keys. */
#include "daemon/host/config.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static int is_drop_in(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* `folder` need not exist. */
static void read_drop_ins(struct config *config, const char *folder, struct config_errors *errors)
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
		char name[CONFIG_FILE_BYTES + 256];

		(void)snprintf(name, sizeof(name), "%s/%s", folder, entries[i]->d_name);
		if (i < (int)CONFIG_MAX_FILES)
			read_file(config, name, errors);
		free(entries[i]);
	}
	free(entries);
}

void config_read(struct config *config, const char *file, struct config_errors *errors)
{
	char folder[CONFIG_FILE_BYTES];

	if (snprintf(folder, sizeof(folder), "%s.d", file) >= (int)sizeof(folder)) {
		config_error(errors, "", 0, "", "",
			     "--config: the name is too long; at most %zu bytes would be right",
			     sizeof(folder) - 3);
		return;
	}
	read_file(config, file, errors);
	read_drop_ins(config, folder, errors);
}

void config_read_system(struct config *config, struct config_errors *errors)
{
	static const char *const files[] = {"/usr/lib/paged/paged.conf", "/etc/paged/paged.conf"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char folder[CONFIG_FILE_BYTES];
		struct stat st;

		(void)snprintf(folder, sizeof(folder), "%s.d", files[i]);
		if (stat(files[i], &st) == 0 || errno != ENOENT)
			read_file(config, files[i], errors);
		read_drop_ins(config, folder, errors);
	}
}
