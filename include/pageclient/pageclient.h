/* pageclient/pageclient.h - page frames of one pool for all processes of a host.
 *
 *   pageclient *client;
 *   int r = pageclient_open(NULL, &client);          attach to the daemon, or see pageclient_error()
 *   void *frame = pageclient_alloc(client, 0, 0);    one frame: some nanoseconds, no system call
 *   pageclient_free(client, frame, 0);
 *   pageclient_close(client);                        whatever is still held goes back
 *
 * Words. A *frame* is a page of shared memory, pageclient_page_size() bytes (4096 by default). A block of *order* k is
 * 2^k frames, aligned to its size; orders go from 0 to 18. A *pfn* is a frame's number. Each thread has *magazines* of
 * frames: alloc pops, free pushes, and only when one is empty or full the daemon is asked. A frame is *owned* by one
 * client, or *shared* by several. A *cache* holds frames with something that can be rebuilt; the daemon asks caches to
 * give frames back when others need them.
 *
 * Trust. All clients of one daemon can read and write the contents of all frames, but none can change who owns what.
 *
 * Errors. Functions that return int give 0 (or a count) or -errno; those that return a pointer give NULL and set errno.
 * pageclient_error() then has a sentence with the next step. Any call may give, beside what is listed with it:
 *   -EINVAL      an argument that cannot be right        -EOWNERDEAD  the client was opened before fork(): open again
 *   -ENOTCONN    no daemon from the start, or LOST       -ETIMEDOUT   the daemon is there and does not answer
 *   -EAGAIN      AWAY for longer than call_timeout_ms:   -ENOMEM      no memory for the library itself
 *                the next call tries again
 *
 * Restarts. When the daemon dies or is replaced its clients keep their frames, magazines, caches and references. A call
 * that needs it finds the next one, proves who it is and repeats what was in flight, which happens once. Calls that do not
 * (most allocations, all frees, pin and unpin) go on meanwhile. So do programs that only wait on pageclient_fd().
 *
 * Threads. Every call but pageclient_close() may run in any thread at any time. No call may be made from a signal
 * handler. No call is a cancellation point: a thread that is cancelled in one, or in a callback, ends at its next point
 * after it. (With PTHREAD_CANCEL_ASYNCHRONOUS no call may be made.) The library starts no thread (but see
 * pageclient_start_thread()) and installs no handler.
 *
 * Fork. The child may not use a client of its parent but to close it, and may open its own.
 *
 * Death. A process may die at any instruction: all that it owned goes back to the pool. */
