/* tests/fault/trial_client.c - the phases of a client: its calls fail, the daemon's do not.
 *
 * The client is a program (client.c) that judges what the library tells it. Here it is started and
 * killed if it hangs; afterwards the daemon has to be as if nothing had been. */
#include "tests/fault/trial.h"
#include "tests/integration/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct program {
	pid_t pid;
	int in;  /* its stdin */
	int out; /* its stdout */
};

_Noreturn static void become_client(const struct trial *trial, const char *phase, const int in[2],
				    const int out[2])
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(in[0], STDIN_FILENO);
	(void)dup2(out[1], STDOUT_FILENO);
	(void)setenv("LD_PRELOAD", trial->options.shim, 1);
	(void)setenv(INJECT_ENVIRONMENT, trial->host.control_path, 1);
	(void)execl(trial->client, trial->client, phase, trial->host.socket, (char *)NULL);
	_exit(127);
}

static bool program_start(const struct trial *trial, const char *phase, struct program *ret_program)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return false;
	ret_program->pid = fork();
	if (ret_program->pid == 0)
		become_client(trial, phase, in, out);
	(void)close(in[0]);
	(void)close(out[1]);
	ret_program->in = in[1];
	ret_program->out = out[0];
	return ret_program->pid > 0;
}

/* Waits for what it prints or its end. What it says stays in the pipe. */
static bool program_speaks(struct trial *trial, const struct program *program)
{
	struct inject_control *control = trial->host.control;
	struct pollfd words = {.fd = program->out, .events = POLLIN};
	uint64_t until = clock_until(2 * HOST_PATIENCE_MS);
	uint64_t grace = 0;

	while (poll(&words, 1, 5) == 0) {
		if (clock_left_ms(until) == 0)
			return trial_wrong(trial, "the client hangs");
		if (!control->armed)
			grace = 0;
		else if (grace == 0)
			grace = clock_until(TRIAL_GRACE_MS);
		else if (clock_left_ms(grace) == 0)
			host_disarm(&trial->host);
	}
	return true;
}

static bool program_end(struct trial *trial, struct program *program)
{
	char text[HOST_TEXT_BYTES] = "";
	bool good = program_speaks(trial, program);
	int status = 0;

	if (!good)
		(void)kill(program->pid, SIGKILL);
	else if (read(program->out, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	(void)waitpid(program->pid, &status, 0);
	(void)close(program->in);
	(void)close(program->out);
	if (good && WIFSIGNALED(status))
		return trial_wrong(trial, "the client died of signal %d", WTERMSIG(status));
	if (good && WEXITSTATUS(status))
		return trial_wrong(trial, "the client: %.400s", text);
	return good;
}

/* Its calls are to fail as the case says; it arms itself. */
static void aim(struct trial *trial)
{
	struct inject_control *control = trial->host.control;

	control->role = trial->role;
	control->function = trial->function;
	control->n = trial->n;
	control->ever = trial->ever;
	control->error = trial->error;
}

static bool begin(struct trial *trial)
{
	aim(trial);
	return host_start(&trial->host, false) && host_gets_ready(&trial->host, HOST_PATIENCE_MS)
		       ? true
		       : trial_wrong(trial, "no daemon to begin with");
}

static bool find_server(struct trial *trial)
{
	struct shm_view view;

	if (!host_observe_surely(&trial->host, &view))
		return trial_wrong(trial, "no META to begin with");
	trial->server = (pid_t)shm_load32(&view.header->daemon_pid);
	shm_view_detach(&view);
	return true;
}

static bool run(struct trial *trial, const char *phase)
{
	struct program program;

	if (!begin(trial) || !find_server(trial))
		return false;
	trial->n_fds = host_count_fds(trial->server);
	return program_start(trial, phase, &program) && program_end(trial, &program) &&
	       trial_settle(trial);
}

bool trial_client_attach(struct trial *trial)
{
	return run(trial, "attach");
}

bool trial_client_work(struct trial *trial)
{
	return run(trial, "work");
}

bool trial_client_close(struct trial *trial)
{
	return run(trial, "close");
}

/* The server is killed while the client waits, and another serves before the client goes on. */
bool trial_client_resume(struct trial *trial)
{
	struct program program;
	bool good;
	char line[2];

	if (!begin(trial) || !find_server(trial) || !program_start(trial, "resume", &program))
		return false;
	good = program_speaks(trial, &program) && read(program.out, line, 2) == 2 && line[0] == '-';
	if (good) {
		uint64_t until = clock_until(HOST_PATIENCE_MS);
		pid_t server;

		(void)kill(trial->server, SIGKILL);
		do
			server = host_server(&trial->host);
		while ((server == 0 || server == trial->server) && clock_pause(until));
		good = write(program.in, "+", 1) == 1;
	}
	return program_end(trial, &program) && good && trial_settle(trial);
}
