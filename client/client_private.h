/* client/client_private.h - libpageclient from the inside.
 *
 *   program thread                        struct thread (heap, one TLS pointer)
 *     | inline pop/push                     |- member of client A --> pcp 3 of A: 11 magazines, a
 * lane v                                     '- member of client B --> pcp 0 of B
 *   pageclient_fast_v1 (TLS) ---------------------^   the descriptor inside the member used last
 *     | magazine empty, full, other client
 *     v
 *   slow.c / release.c --> pcp.c (refill, drain) --> rpc.c --> call socket --> daemon
 *                     \--> lane.c (Alloc, Free, Share, Import, Put: exactly once) /
 *   dispatch.c <-- event socket <-- upcalls        cache.c runs count and scan
 *   away.c: connection gone --> AWAY --> resume.c: connect, Resume by token --> CONNECTED or LOST
 *
 * Why so. A frame is taken and given back without a lock and without a system call, so what a
 * thread pops from belongs to it alone: a `pcp` is the magazines and the lane of one thread index
 * of one client. A thread that uses a client for the first time joins it and gets a `member`, which
 * names a pcp that an ended thread left, or a new one, or, when all are taken, the last one, which
 * those who came late share behind its mutex and without the inline path. A member holds the frozen
 * descriptor that programs have compiled in. It belongs to the thread and not to the client: a
 * client closed by another thread must not leave this thread's TLS pointer dangling. For the same
 * reason struct pageclient outlives pageclient_close() while members name it (`refs`): its address
 * cannot come back as that of another client which a stale descriptor would then match.
 *
 * Calls. Any number of threads share one call socket and no thread is made for it. Who waits for a
 * reply and finds nobody reading becomes the reader; it hands replies to their waiters by id until
 * its own has come, then wakes another waiter to read on (leader and followers). A wait that times
 * out leaves its call open where that matters: a refill that is still under way may change the ring
 * of the magazine at any moment, so the magazine is barred until the answer is there; a lane with
 * an open request takes no other before that is settled. So a daemon that hangs costs time, no
 * frames. A connection that ends ends all calls on it (-ENOTCONN); what is waited for is repeated
 * on the next one, which has a new `generation`: whoever saw the old one end cannot end the new.
 *
 * Locks, in the order in which they are taken; none is held while a callback runs:
 *   dispatch_lock (held during callbacks, only ever tried, but by the library's own thread)  >
 *   pcp.lock (the shared pcp only)  >  shares.lock  >  away.lock, caches.lock  >  threads.lock,
 *   deferred.lock, purge.lock, rpc.lock (each a leaf).
 *
 * Invariants.
 *   C1 a pcp is named by at most one member, but for the shared one; who is not its thread, or does
 *      not hold its lock, touches no bottom and no slot of it.
 *   C2 the TLS descriptor is NULL, or of this thread, exclusive, created, not barred and not used
 *      inside a scan callback (so that alloc there is seen and refused).
 *   C3 the mask of a magazine changes only between a refill sent and answered by its own thread.
 *   C4 a frame that the program gave back is in a magazine, in the deferred list, named by an open
 *      Free of a lane, or gone; never two of these.
 *   C5 after a fork the child touches no lock, no socket and no CTL of the parent's clients.
 *   C6 the numbers of call_fd and event_fd are for life; a resume puts other sockets behind them.
 *
 * Memory: all of a client is freed by close, but for struct pageclient itself (see above). */
#ifndef CLIENT_CLIENT_PRIVATE_H
#define CLIENT_CLIENT_PRIVATE_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#include <pageclient/pageclient.h>
#pragma GCC visibility pop

#include "client/purge_slot.h"
#include "client/slots.h"
#include "paged/message.h"
#include "paged/spin.h"
#include "shm/view.h"

/* How much longer than the daemon was told a caller waits for its answer: lower gives up while the
 * answer is on its way and bars the magazine, higher is how long a hung daemon is believed in. */
#define CLIENT_GRACE_MS 2000u
/* What a free waits for the daemon: lower sends more frames to the deferred list of a busy daemon's
 * clients, higher makes free block for longer when the daemon hangs. */
