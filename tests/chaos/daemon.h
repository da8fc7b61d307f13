/* tests/chaos/daemon.h - the daemon of a chaos run: a directory, a supervisor, its log, pagectl.
 *
 * The supervisor is started again by who notices that it died. Its server is found by the parent:
 * nothing is killed that is not a child of our own child. */
#ifndef TESTS_CHAOS_DAEMON_H
#define TESTS_CHAOS_DAEMON_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
	char directory[64];
	char instance[32];
	char socket[96];
	char config[96];
	char log[96];
	char paged[256];
	char pagectl[256];
	pid_t pid; /* of the supervisor; 0: none */
};

/* paged and pagectl are programs of this build. False: said why. */
bool daemon_make(struct daemon *daemon, const char *paged, const char *pagectl);
bool daemon_start(struct daemon *daemon);
/* The server at this moment; 0: there is none. */
pid_t daemon_server(const struct daemon *daemon);
/* How long that server has waited for a processor so far, runnable all the while; 0: nobody knows.
 */
uint64_t daemon_waited_ns(pid_t server);
/* Waits until it listens. False: not in time. */
bool daemon_listens(const struct daemon *daemon);

/* `pagectl COMMAND`; its exit status, and what it printed. */
int daemon_ctl(const struct daemon *daemon, const char *command, char *ret_text,
	       uint32_t text_bytes);

/* Deaths in the log that a SIGKILL does not explain; the first of them goes to stderr. */
uint32_t daemon_own_deaths(const struct daemon *daemon);
/* The last lines of the log, to stderr. */
void daemon_print_log(const struct daemon *daemon, uint32_t n_lines);

/* Names in /dev/shm that are its; removed if asked to. Segments put aside have one with ".old-". */
uint32_t daemon_segments(const struct daemon *daemon, const char *with, bool remove);
/* Removes directory and segments; it must not run any more. */
void daemon_remove(const struct daemon *daemon);

#endif
