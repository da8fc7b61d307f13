/* tests/chaos/child.c - see child.h. */
#include "tests/chaos/child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

void child_settle(pid_t parent)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
}
