/* tests/support/main.c - main() of every test binary; the table of suites comes from CMake. */
#include "tests/support/runner.h"

int main(int argc, char **argv)
{
	return runner_main(argc, argv, runner_suites);
}
