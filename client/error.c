/* client/error.c - the sentence that says why the last call of a thread failed.
 *
 * It lies in struct thread, so no lock is needed and the library's TLS block stays small: an
 * initial-exec library that is loaded by dlopen() lives from a small surplus. */
#include "client/client_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int error_set(int r, const char *format, ...)
{
	struct thread *thread = thread_current();
	va_list arguments;

	if (!thread)
		return r;
	va_start(arguments, format);
	(void)vsnprintf(thread->error, sizeof(thread->error), format, arguments);
	va_end(arguments);
	return r;
}

const char *pageclient_error(void)
{
	const struct thread *thread = thread_peek();

	/* Whatever fails in a thread has a place for its sentence, unless that is what failed. */
	return thread ? thread->error : "no memory for the library itself: free some and try again";
}

int client_check(const pageclient *client)
{
	if (!client)
		return error_set(-EINVAL, "no client was given: call pageclient_open() first");
	if (client_state(client) == PAGECLIENT_FORKED)
		return error_set(-EOWNERDEAD, "this client belongs to the process before fork(): "
					      "call pageclient_open() in the child");
	return 0;
}
