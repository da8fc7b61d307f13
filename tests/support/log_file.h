/* tests/support/log_file.h - what a daemon under test has logged so far. */
#ifndef TESTS_SUPPORT_LOG_FILE_H
#define TESTS_SUPPORT_LOG_FILE_H
#include <stdbool.h>

/* The first 256 KiB of the file, terminated; "" if it cannot be read. free() it. */
char *log_file_read(const char *path);
bool log_file_has(const char *path, const char *text);

#endif
