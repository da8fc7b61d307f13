/* tests/fault/guest.h - a client of the daemon under trial: a process with the library and without
 * the shim, told what to do step by step. */
#ifndef TESTS_FAULT_GUEST_H
#define TESTS_FAULT_GUEST_H
#include "tests/fault/host.h"

struct guest {
	pid_t pid; /* 0: none */
	int fd;
};

enum guest_step {
	GUEST_OPEN,   /* once; documented errors are allowed */
	GUEST_ATTACH, /* until it works, if it is not attached */
	GUEST_HOLD,
	GUEST_TRY,    /* one of everything, as work_try() */
	GUEST_SURELY, /* and as work_surely(), and what it holds is as it was */
	GUEST_CLOSE,
};

bool guest_start(struct guest *guest, const struct host *host);
void guest_tell(const struct guest *guest, enum guest_step step);
/* 1: done and right; 0: not yet; -1: wrong, or dead; then ret_text says what. */
int guest_heard(const struct guest *guest, uint32_t ms, char ret_text[HOST_TEXT_BYTES]);
/* Tells it and waits; false with a text. */
bool guest_does(const struct guest *guest, enum guest_step step, char ret_text[HOST_TEXT_BYTES]);
/* SIGKILL. */
void guest_kill(struct guest *guest);

#endif
