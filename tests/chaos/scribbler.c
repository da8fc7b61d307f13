/* tests/chaos/scribbler.c - see hostile.h. */
#include "tests/chaos/hostile.h"
#include "tests/chaos/wire.h"

#include "shm/layout.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 4u
#define PFNS (1u << 16)  /* most are frames of somebody, some are none */
#define FRAMES_MAX 2048u /* own limit: it is to hurt by lies, not by greed */

struct scribbler {
	struct board *board;
	uint64_t random;
	int fd;
	int ctl_fd;
	char *ctl;
	uint64_t ctl_bytes;
	uint64_t id;
	uint64_t seq[SHM_MAX_LANES];
	struct message last;
};

static void say_hello(struct scribbler *s)
{
	s->last = (struct message){.kind = MESSAGE_HELLO,
				   .id = ++s->id,
				   .hello = {.version_min = PROTOCOL_VERSION,
					     .version_max = PROTOCOL_VERSION,
					     .max_threads = THREADS,
					     .max_frames = FRAMES_MAX,
					     .name = "scribbler"}};
}

/* False: there is no daemon now, or it wants no more of us. */
static bool attach(struct scribbler *s)
{
	int fds[MESSAGE_FDS_MAX] = {-1, -1, -1, -1};
	struct message reply;
	bool attached;

	s->fd = wire_connect(s->board->socket);
	if (s->fd < 0)
		return false;
	say_hello(s);
	attached = wire_send(s->fd, &s->last) &&
		   wire_receive(s->fd, &reply, fds, (int)CHAOS_PATIENCE_MS) == 1 &&
		   reply.kind == MESSAGE_REPLY && reply.reply.status == 0 && fds[2] >= 0;
	s->ctl_fd = fds[2];
	s->ctl_bytes = shm_ctl_purge_offset(THREADS);
	if (attached) {
		s->ctl = mmap(NULL, s->ctl_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->ctl_fd, 0);
		attached = s->ctl != MAP_FAILED;
	}
	return attached; /* the others of fds are left open: nobody dispatches its upcalls */
}

/* --- CTL ------------------------------------------------------------------------------------ */

static void scribble_bottom(struct scribbler *s)
{
	uint32_t thread = chaos_below(&s->random, THREADS);
	uint32_t magazine = chaos_below(&s->random, MAGAZINE_COUNT);
	uint64_t *bottom = (uint64_t *)(void *)(s->ctl + shm_ctl_bottom_offset(thread, magazine));
	uint64_t value = *bottom;

	switch (chaos_below(&s->random, 8)) {
	case 0:
		value = chaos_random(&s->random);
		break;
	case 1:
		value = 0;
		break;
	case 2:
		value += chaos_below(&s->random, 1u << 20);
		break;
	case 3:
		value -= chaos_below(&s->random, 1u << 20);
		break;
	default: /* what could be true: not noticed at once */
		value += chaos_below(&s->random, 9) - 4u;
		break;
	}
	__atomic_store_n(bottom, value, __ATOMIC_RELEASE); /* pairs with the daemon's acquire */
}

static void scribble_slots(struct scribbler *s)
{
	uint32_t thread = chaos_below(&s->random, THREADS);
	uint32_t magazine = chaos_below(&s->random, MAGAZINE_COUNT);
	uint32_t *slot = (uint32_t *)(void *)(s->ctl + shm_ctl_slots_offset(thread, magazine));
	uint32_t n = magazine_slots_first(magazine);

	for (uint32_t i = chaos_below(&s->random, 32); i-- > 0;) {
		uint32_t at = chaos_below(&s->random, n);
		uint32_t value = chaos_below(&s->random, PFNS);

		if (chaos_below(&s->random, 4) == 0)
			value = slot[chaos_below(&s->random, n)]; /* one of its own, twice */
		if (chaos_below(&s->random, 64) == 0)
			value = (uint32_t)chaos_random(&s->random);
		slot[at] = value;
	}
}

static void punch(const struct scribbler *s, uint64_t *random)
{
	uint64_t pages = s->ctl_bytes / SHM_PAGE;
	off_t at = (off_t)(chaos_below(random, (uint32_t)pages) * (uint64_t)SHM_PAGE);

	(void)fallocate(s->ctl_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			SHM_PAGE * (1 + (off_t)chaos_below(random, 16)));
}

