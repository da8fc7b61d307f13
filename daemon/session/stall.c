/* daemon/session/stall.c - who waits for frames, and for how long: PSI (daemon/core/psi.h).
 *
 *   a parked request changes its condition  ->  stall_follow()   who is stalled, and since when
 *   each step begins                        ->  stall_account()  the time since the last one
 *   each step ends                          ->  stall_met()      whose requests were met: is
 * anybody else active? a tick                                  ->  stall_tick()     the averages,
 * and META
 *
 * Who is stalled changes inside a step only, so all the time between two steps belongs to the same
 * states, but for `full`: it begins when the last of the others has been idle for PSI_ACTIVE_NS,
 * which is computed and not waited for. With nobody stalled a step costs one comparison. */
#include "daemon/session/session_private.h"

#include "paged/bits.h"

static bool is_full_of_client(const struct session *session, client_id client)
{
	uint32_t threads = pool_client(session->pool, client)->nr_threads;

	return session->stall.nr_of[client] >= bits_max(threads, 1);
}

/* Brings the client's own totals up to now. */
static void account_client(struct session *session, client_id client)
{
	struct stall_client *c = &session->stall.client[client];
	uint64_t ns = session->now_ns - c->since_ns;

	c->since_ns = session->now_ns;
	if (session->stall.nr_of[client] == 0)
		return;
	psi_add(&c->psi, SHM_PSI_SOME, ns);
	if (is_full_of_client(session, client))
		psi_add(&c->psi, SHM_PSI_FULL, ns);
	psi_publish(&c->psi, &pool_client(session->pool, client)->psi);
}

/* Of the time up to now, how much was full. */
static uint64_t full_ns(const struct stall *stall, uint64_t now_ns)
{
	uint64_t from = stall->since_ns;

	if (stall->nr_clients == 0)
		return 0;
	if (stall->active_ns)
		from = bits_max(from, stall->active_ns + PSI_ACTIVE_NS);
	return now_ns > from ? now_ns - from : 0;
}

static void add(struct psi *psi, uint64_t some, uint64_t full, struct shm_psi *to)
{
	psi_add(psi, SHM_PSI_SOME, some);
	psi_add(psi, SHM_PSI_FULL, full);
	psi_publish(psi, to);
}

void stall_account(struct session *session)
{
	struct shm_meta_header *meta = pool_meta(session->pool);
	struct stall *stall = &session->stall;
	uint64_t some = session->now_ns - stall->since_ns;
	uint64_t full = full_ns(stall, session->now_ns);

	stall->since_ns = session->now_ns;
	if (stall->nr_clients == 0 || some == 0)
		return;
	add(&stall->all, some, full, &meta->psi);
	for (uint32_t z = 0; z < meta->nr_zones; z++)
		if (stall->nr_in_zone[z])
			add(&stall->zone[z], some, full, &pool_zone(session->pool, z)->psi);
}

void stall_begin(struct session *session)
{
	struct shm_meta_header *meta = pool_meta(session->pool);
	struct stall *stall = &session->stall;

	stall->since_ns = session->now_ns;
	psi_init(&stall->all, &meta->psi, session->now_ns);
	for (uint32_t z = 0; z < meta->nr_zones; z++)
		psi_init(&stall->zone[z], &pool_zone(session->pool, z)->psi, session->now_ns);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(session->pool, id))
			stall_attached(session, id);
}

void stall_attached(struct session *session, client_id client)
{
	struct stall_client *c = &session->stall.client[client];

	c->since_ns = session->now_ns;
	psi_init(&c->psi, &pool_client(session->pool, client)->psi, session->now_ns);
	session->stall.met_ns[client] = 0;
}

/* When one of those who are not stalled last had a request met; 0: never. */
static uint64_t last_met(const struct stall *stall)
{
	uint64_t last = 0;

	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (stall->nr_of[id] == 0)
			last = bits_max(last, stall->met_ns[id]);
	return last;
}

static void count_zones(struct session *session, order_t order, int32_t n)
{
	uint32_t nr_zones = pool_meta(session->pool)->nr_zones;

	for (uint32_t z = 0; z < nr_zones; z++) {
		const struct shm_zone *zone = pool_zone(session->pool, z);

		if ((zone->end_pfn - zone->start_pfn) >> order)
			session->stall.nr_in_zone[z] += (uint32_t)n;
	}
}

static void change(struct session *session, const struct parked *request, int32_t n)
{
	struct stall *stall = &session->stall;
	uint32_t *nr = &stall->nr_of[request->client];

	account_client(session, request->client);
	PAGED_CHECK(n > 0 || *nr > 0);
	*nr += (uint32_t)n;
	count_zones(session, park_order(request), n);
	if (n > 0 && *nr == 1) {
		stall->nr_clients++;
		stall->active_ns = last_met(stall);
	} else if (*nr == 0) {
		stall->nr_clients--;
		stall->active_ns = bits_max(stall->active_ns, stall->met_ns[request->client]);
	}
}

void stall_follow(struct session *session, struct parked *request)
{
	bool stalls = request->condition == POOL_NO_FRAMES;

	if (stalls == request->stalls)
		return;
	request->stalls = stalls;
	change(session, request, stalls ? 1 : -1);
}

void stall_leave(struct session *session, struct parked *request)
{
	if (!request->stalls)
		return;
	request->stalls = false;
	change(session, request, -1);
}

void stall_met(struct session *session)
{
	struct stall *stall = &session->stall;

	for (uint32_t i = 0; i < session->actions->n; i++) {
		const struct session_action *action = &session->actions->item[i];
		client_id client;

		if (action->kind != ACTION_SEND || action->message.reply.status < 0)
			continue;
		client = session->connection[action->conn].client;
		if (client == CLIENT_NONE)
			continue;
		stall->met_ns[client] = session->now_ns;
		if (stall->nr_of[client] == 0)
			stall->active_ns = session->now_ns;
	}
}

static void tick_client(struct session *session, client_id client)
{
	struct stall_client *c = &session->stall.client[client];

	account_client(session, client);
	if (psi_update(&c->psi, session->now_ns))
		psi_publish(&c->psi, &pool_client(session->pool, client)->psi);
}

void stall_tick(struct session *session)
{
	struct shm_meta_header *meta = pool_meta(session->pool);
	struct stall *stall = &session->stall;

	if (psi_update(&stall->all, session->now_ns))
		psi_publish(&stall->all, &meta->psi);
	for (uint32_t z = 0; z < meta->nr_zones; z++)
		if (psi_update(&stall->zone[z], session->now_ns))
			psi_publish(&stall->zone[z], &pool_zone(session->pool, z)->psi);
	for (client_id id = 1; id <= SHM_MAX_CLIENTS; id++)
		if (pool_client_is_attached(session->pool, id))
			tick_client(session, id);
}

uint64_t session_stalled_ns(const struct session *session, enum shm_psi_kind kind, uint64_t now_ns)
{
	const struct stall *stall = &session->stall;
	uint64_t total = stall->all.total_ns[kind];

	if (stall->nr_clients == 0 || now_ns <= stall->since_ns)
		return total;
	return total + (kind == SHM_PSI_FULL ? full_ns(stall, now_ns) : now_ns - stall->since_ns);
}

bool session_is_stalled(const struct session *session)
{
	return session->stall.nr_clients > 0;
}