#define CLIENT_FREE_WAIT_MS 500u
#define CLIENT_CONNECT_MS 1000u
#define CLIENT_CALL_MS 5000u
#define CLIENT_ALLOC_MS 1000u
/* Of an encoded request; all are some numbers and one name. Lower refuses them, higher is stack. */
#define CLIENT_REQUEST_BYTES 1024u
/* Refills in a row that brought nothing because somebody stole it at once. Lower fails allocations
 * in a storm of reclaim, higher spins longer. */
#define CLIENT_REFILL_TRIES 16u
/* Rounds of running the own shrinkers for one allocation. Lower gives up while they still have
 * something, higher keeps the caller longer. */
#define CLIENT_SHRINK_ROUNDS 4u
/* Upcalls handled by one dispatch. Lower asks for more wakes, higher lets one dispatch last. */
#define CLIENT_DISPATCH_MAX 64u
/* Deferred frames moved by one slow call: lower lets the list last, higher makes one call slow. */
#define CLIENT_FLUSH_MAX 64u
#define CLIENT_ERROR_BYTES 640u
#define CLIENT_PATH_BYTES 108u /* of sockaddr_un.sun_path */
/* Connections in a row that may end under one request before it is given up: a request that kills
 * its server must not be repeated for ever. Lower fails calls while a server is killed often. */
#define CLIENT_REPEATS 64u
#define CLIENT_ALLOC_FLAGS                                                                         \
	(PAGECLIENT_ZERO | PAGECLIENT_COLD | PAGECLIENT_NOWAIT | PAGECLIENT_RECLAIMABLE |          \
	 PAGECLIENT_MAY_SHRINK)
#define MAGAZINE_NONE MAGAZINE_COUNT /* the block comes by an Alloc request */

/* --- threads and magazines --- */

struct magazine {
	uint64_t *bottom;            /* in CTL: ours */
	const struct shm_head *head; /* in META: the daemon's */
	uint32_t *slot;
	uint64_t mask;
};

/* One request under way. Lives on a stack, or in a pcp where it has to outlast a wait. */
struct rpc_call {
	uint64_t id;
	bool done;
	bool waiting;        /* its thread sleeps on cond */
	int r;               /* with done: 0 and reply is filled, or -ENOTCONN: repeat it */
	uint64_t generation; /* of the connection that it was sent on */
	pthread_cond_t cond;
	struct rpc_call *prev, *next;
	struct message_reply reply;
};

/* How long a request may take. */
struct patience {
	uint64_t answer_ms; /* for its answer, and again after each resume */
	uint64_t answer_ns; /* the same as a deadline */
	uint64_t away_ns;   /* until then a daemon that is away is waited for; 0: not at all */
};

struct lane {
	uint64_t seq;
	bool open;         /* request was sent, and its answer was not seen yet */
	uint64_t nr_ended; /* of shares, when an Import or Share was sent */
	struct message request;
	struct rpc_call call;
};

struct pcp {
	uint32_t index; /* thread index and lane */
	bool shared;
	bool created;     /* PcpCreate was answered: the heads in META may be read */
	bool refill_open; /* a refill of magazine refill_magazine is under way: it is barred */
	bool drain_open;  /* a drain is under way: no other is sent meanwhile */
	uint32_t refill_magazine;
	uint64_t shape;       /* another number when a magazine lies elsewhere, or has another mask;
				 0: not created */
	struct spin watch;    /* of top, after a ring */
	pthread_mutex_t lock; /* taken by its users if it is shared */
	struct rpc_call refill;
	struct rpc_call drain;
	struct lane lane;
	struct magazine magazine[MAGAZINE_COUNT];
	struct pcp *next_free;
};

struct member {
	_Alignas(64) struct pageclient_orders_v1 near; /* first: the TLS pointer is cast back */
	pageclient *client;
	struct pcp *pcp;
	bool is_near;   /* with the descriptor published: nothing waits for the next slow call */
	uint64_t shown; /* the shape of pcp that is in near; 0: none yet */
	struct member *next; /* of the same thread */
};

struct thread {
	struct member *members;
	pageclient *scanning; /* a callback of its caches runs in this thread */
	uint64_t scan_frames; /* frames that this thread freed since it began */
	uint64_t hello_nonce; /* of an open that did not succeed; 0: none */
	char error[CLIENT_ERROR_BYTES];
};

/* --- a client --- */

