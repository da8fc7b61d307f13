/* tests/sim/lists.h - the kinds of events of the world, of faults that are counted, and of
 * controls.
 *
 * Each list gives its enum, the names in the trace and the coverage. */
#ifndef TESTS_SIM_LISTS_H
#define TESTS_SIM_LISTS_H

/* X(name): the events of the world. */
#define SIM_EVENTS(X)                                                                              \
	X(CONNECT)    /* who: connection; it reaches the listening socket */                       \
	X(REQUEST)    /* who: connection; message */                                               \
	X(GARBAGE)    /* who: connection; bytes that are no message */                             \
	X(SERVER_EOF) /* who: connection; the client's end is closed */                            \
	X(REPLY)      /* who: client */                                                            \
	X(CLIENT_EOF) /* who: client; the server's end is closed */                                \
	X(UPCALL)     /* who: client */                                                            \
	X(DONE)       /* who: client; its ShrinkDone */                                            \
	X(DEAF)       /* who: client; its event socket ends */                                     \
	X(DIED)       /* who: client; its pidfd */                                                 \
	X(BIRTH)      /* who: client */                                                            \
	X(THREAD)     /* who: client, thread: it does what it does next */                         \
	X(NOTE)       /* who: client; another tells it of a shared frame */                        \
	X(FATE)       /* who: client; something befalls it */                                      \
	X(AGAIN)                                                                                   \
	X(TIMER)                                                                                   \
	X(COMMITTED)                                                                               \
	X(CRASH)                                                                                   \
	X(RESTART)                                                                                 \
	X(ADMIN_ACTS)                                                                              \
	X(WEATHER)
enum sim_event_kind {
#define X(name) SIM_##name,
	SIM_EVENTS(X)
#undef X
		SIM_NR_EVENTS
};

/* X(name): what can go wrong, and courses that only bad luck takes. Counted; each has to occur. */
#define SIM_FAULTS(X)                                                                              \
	X(CRASH_IN_STEP)                                                                           \
	X(CRASH_IN_JOURNAL)                                                                        \
	X(CRASH_IN_STEAL)                                                                          \
	X(CRASH_IN_ACTIONS)                                                                        \
	X(CRASH_IN_RECOVERY)                                                                       \
	X(CRASH_IN_ADOPTION)                                                                       \
	X(CRASH_IN_PURGE)                                                                          \
	X(CTL_NOT_KEPT)                                                                            \
	X(BARRIER_FAILED)                                                                          \
	X(PREPARE_FAILED)                                                                          \
	X(TABLE_FAILED)                                                                            \
	X(HEADS_FAILED)                                                                            \
	X(REATTACH_FAILED)                                                                         \
	X(COMMIT_ENOSPC)                                                                           \
	X(COMMIT_ENOMEM)                                                                           \
	X(COMMIT_LATE)                                                                             \
	X(KILLED)                                                                                  \
	X(DEAD_BEFORE_EOF)                                                                         \
	X(EOF_BEFORE_DEAD)                                                                         \
	X(DEAD_WHILE_AWAY)                                                                         \
	X(STOPPED)                                                                                 \
	X(HUNG_UP)                                                                                 \
	X(RESUMED_OVER_OLD)                                                                        \
	X(DROPPED)                                                                                 \
	X(DEAFENED)                                                                                \
	X(SAID_GOODBYE)                                                                            \
	X(REPEATED)                                                                                \
	X(REPEATED_TWICE)                                                                          \
	X(HALF_POP_KEPT)                                                                           \
	X(HALF_POP_GRANTED)                                                                        \
	X(HALF_POP_STOLEN)                                                                         \
	X(MAGAZINE_FULL)                                                                           \
	X(DEFERRED)                                                                                \
	X(TRANSFERRED)                                                                             \
	X(HANDLE_STALE)                                                                            \
	X(SHRINK_TRUE)                                                                             \
	X(SHRINK_LATE)                                                                             \
	X(SHRINK_NEVER)                                                                            \
	X(SHRINK_LIE)                                                                              \
	X(LIE_IN_BOTTOM)                                                                           \
	X(LIE_IN_SLOT)                                                                             \
	X(LIE_IN_MESSAGE)                                                                          \
	X(LIAR_ENDED)                                                                              \
	X(TOLD_ENOMEM)                                                                             \
	X(TOLD_EAGAIN)                                                                             \
	X(PARKED)                                                                                  \
	X(LIMITS_READ)                                                                             \
	X(SET)                                                                                     \
	X(RESIZED)                                                                                 \
	X(PIN_PURGED)                                                                              \
	X(PIN_RACED)                                                                               \
	X(PIN_OVERFLOW)                                                                            \
	X(FOUND_PURGING)                                                                           \
	X(REARMED)                                                                                 \
	X(SHARED_PURGED)                                                                           \
	X(PURGED_WITH_MIN)                                                                         \
	X(LIE_IN_BELL)                                                                             \
	X(LIE_IN_TABLE)
enum sim_fault {
#define X(name) FAULT_##name,
	SIM_FAULTS(X)
#undef X
		SIM_NR_FAULTS
};

/* X(name, text): a defect that the run is given, to prove that it is found. */
#define SIM_CONTROLS(X)                                                                            \
	X(NONE, "none")                                                                            \
	X(NO_REPLAY, "the journal is not replayed")                                                \
	X(NO_SAVED_TOP, "saved tops are forgotten at recovery")                                    \
	X(NO_LANE, "the answers in the lanes are forgotten at recovery")                           \
	X(NO_DEATH, "a death is not told")                                                         \
	X(NO_REPLY, "an answer is lost")                                                           \
	X(TWO_REPLIES, "an answer is sent twice")                                                  \
	X(NO_FENCE, "a pop looks at top before it moves bottom")                                   \
	X(NO_MEMORY, "a commit that failed is called done")                                        \
	X(WRONG_VICTIM, "the death of a process is told of another")                               \
	X(NO_EXCHANGE, "a purge does not see that the frame was pinned meanwhile")                 \
	X(NO_PURGE_RECOVERY, "what a dead server had begun to purge is forgotten")                 \
	X(BELOW_MIN, "a purge takes no notice of min")
enum sim_control {
#define X(name, text) CONTROL_##name,
	SIM_CONTROLS(X)
#undef X
		SIM_NR_CONTROLS
};

#endif
