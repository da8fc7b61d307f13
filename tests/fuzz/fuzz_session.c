/* tests/fuzz/fuzz_session.c - a daemon under clients that send any message and write anything into
 * their CTL.
 *
 * The input is a script (script.h) over an empty pool of which nothing is committed. At the end the
 * audit must hold and no panic may have been reached. */
#include "tests/fuzz/script.h"
#include "tests/fuzz/world.h"

#define NR_FRAMES 4096u

static struct shell *start(void)
{
	struct shell *shell = shell_open_empty(NR_FRAMES, COMMITS_LATER);

	world_keep();
	return shell;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct shell *shell;
	struct fuzz_input input = {data, data + bytes};
	struct script script;

	if (shell)
		world_reset();
	else
		shell = start();
	script_init(&script, shell);
	script_run(&script, &input);
	return 0;
}