struct rpc {
	pthread_mutex_t lock;
	bool reading;        /* a leader reads the socket; buffer is its */
	uint32_t nr_polling; /* threads that wait for the socket, which stays till they left */
	pthread_cond_t left; /* nr_polling became 0 */
	bool ended;          /* the connection is gone; every call is answered -ENOTCONN */
	uint64_t generation; /* of the connection: 1, one more with each resume. Written under lock,
			      * atomic: looked at without it too */
	uint64_t last_id;
	struct rpc_call *calls;
	uint8_t *buffer;  /* MESSAGE_BYTES_MAX */
	struct spin spin; /* of a leader on the socket; its, as buffer is */
};

struct share_entry { /* a shared frame and how often this process holds it; 0: free entry */
	uint32_t pfn;
	uint32_t count;
	pageclient_slot lent; /* the slot that stands for the one reference; 0: none */
};

struct pageclient {
	/* written by open, read by all */
	struct pageclient_options options; /* with defaults filled in; its strings are not kept */
	char name[MESSAGE_NAME_BYTES];
	uint32_t id;
	uint32_t max_threads;    /* indexes; the last one is for those who share */
	uint32_t daemon_version; /* atomic, relaxed: a resume may find another one */
	uint64_t token[2];
	uint64_t instance_id;
	char socket_path[CLIENT_PATH_BYTES]; /* of the daemon that answered: where a Resume goes */
	struct shm_view view;
	char *data;
	uint64_t data_bytes; /* mapped, without the page behind */
	uint64_t data_mask;  /* bits that an offset in data may have */
	slots_write_fn *slots_write;
	uint32_t nr_frames, page_shift;
	char *ctl;
	uint64_t ctl_bytes;
	int call_fd, event_fd;
	int ctl_fd;   /* for a Resume; as long as the client */
	int epoll_fd; /* what pageclient_fd() gives */
	int wake_fd;  /* eventfd in epoll_fd: the state changed */
	int timer_fd; /* timerfd in epoll_fd: while AWAY, when to try again */
	struct private_pool *private_pool;

	/* atomics */
	uint32_t state; /* enum pageclient_state; release, pairs with client_state()'s acquire */
	uint32_t level; /* enum pageclient_level; relaxed, a number for people */
	uint32_t refs;  /* one for open, one per member */
	uint32_t closed;
	uint64_t nr_bad_free; /* refused without the daemon; relaxed */

	struct rpc rpc;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed; /* nobody is busy any more, or the state is another */
		bool busy;              /* a thread resumes: all below but event_fd is its */
		int fd;                 /* connected, Resume sent and not answered; -1: none */
		uint64_t tried_ns;      /* the last try that failed, or the resume */
		uint64_t next_ns;       /* no try before */
		uint64_t delay_ns;      /* after the next one that fails */
		uint64_t random;
		int r;        /* why the last one failed */
		int event_fd; /* new event socket, which dispatch has not taken yet; -1: none */
	} away;
	struct {
		pthread_mutex_t lock;
		struct pcp *pcp[SHM_MAX_THREADS]; /* NULL: not yet used */
		struct pcp *free;                 /* left by threads that ended */
		uint32_t nr;
	} threads;
	struct {
		pthread_mutex_t lock;
		uint32_t first; /* pfn, PFN_NONE: empty; the frame holds the next */
		uint64_t nr;    /* atomic */
	} deferred;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t idle; /* a cache is not busy any more */
		struct pageclient_cache *list;
		uint32_t last_id;
	} caches;
	struct {
		pthread_mutex_t lock;
		struct share_entry *entry; /* open addressing, a power of two */
		uint32_t capacity, nr;
		uint64_t nr_ended; /* entries, so far */
	} shares;
	struct purge_table purge;
	pthread_mutex_t dispatch_lock;
	uint32_t state_told;      /* under dispatch_lock: the last state that on_state heard of */
	uint64_t generation_told; /* under dispatch_lock: the connection that it was */
	bool events_ended;        /* under dispatch_lock */
	bool has_thread;
	int stop_fd;
	pthread_t thread;
	struct pageclient *prev, *next; /* registry of fork.c */
};

static inline enum pageclient_state client_state(const pageclient *client)
{
	/* acquire; pairs with the release in client_set_state() */
	return (enum pageclient_state)__atomic_load_n(&client->state, __ATOMIC_ACQUIRE);
}

