/* paged/crash_point.h - where the processes of the daemon are killed on purpose, by a test.
 *
 * The core and the library are killed at every instruction (tests/crash). What lies around them,
 * system calls and messages between processes, has a named point wherever a death leaves something
 * half done: one name per kind of remains. tests/crash/test_points.c kills the real daemon at each
 * and fails for a name that is not reached; a name has exactly one place.
 *
 * In the product a point is nothing. The test's own daemon, paged_crash, is the same sources with
 * PAGED_CRASH_POINTS, which calls crash_point_reach(). */
#ifndef PAGED_CRASH_POINT_H
#define PAGED_CRASH_POINT_H

/* X(name, what a death here leaves) */
#define CRASH_POINTS(X)                                                                            \
	X(ENDPOINT_BOUND, "a socket that nobody listens on")                                       \
	X(SEGMENT_NAMED, "a file of no size")                                                      \
	X(SEGMENT_SIZED, "one file of three")                                                      \
	X(SUPERVISOR_FORKED, "a server that nobody knows")                                         \
	X(SERVER_BORN, "a server that has done nothing")                                           \
	X(SEGMENT_LOCKED, "a lock")                                                                \
	X(SEGMENT_EMPTIED, "files without memory")                                                 \
	X(SEGMENT_GIVEN, "memory without a layout")                                                \
	X(SEGMENT_FORMATTED, "a segment that nobody has served")                                   \
	X(SEGMENT_TAKEN_OVER, "one more start that failed")                                        \
	X(POOL_RECOVERED, "a pool that is whole, and clients that nobody watches")                 \
	X(CTL_ADOPTED, "a client that the session does not know yet")                              \
	X(CLIENTS_ADOPTED, "starts that are counted as failed")                                    \
	X(RECOVERY_ENDED, "META that shows the server before")                                     \
	X(SERVER_SHOWN, "META that shows a server that never told READY")                          \
	X(SUPERVISOR_READY, "a service whose manager was not told")                                \
	X(CLIENT_PREPARED, "a CTL that nobody keeps, of no client")                                \
	X(CTL_KEPT, "a CTL that is kept, of no client")                                            \
	X(HELLO_UNANSWERED, "a client that does not know it is one")                               \
	X(SUPERVISOR_KEPT, "a client whose CTL only itself has")                                   \
	X(HEADS_GIVEN, "memory for a thread that has no magazines")                                \
	X(TABLE_GIVEN, "memory for a table that has no slots")                                     \
	X(RESUME_TAKEN, "a CTL that came back, and is not kept")                                   \
	X(CLIENT_REATTACHED, "a Resume without an answer")                                         \
	X(CLIENT_RELEASED, "a CTL that is kept, of a client that is gone")                         \
	X(COMMIT_BEGUN, "a block that is ISOLATED, without memory")                                \
	X(COMMIT_ENDED, "a block that is ISOLATED, with memory")                                   \
	X(BARRIER_DUE, "claims")                                                                   \
	X(BARRIER_PASSED, "claims that were to be settled")                                        \
	X(RELOAD_BEGUN, "a manager that waits for READY")                                          \
	X(RELOAD_ENDED, "limits of the new configuration")                                         \
	X(SEGMENT_PUT_ASIDE, "one file of three under its old name no more")                       \
	X(SUPERVISOR_RENEWED, "a new segment without a server")                                    \
	X(SUPERVISOR_BEREFT, "no server")                                                          \
	X(STOP_BEGUN, "a server that told STOPPING")                                               \
	X(STOP_ENDED, "a server that is through")                                                  \
	X(SUPERVISOR_STOPPING, "a server that was not told to stop")

enum crash_point {
#define X(name, what) CRASH_##name,
	CRASH_POINTS(X)
#undef X
		CRASH_NR_POINTS
};

#ifdef PAGED_CRASH_POINTS
/* Of the test's daemon. May not return. */
void crash_point_reach(enum crash_point point);
#define CRASH_POINT(name) crash_point_reach(CRASH_##name)
#else
#define CRASH_POINT(name) ((void)CRASH_##name)
#endif

#endif