#ifndef PAGECLIENT_H
#define PAGECLIENT_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define PAGECLIENT_VERSION_MAJOR 0
#define PAGECLIENT_VERSION_MINOR 1
#define PAGECLIENT_VERSION_PATCH 0
#define PAGECLIENT_VERSION (PAGECLIENT_VERSION_MAJOR * 1000000 + PAGECLIENT_VERSION_MINOR * 1000 + PAGECLIENT_VERSION_PATCH)
#ifdef __cplusplus
extern "C" {
#endif
typedef struct pageclient pageclient;           /* one attachment to a daemon; a process may have several */
typedef struct pageclient_cache pageclient_cache;       /* one registered cache */
typedef uint64_t pageclient_slot;               /* table index and generation: a stale one is refused, never a stranger's; 0 is none */

/* Every struct that crosses this interface starts with its size. Smaller than the library's: what is missing is 0.
 * Larger: what the library does not know has to be 0, else -E2BIG. Unknown flags are -EINVAL. */
#define PAGECLIENT_INIT(type, p) (memset((p), 0, sizeof(type)), (p)->size = (uint32_t)sizeof(type))

/* CONNECTED: all works. AWAY: the daemon went away; frames stay readable and writable, magazines give what they hold,
 * frees are kept, all else waits call_timeout_ms for it, then -EAGAIN. LOST: the daemon that came does not know this client
 * (another segment), for good: its frames are gone, calls are -ENOTCONN; the old mapping stays readable until close.
 * PRIVATE: there was no daemon at open. FORKED: this is a child; the client is its parent's. */
enum pageclient_state { PAGECLIENT_CONNECTED, PAGECLIENT_AWAY, PAGECLIENT_LOST, PAGECLIENT_PRIVATE, PAGECLIENT_FORKED };
/* How short memory is. LOW: give back what costs little. MEDIUM: what can be rebuilt. CRITICAL: all that can. */
enum pageclient_level { PAGECLIENT_LEVEL_NONE, PAGECLIENT_LEVEL_LOW, PAGECLIENT_LEVEL_MEDIUM, PAGECLIENT_LEVEL_CRITICAL };

enum {  /* options.flags */
	PAGECLIENT_FALLBACK_PRIVATE = 1u << 0,  /* no daemon at open: the same calls over private memory; state says PRIVATE */
	PAGECLIENT_READ_ONLY        = 1u << 1,  /* DATA is mapped PROT_READ: a consumer that can spoil nothing */
};
enum {  /* alloc flags */
	PAGECLIENT_ZERO        = 1u << 0,       /* cleared; else a frame holds what its last owner left in it */
	PAGECLIENT_COLD        = 1u << 1,       /* will not be touched soon: from the cold magazine (order 0) */
	PAGECLIENT_NOWAIT      = 1u << 2,       /* no RPC and no reclaim: what the magazine holds, or EAGAIN */
	PAGECLIENT_RECLAIMABLE = 1u << 3,       /* holds what can be rebuilt: grouped with such, so that large blocks come free together */
	PAGECLIENT_MAY_SHRINK  = 1u << 4,       /* may run this client's own scan callbacks here: hold no lock that they take */
};

/* Times are milliseconds. 0 is the default that each field names. The strings are copied. */
struct pageclient_options {
	uint32_t size;
	uint32_t flags;
	const char *socket;                     /* NULL: $PAGED_SOCKET, $XDG_RUNTIME_DIR/paged/paged.sock, /run/paged/paged.sock, in this order */
	const char *name;                       /* shown by pagectl, matched by the configuration; NULL: the program's name; at most 31 bytes */
	uint32_t connect_timeout_ms;            /* open; 0: 1000 */
	uint32_t call_timeout_ms;               /* a call that needs the daemon while it is away; 0: 5000, UINT32_MAX: for ever */
	uint32_t alloc_timeout_ms;              /* an allocation that waits for reclaim; 0: 1000 */
	uint32_t max_threads;                   /* that get magazines of their own; 0: 64; others share one behind a lock */
	uint32_t max_purgeable;                 /* slots of the purge table; 0: as many as the quota has frames */
	uint32_t reserved;
	uint64_t max_frames;                    /* own limit below the daemon's; 0: none */
	void (*on_pressure)(void *arg, enum pageclient_level level);    /* both run in pageclient_dispatch() or the library's thread */
	void (*on_state)(void *arg, enum pageclient_state state);
	void *arg;
};

struct pageclient_scan {                    /* filled by the library; the callback may set the last two */
	uint32_t size;
	uint32_t priority;                      /* 12 (easy) .. 0 (critical) */
	uint64_t nr_to_scan;                    /* objects to look at, at most cache_options.batch */
	uint64_t nr_frames;                     /* frames wanted back; stop early when reached */
	uint64_t deadline_ns;                   /* CLOCK_MONOTONIC */
	uint64_t nr_scanned;                    /* out: looked at; preset to nr_to_scan */
	uint64_t nr_freed;                      /* out: objects dropped */
};
#define PAGECLIENT_SHRINK_EMPTY ((uint64_t)-2)  /* count: nothing to give */
#define PAGECLIENT_SHRINK_STOP  (-1)            /* scan: cannot now (a lock is busy); asked again later, not a failure */

/* A cache of things that can be rebuilt. count and scan run in pageclient_dispatch(), in the library's thread, or in an
 * allocation with MAY_SHRINK, never both at once for one cache. scan drops objects and gives their frames back with
 * pageclient_free() or pageclient_put(); what it gives back in its own thread is counted against nr_frames. Inside them
 * pageclient_alloc(), pageclient_dispatch() and pageclient_cache_unregister() of the same client give EDEADLK. */
struct pageclient_cache_options {
	uint32_t size;
	uint32_t flags;                         /* 0 */
	const char *name;                       /* at most 31 bytes */
	uint64_t (*count)(void *arg);           /* objects that could be dropped now; cheap, lock-free if it can */
	int (*scan)(void *arg, struct pageclient_scan *scan);   /* 0 or PAGECLIENT_SHRINK_STOP */
	void *arg;
	uint32_t seeks;                         /* cost to rebuild an object, as the kernel's shrinkers have it; 0: 2 */
	uint32_t batch;                         /* most objects of one scan; 0: 128 objects */
	uint64_t rebuild_ns;                    /* per frame, declared; 0: unknown, taken from seeks */
};

struct pageclient_status {
	uint32_t size;
	enum pageclient_state state;
	enum pageclient_level level;
	uint32_t client_id;                     /* as pagectl shows it and pageclient_transfer() takes it; 0: PRIVATE */
	uint32_t page_size;                     /* bytes */
	uint32_t daemon_version;                /* as PAGECLIENT_VERSION; 0: PRIVATE */
	/* Frames. nr_magazine is the part of nr_owned that lay in magazines when last looked; nr_purgeable are slots that
	 * have a frame; nr_purged counts the frames purged so far. */
	uint64_t nr_owned, nr_magazine, nr_shared, nr_purgeable, nr_purged;
	uint64_t min, low, high, max;           /* frames */
	uint64_t nr_bad_free;                   /* double and foreign frees the daemon refused */
};

/* --- a client --- */

/* Attaches to a daemon. options NULL: all defaults. A socket that is named (here or by $PAGED_SOCKET) is the only one
 * tried, else the first that somebody listens at. The environment is not looked at in set-uid programs.
 * *ret_client is the caller's until pageclient_close(), and set with 0 only. Waits at most connect_timeout_ms; no daemon
 * is noticed at once. Registers the process for membarrier(). Costs some system calls and address space as large as the
 * segment (aligned to 1 GiB), no memory. At most 64 threads of a client have magazines of their own; with max_threads
 * 64 (the default) the last of those is shared by all threads from the 64th on.
 *   -ENOTCONN nobody listens (not with FALLBACK_PRIVATE)  -ETIMEDOUT  the daemon does not answer in time
 *   -ENAMETOOLONG the socket's path or the name           -EACCES     the socket is not for this user
 *   -EINVAL, -E2BIG see PAGECLIENT_INIT                   -EPROTO, -EPROTONOSUPPORT  not this protocol or layout
 *   -ENOSYS no membarrier() here                          -ENOMEM, -EMFILE, and what the daemon refused with */
int  pageclient_open(const struct pageclient_options *options, pageclient **ret_client);

/* Detaches: everything that the client owns, its magazines, caches and references of shared frames go back, and its
 * frames are unmapped. No other call on the client may run or follow; not from a callback. NULL is nothing. Stops and
 * joins the library's thread. Waits at most 1 s for the daemon, and 0.2 s for one that is away: if it is not back by then,
 * what the client had comes back when the process ends. In the child of a fork it frees memory and descriptors only, and
 * the parent's client lives on. Keeps errno. */
void pageclient_close(pageclient *client);

/* PAGECLIENT_VERSION of the library that runs, which may be newer than the header. */
uint32_t pageclient_version(void);

/* Bytes of a frame: 4096, 16384 or 65536 with a daemon, the machine's page size without. Constant. No errors. */
size_t pageclient_page_size(const pageclient *client);

/* Fills status (size set by the caller, the rest overwritten). One request to the daemon; when it is AWAY what META says,
 * without waiting.
 *   -EINVAL, -E2BIG see PAGECLIENT_INIT; -ETIMEDOUT */
int  pageclient_read_status(pageclient *client, struct pageclient_status *status);

const char *pageclient_error(void);         /* why this thread's last call failed, one sentence with the next step; valid until its next call */

/* --- frames --- */

/* A block of 2^order frames, aligned to its size, the caller's until free, share or transfer; NULL with errno:
 *   ENOMEM   none came free within alloc_timeout_ms, or a limit is reached; the text says which
 *   EAGAIN   NOWAIT and the magazine is empty; or only this client's own caches could help (see MAY_SHRINK); or AWAY
 *   EINVAL   order above 18, unknown flags            EDEADLK  inside a callback of a cache of this client
 *   EROFS    the client is READ_ONLY                  ENOTCONN, ETIMEDOUT, EOWNERDEAD as above
 * Cost: orders 0 to 9 are popped from the thread's magazine (without flags inline, some ns, no lock, no system
 * call), every so often one request refills it. Orders 10 to 18, and RECLAIMABLE above order 0, are one request each.
 * PRIVATE: a lock and O(order). A thread's first allocation makes its magazines: one more request. */
void *pageclient_alloc(pageclient *client, unsigned order, unsigned flags);
void *pageclient_alloc_slow(pageclient *client, unsigned order, unsigned flags);  /* what the inline paths fall back to */
void  pageclient_free_slow(pageclient *client, void *frame, unsigned order);

/* Gives back a block with the order that it was allocated with. Any thread may free what another allocated: it goes to the
 * freeing thread's magazine. The contents may be overwritten at once. A frame that is not owned (freed twice, never
 * allocated, shared, of another order) is a bug of the program that only it suffers from: the daemon refuses it when it
 * gets to see it, and counts it in nr_bad_free. Orders 0 to 9 cost a push; when the magazine is full, and for orders 10 to
 * 18, one request, which is not waited for longer than 0.5 s: then the frame is kept and goes back later. */
void  pageclient_free(pageclient *client, void *frame, unsigned order);     /* NULL is nothing; never fails, never blocks, keeps errno */

/* n_frames blocks at once, as pageclient_alloc() would give them, in ret_frames. Returns how many it got; with fewer than
 * n_frames errno says why, and those that are there are the caller's. Cheaper per block than single calls. */
size_t pageclient_alloc_bulk(pageclient *client, unsigned order, unsigned flags, void **ret_frames, size_t n_frames);

/* n_frames blocks of one order at once; NULLs among them are skipped. flags: 0, or COLD for the cold magazine (order 0).
 * The array stays the caller's. As pageclient_free() otherwise. */
void  pageclient_free_bulk(pageclient *client, unsigned order, unsigned flags, void *const *frames, size_t n_frames);

/* The number of the frame that an address lies in, and the address of a frame by number; the number means the same to
 * all clients of the daemon, the address does not. Any frame of the segment, owned or not. No system call, no errno. */
uint32_t pageclient_pfn(const pageclient *client, const void *frame);       /* UINT32_MAX: not in the segment */
void *pageclient_frame(const pageclient *client, uint32_t pfn);             /* NULL: out of range */

/* --- purgeable frames ---
 *
 * A frame whose content can be rebuilt is put into a slot. While somebody pins the slot it stays; when nobody does, the
 * daemon may take the frame without asking, oldest first over all clients. A pin says whether the content is still there:
 *
 *   void *frame = pageclient_pin(client, slot);
 *   if (!frame && errno == ENODATA) {                            purged: build it again
 *           frame = pageclient_alloc(client, 0, PAGECLIENT_RECLAIMABLE);
 *           rebuild(frame);
 *           if (pageclient_purgeable_rearm(client, slot, frame) == -EEXIST)
 *                   ...                                          another thread did: free ours, pin again
 *   }
 *   use(frame);
 *   pageclient_unpin(client, slot);                              stamped with the time of its last use
 *
 * Any thread may make any of these calls. Pin and unpin are one compare-exchange each: some nanoseconds, no lock, no system
 * call, whether the daemon is there or not. A slot stands for the process's ownership of a block of any order, or for its one
 * reference of a shared one, which nothing else may use while it is in there (-EBUSY of share, import, put). PRIVATE: the
 * same calls, and nothing is ever purged. */

/* A block of this process gets a slot, which is pinned once; its frame is not to be freed or put but by the calls below.
 * Some ns; every so often, as the table doubles, one request. Memory: 8 bytes a slot of the daemon, 16 of the process.
 *   -EINVAL not the start of a block of this process     -ENOSPC  max_purgeable slots are in use, or as many as the client
 *   -EBUSY  a shared frame that it holds twice                     may have frames, or the tables of this user have their
 *                                                                  share of what all may have: drop some */
int   pageclient_purgeable_new(pageclient *client, void *frame, pageclient_slot *ret_slot);     /* pinned once by the caller */

/* The frame of a slot, which stays until unpin; pins nest, up to 253. NULL with errno:
 *   ENODATA   it was purged: rearm, or drop           ESTALE     this slot ended
 *   EOVERFLOW pinned 253 times                         ENOTCONN   LOST: all frames are gone */
void *pageclient_pin(pageclient *client, pageclient_slot slot);             /* NULL: ENODATA purged; ESTALE not this slot any more; EOVERFLOW; EOWNERDEAD */

/* Ends one pin. A slot that is stale or not pinned is left alone: that is a bug of the program. */
void  pageclient_unpin(pageclient *client, pageclient_slot slot);

/* A purged slot gets another block of this process, with its content rebuilt, pinned once. The time since the pin that found
 * it purged is taken for what the rebuild cost.
 *   -EEXIST another thread was first: the block is still the caller's   -ESTALE   -EINVAL, -EBUSY as new
 *   -EAGAIN the daemon stopped or died while it purged the slot: try again when it goes on */
int   pageclient_purgeable_rearm(pageclient *client, pageclient_slot slot, void *frame);        /* 0: frame is its content, pinned once; -EEXIST: another thread was first, frame is still yours */

/* The slot ends, and its block is an ordinary one of the process again. The caller's has to be the only pin.
 *   -EBUSY others pin it, or nobody does               -ENODATA purged   -ESTALE */
int   pageclient_purgeable_take(pageclient *client, pageclient_slot slot, void **ret_frame);    /* the caller's is the only pin: slot ends, frame is owned; -EBUSY */

/* The slot ends, and its block, if it was not purged, is freed or put.
 *   -EBUSY it is pinned                                -EAGAIN as rearm    -ESTALE */
int   pageclient_purgeable_drop(pageclient *client, pageclient_slot slot);  /* not pinned by the caller: slot ends, frame (if any) is freed; -EBUSY while others pin it */

/* Declares what rebuilding costs, in nanoseconds per frame of this client's slots; 0: unknown. The daemon corrects it by what
 * it sees: how long rebuilds took and how soon purged slots were wanted again. What is cheap goes first, across processes.
 * Who has content of very different cost opens a client for each. No request. -ENOTCONN as above. */
int   pageclient_purgeable_cost(pageclient *client, uint64_t rebuild_ns);

/* --- caches --- */

/* Makes a cache known to the daemon's reclaim. options is copied; arg has to live until unregister has returned. Upcalls
 * need pageclient_dispatch() or pageclient_start_thread(): a cache that does not answer three times is left alone for a
 * while. *ret_cache is the caller's until unregister or close. One request. PRIVATE: only MAY_SHRINK runs it.
 *   -EINVAL no name, a name above 31 bytes, no count or scan, flags; -E2BIG; -ENOSPC and others as the daemon says */
int   pageclient_cache_register(pageclient *client, const struct pageclient_cache_options *options, pageclient_cache **ret_cache);

/* No callback of the cache runs any more when this returns 0; *cache is gone. NULL is nothing. One request; a daemon that
 * is away hears of it when it is back. Its objects and their frames stay the program's. */
int   pageclient_cache_unregister(pageclient_cache *cache);                 /* waits for a callback in flight in another thread; -EDEADLK from inside one */

/* --- sharing --- */

/* From owned to shared: this process holds one reference, and whoever gets the handle (by any channel) may import it. The
 * handle is good while anybody holds a reference. Sharing a frame that this process holds gives its handle again and adds
 * no reference. After -ETIMEDOUT or -EAGAIN it may have happened: call again with the same frame to learn the handle.
 *   -EINVAL not the start of a frame; -EPERM and others as the daemon says. One request. */
int   pageclient_share(pageclient *client, void *frame, uint64_t *ret_handle);

/* As share, but the reference goes to the client with the id to_client, which then imports it; this process must not
 * touch the frame any more. If that client dies first the frame is free.
 *   -EINVAL to_client is 0 or this client; -EBUSY this process holds the frame more than once; as share otherwise */
int   pageclient_transfer(pageclient *client, void *frame, uint32_t to_client, uint64_t *ret_handle);

/* One more reference of this process to a shared frame; each needs a put. *ret_order may be NULL. READ_ONLY clients may.
 *   -ESTALE the frame was freed since; others as the daemon says. One request. */
int   pageclient_import(pageclient *client, uint64_t handle, void **ret_frame, unsigned *ret_order);

/* With the last reference of the last process the frame is free. One request with this process's last, else none; once it
 * is on its way it is done, and 0, although the answer did not come. -EAGAIN: not done, the reference is still held.
 *   -EINVAL not the start of a frame; others as the daemon says */
int   pageclient_put(pageclient *client, void *frame);                      /* ends this client's reference to a shared frame */

/* The first n that worked; errno says why it is fewer. One request each. */
size_t pageclient_share_bulk(pageclient *client, void *const *frames, size_t n_frames, uint64_t *ret_handles);
size_t pageclient_import_bulk(pageclient *client, const uint64_t *handles, size_t n_handles, void **ret_frames);

/* --- events --- */

/* Readable when there is something to dispatch: put it into any event loop (poll, epoll, libuv). The library's to close. */
int   pageclient_fd(pageclient *client);                                    /* an epoll descriptor, the same for the life of the client */

/* Runs what has come: count and scan of caches, on_pressure, on_state, in this thread; at most 64 upcalls. While AWAY it
 * also looks whether the daemon is back; pageclient_fd() is readable when that is due. on_state hears of every outage, at
 * the latest when it is over: AWAY, then CONNECTED. While another thread dispatches the same client there is nothing to do:
 * 0. -EDEADLK from a callback of a cache. */
int   pageclient_dispatch(pageclient *client);                              /* callbacks run, or -errno; never blocks */

/* Starts one thread that polls and dispatches until close, with all signals blocked. -EALREADY it has started; -EAGAIN no
 * thread can be made. */
int   pageclient_start_thread(pageclient *client);
#ifdef __cplusplus
}
#endif
#ifndef PAGECLIENT_NO_INLINE
#ifdef __cplusplus
extern "C" {
#endif
#include <pageclient/fast.h>
#ifdef __cplusplus
}
#endif
#endif
#endif