static inline void client_set_state(pageclient *client, enum pageclient_state state)
{
	/* release; pairs with the acquire in client_state() */
	__atomic_store_n(&client->state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* error.c: the sentence of pageclient_error(). Returns r, a negative errno. */
int error_set(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What every call begins with: 0; -EOWNERDEAD after a fork; -EINVAL for NULL. */
int client_check(const pageclient *client);

/* clock.c: CLOCK_MONOTONIC. UINT32_MAX ms and UINT64_MAX ns are for ever. */
uint64_t clock_now_ns(void);
uint64_t clock_deadline_ns(uint64_t timeout_ms);
/* Waits for events on fd. 0; -ETIMEDOUT; -errno. Goes on after a signal. */
int clock_poll(int fd, short events, uint64_t deadline_ns);
/* Waits on a condition of CLOCK_MONOTONIC. 0 or -ETIMEDOUT. */
int clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);
void clock_cond_init(pthread_cond_t *cond);

/* options.c: the size rule of the header. Copies from (from_bytes long by its own size field, at
 * least min_bytes) into the whole of to, zeros for what is missing. -EINVAL, -E2BIG. */
int options_copy(void *to, size_t to_bytes, const void *from, size_t min_bytes, const char *what);

/* map.c: an address range of bytes, aligned, that nothing else gets; NULL if there is none. */
#define MAP_ALIGN (UINT64_C(1) << 30)
char *map_reserve(uint64_t bytes);

/* attach.c: finds the daemon, says Hello, and maps what comes back. 0, or -errno with the error
 * set: -ENOTCONN if nobody listens. What was made by then is in client; client_release() undoes it.
 */
int attach_open(pageclient *client, const char *socket_path);
/* The client is open: what the calling thread says Hello for next is another one. */
void attach_done(void);
/* map.c: maps META, DATA and CTL from the descriptors of a Hello reply, which stay the caller's. */
int map_attach(pageclient *client, const int *fds);
/* Unmaps all, but CTL in the child of a fork: it was never there, and its addresses may be used. */
void map_detach(pageclient *client);

/* rpc.c */
int rpc_init(struct rpc *rpc);
void rpc_done(struct rpc *rpc);
void rpc_call_init(struct rpc_call *call);
void rpc_call_done(struct rpc_call *call);
/* Answers within answer_ms; a daemon that is away is waited for for away_ms. 0: not at all. */
void patience_init(struct patience *patience, uint64_t answer_ms, uint64_t away_ms);
/* Sends request (its id is chosen here) as call, which then is under way. If the connection ended
 * first it waits for the next one. With an error nothing was sent, and call is done: -ENOTCONN,
 * -EAGAIN as client_connect(); -ETIMEDOUT the daemon does not read. */
int rpc_begin(pageclient *client, struct rpc_call *call, struct message *request,
	      struct patience *patience);
/* 0: call->reply is there. -ETIMEDOUT: call is still under way. -ENOTCONN: the connection ended,
 * before that request was answered or before it was served; also if it was never sent. */
int rpc_wait(pageclient *client, struct rpc_call *call, uint64_t deadline_ns);
/* As rpc_wait(), but then request, which is call's, is sent again on the next connection. Errors
 * are those of rpc_begin() and -ETIMEDOUT as of rpc_wait(). */
int rpc_finish(pageclient *client, struct rpc_call *call, struct message *request,
	       struct patience *patience);
/* The call is not under way any more; a reply that still comes is dropped. */
void rpc_forget(pageclient *client, struct rpc_call *call);
/* All of it, for requests that may be repeated. Returns the reply's status with the error set, or
 * -errno as above. */
int rpc_request(pageclient *client, struct message *request, uint64_t answer_ms, uint64_t away_ms,
		struct message_reply *ret_reply);
/* Sends a request to which nobody waits for the answer, if that can be done at once. */
void rpc_post(pageclient *client, struct message *request);
/* Waits, with rpc.lock held, until nobody waits for the call socket any more. Its connection has
 * ended, so they are on their way. */
void rpc_await_pollers_locked(struct rpc *rpc);
uint64_t rpc_generation(const pageclient *client);

/* rpc.c: that connection is gone, unless it is another one by now: state AWAY, every call ends
 * with -ENOTCONN, on_state will run in dispatch. */
void client_away(pageclient *client, uint64_t generation);

/* away.c */
void away_init(pageclient *client);
void client_wake(pageclient *client);
/* Waits until the daemon is back; away_ns as in struct patience. 0: CONNECTED. -EAGAIN: not until
 * then. -ENOTCONN: not to be waited for, or LOST. The error is set. */
int client_connect(pageclient *client, uint64_t away_ns);
/* While AWAY: one step towards a connection, which does not wait; and at the end of a dispatch the
 * timer is armed for the next. */
void client_resume_step(pageclient *client);
void client_resume_arm(pageclient *client);

/* resume.c, for the one thread that is busy with it. */

/* Connects and sends Resume: away.fd waits for the reply then. 0 or -errno. */
int resume_send(pageclient *client);
/* The reply is to be read. 0: CONNECTED. -ETIMEDOUT: it is not there yet. -ESTALE: LOST. Else
 * -errno, and away.fd is closed. */
int resume_receive(pageclient *client);

/* lane.c: a request that changes ownership, once and only once. pcp is the caller's (C1). Returns
 * the status with the error set. An error of rpc_finish() leaves the lane open if the request was
 * sent: the same request repeated gets its answer. */
int lane_request(pageclient *client, struct pcp *pcp, struct message *request, uint64_t answer_ms,
		 uint64_t away_ms, struct message_reply *ret_reply);
/* On an open lane: what the program gave back gets on its way again, and a block that came too late
 * goes back unless wants_block, which may be for it. Does not wait. */
void lane_poke(pageclient *client, struct pcp *pcp, bool wants_block);
/* Is the lane open with this request, sent and not answered yet? */
bool lane_is_open_with(const struct lane *lane, const struct message *request);

/* magazine.c: the owner's end of the protocol. No call; nothing here looks behind the mask. */
void magazine_attach(struct magazine *magazine, pageclient *client, uint32_t thread,
		     uint32_t number);
size_t magazine_pop(struct magazine *magazine, const pageclient *client, void **ret_frames,
		    size_t n);
/* Stops at one that is full, and at a pointer that is no frame: *ret_stop. */
enum magazine_stop { MAGAZINE_STOP_NONE, MAGAZINE_STOP_FULL, MAGAZINE_STOP_FOREIGN };
size_t magazine_push(struct magazine *magazine, const pageclient *client, void *const *frames,
		     size_t n, order_t order, enum magazine_stop *ret_stop);

/* ThreadSanitizer sees this process only. A frame that goes from one thread through the daemon to
 * another is ordered (push, steal, grant, pop: release and acquire at each), but the two links in
 * the middle are made elsewhere. A program built with it has these symbols, and pcp.c tells it. */
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

/* pcp.c */
void pcp_tell_acquired(void); /* frames came from the daemon */
void pcp_tell_released(const pageclient *client, const struct pcp *pcp); /* frames go to it */
struct pcp *pcp_new(uint32_t index, bool shared);
void pcp_done(struct pcp *pcp); /* nobody waits in it; its memory is the caller's to free */
static inline void pcp_lock(struct pcp *pcp)
{
	if (pcp->shared)
		(void)pthread_mutex_lock(&pcp->lock);
}
static inline void pcp_unlock(struct pcp *pcp)
{
	if (pcp->shared)
		(void)pthread_mutex_unlock(&pcp->lock);
}
/* For frees, which do not wait: false if another thread holds it. */
static inline bool pcp_try_lock(struct pcp *pcp)
{
	return !pcp->shared || pthread_mutex_trylock(&pcp->lock) == 0;
}
/* The magazines exist. 0; -errno with the error set. */
int pcp_create(pageclient *client, struct pcp *pcp, uint64_t answer_ms, uint64_t away_ms);
/* One PcpRefill, or the end of one: look into the magazine, and ask again if it is empty. 0;
 * -ETIMEDOUT (barred then), -EAGAIN with *ret_shrink frames wanted of the own caches, -errno. */
int pcp_refill(pageclient *client, struct pcp *pcp, uint32_t magazine, size_t n_wanted,
	       unsigned flags, uint64_t *ret_shrink);
uint32_t pcp_request_flags(unsigned flags); /* PAGECLIENT_* of an allocation to REQUEST_* */
/* One PcpDrain, or -EALREADY while one is open. */
int pcp_drain(pageclient *client, struct pcp *pcp, uint32_t magazine);
/* True if the magazine must not be touched now; looks whether the answer has come. */
bool pcp_is_barred(pageclient *client, struct pcp *pcp, uint32_t magazine);

/* thread.c. NULL: no memory. */
struct thread *thread_current(void);
/* As thread_current(), but NULL if there is none yet. */
struct thread *thread_peek(void);
int thread_init_key(void);
/* Is this thread inside a callback of client's caches? */
bool thread_is_scanning(const pageclient *client);
/* Index of the thread's magazines of client; SHM_MAX_THREADS: it has none. */
uint32_t thread_index(const struct thread *thread, const pageclient *client);
/* The calling thread's member, joined if need be. 0 or -ENOMEM. No request is sent. */
int member_enter(pageclient *client, struct member **ret_member);
/* Makes member the one that the inline path uses, if C2 lets it. */
void member_publish(struct member *member);
void client_unref(pageclient *client);

/* fork.c: all clients of the process, for the child of a fork. */
int registry_add(pageclient *client);
/* Calls visit for each client of the process, with the registry locked. */
void registry_visit(void (*visit)(pageclient *client));
void registry_remove(pageclient *client);

/* release.c: the frame that starts at an address; -EFAULT if none does. */
int client_frame_pfn(const pageclient *client, const void *frame, pfn_t *ret_pfn);
/* Is pfn the head of a block OWNED by this client? At most two loads of META. */
bool client_block(const pageclient *client, pfn_t pfn, order_t *ret_order);
/* Puts a block of this client on the deferred list. Never fails, never waits. */
void deferred_push(pageclient *client, pfn_t pfn);
/* Takes the block back that was put there last, if it is of that order; NULL if not. */
void *deferred_take(pageclient *client, order_t order);
/* Moves frames of the deferred list into magazines, or back to the daemon. */
void deferred_flush(pageclient *client, struct pcp *pcp);

/* share.c: does this process hold a reference of the frame? With shares.lock held. */
bool share_is_held(const pageclient *client, uint32_t pfn);
void share_lock(pageclient *client);
bool share_try_lock(pageclient *client);
void share_unlock(pageclient *client);
/* The one reference of pfn is lent to SLOT_SOON. -EINVAL: not held. -EBUSY: twice, or lent. */
int share_lend(pageclient *client, uint32_t pfn);
/* Lent to `from`, and only then, it is now lent to `to`; 0: the program's again. */
void share_pass(pageclient *client, uint32_t pfn, pageclient_slot from, pageclient_slot to);
/* With shares.lock held: if its slot has lost it, it ends. */
void share_forget(pageclient *client, uint32_t pfn);
int share_open(pageclient *client);
void share_close(pageclient *client);

/* cache.c: runs own shrinkers until n_frames came back. Returns frames freed by this thread. */
uint64_t cache_shrink_self(pageclient *client, uint64_t n_frames, uint64_t deadline_ns);
/* Runs one upcall; *ret_n callbacks ran. */
void cache_upcall(pageclient *client, const struct message_shrink *shrink,
		  struct message_shrink_done *ret_done, int *ret_n);
void cache_free_all(pageclient *client);
/* After a resume: what META shows of our caches and what we have becomes the same again. */
void cache_reconcile(pageclient *client);

/* dispatch.c */
int dispatch_open(pageclient *client);
/* Puts fd into, takes it out of what pageclient_fd() watches. */
int dispatch_watch(const pageclient *client, int fd, uint32_t events);
void dispatch_unwatch(const pageclient *client, int fd);
void dispatch_close(pageclient *client);
void dispatch_stop_thread(pageclient *client);

/* private.c: the same calls without a daemon. */
int private_open(pageclient *client);
void private_close(pageclient *client);
void *private_alloc(pageclient *client, order_t order); /* NULL: no room */
void private_free(pageclient *client, void *frame, order_t order);
uint64_t private_nr_owned(pageclient *client);
/* Is pfn the head of a block of the program? */
bool private_block(const pageclient *client, pfn_t pfn, order_t *ret_order);

#endif
