/* tests/fault/work.h - what a client does in a trial, and whether what it was told is right. */
#ifndef TESTS_FAULT_WORK_H
#define TESTS_FAULT_WORK_H
#include <pageclient/pageclient.h>
#include <stdbool.h>
#include <stddef.h>

#define WORK_FRAMES 300u /* more than a first refill, less than a pageblock */
#define WORK_HELD 100u

struct work {
	const char *socket;
	pageclient *client;
	void *held[WORK_HELD];
	int also;   /* an errno that calls may give beside those of the manual */
	char *text; /* why it is wrong */
	size_t text_bytes;
};

/* Each returns false if a call did what its documentation does not allow, and says so in text. */

/* *ret_r is what pageclient_open() gave. */
bool work_open(struct work *work, int *ret_r);
/* Again and again until it works. */
bool work_open_surely(struct work *work);
/* One of everything: whatever fails has to fail in a way that is documented. */
bool work_try(struct work *work);
/* The same, and all of it has to work within the time that a restart may take. */
bool work_surely(struct work *work);
/* Frames with a tag, and whether it is still in them. */
bool work_hold(struct work *work);
bool work_verify(struct work *work);
void work_close(struct work *work);

#endif