static void scribble(struct scribbler *s)
{
	uint32_t dice = chaos_below(&s->random, 64);

	if (dice < 4)
		scribble_bottom(s);
	else if (dice < 60)
		scribble_slots(s);
	else if (dice < 61)
		memset(s->ctl + chaos_below(&s->random, (uint32_t)(s->ctl_bytes - SHM_PAGE)),
		       (int)dice, SHM_PAGE);
	else
		punch(s, &s->random);
	board_add(&s->board->count.scribbles, 1);
}

/* --- requests ------------------------------------------------------------------------------- */

static uint32_t some_pfn(struct scribbler *s)
{
	return chaos_below(&s->random, 50) ? chaos_below(&s->random, PFNS)
					   : (uint32_t)chaos_random(&s->random);
}

/* A lane and its next number, mostly. */
static uint32_t some_lane(struct scribbler *s, uint64_t *ret_seq)
{
	uint32_t lane = chaos_below(&s->random, SHM_MAX_LANES + 1);

	*ret_seq = chaos_random(&s->random);
	if (lane < SHM_MAX_LANES && chaos_below(&s->random, 16))
		*ret_seq = ++s->seq[lane];
	return lane;
}

static void make_lane_request(struct scribbler *s, struct message *m)
{
	uint64_t seq;
	uint32_t lane = some_lane(s, &seq);

	switch (chaos_below(&s->random, 5)) {
	case 0:
		m->kind = MESSAGE_ALLOC;
		m->alloc = (struct message_alloc){lane, seq, chaos_below(&s->random, 20), 0, 10};
		break;
	case 1:
		m->kind = MESSAGE_FREE;
		m->free = (struct message_free){lane, seq, some_pfn(s), chaos_below(&s->random, 4)};
		break;
	case 2:
		m->kind = MESSAGE_SHARE;
		m->share =
			(struct message_share){lane, seq, some_pfn(s), chaos_below(&s->random, 16)};
		break;
	case 3:
		m->kind = MESSAGE_IMPORT;
		m->import = (struct message_import){
			lane, seq, (uint64_t)some_pfn(s) << 32 | chaos_below(&s->random, 8)};
		break;
	default:
		m->kind = MESSAGE_PUT;
		m->put = (struct message_put){lane, seq, some_pfn(s)};
		break;
	}
}

static void make_request(struct scribbler *s)
{
	struct message *m = &s->last;
	uint32_t dice = chaos_below(&s->random, 32);

	*m = (struct message){.id = ++s->id};
	if (dice < 12) {
		make_lane_request(s, m);
	} else if (dice < 22) {
		m->kind = MESSAGE_PCP_REFILL;
		m->pcp_refill =
			(struct message_pcp_refill){chaos_below(&s->random, THREADS + 1),
						    chaos_below(&s->random, MAGAZINE_COUNT + 1),
						    chaos_below(&s->random, 200), 0, 10};
	} else if (dice < 27) {
		m->kind = MESSAGE_PCP_DRAIN;
		m->pcp_drain = (struct message_pcp_drain){chaos_below(&s->random, THREADS + 1),
							  chaos_below(&s->random, MAGAZINE_COUNT)};
	} else if (dice < 31) {
		m->kind = MESSAGE_PCP_CREATE;
		m->pcp_create.thread = chaos_below(&s->random, THREADS + 1);
	} else {
		m->kind = MESSAGE_RESUME;
		m->resume = (struct message_resume){.version_min = PROTOCOL_VERSION,
						    .version_max = PROTOCOL_VERSION,
						    .client = chaos_below(&s->random, 16)};
	}
}

int scribbler_run(struct board *board, uint32_t number, uint32_t incarnation)
{
	struct scribbler s = {.board = board,
			      .random = chaos_seed(board->seed, 1000 + number, incarnation)};
	bool connected = attach(&s);

	if (!connected)
		board_wait(board, CHAOS_RUN, 20);
	while (connected && board_phase(board) != CHAOS_STOP) {
		struct message reply;
		int came = 1;

		for (uint32_t n = chaos_below(&s.random, 16); n-- > 0;)
			scribble(&s);
		make_request(&s);
		(void)wire_send(s.fd, &s.last);
		for (uint32_t n = 0; n < 16 && came == 1; n++)
			came = wire_receive(s.fd, &reply, NULL, 1);
		connected = came != 0;
	}
	if (!connected)
		board_add(&board->count.scribblers, 1);
	return 0;
}
