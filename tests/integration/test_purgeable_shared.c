/* tests/integration/test_purgeable_shared.c - shared frames in purgeable slots: the slot stands for
 * this process's reference, and the frame may come back by another way after the purge. */
#include "tests/integration/fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

extern CU_TestInfo test_purgeable_shared[];

#define FRAMES 8192u
static const char config[] = "[segment]\nsize = 32M\n[pcp]\nbatch = 16\n";

/* The purge drops this process's reference, the other keeps its. */
static void a_shared_frame_loses_one_reference(void)
{
	pageclient *one, *two;
	pageclient_slot slot;
	struct fixture f;
	uint64_t handle;
	uint64_t *frame;
	void *seen, *again;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	one = fixture_client(&f, "one");
	two = fixture_client(&f, "two");
	frame = pageclient_alloc(one, 0, 0);
	frame[0] = 77;
	CU_ASSERT_EQUAL(pageclient_share(one, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_import(two, handle, &seen, NULL), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(one, frame, &slot), 0);
	CU_ASSERT_EQUAL(pageclient_put(one, frame), -EBUSY);
	CU_ASSERT_EQUAL(pageclient_share(one, frame, &handle), -EBUSY);
	CU_ASSERT_EQUAL(pageclient_import(one, handle, &again, NULL), -EBUSY);
	pageclient_unpin(one, slot);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_PTR_NULL(pageclient_pin(one, slot));
	CU_ASSERT_EQUAL(errno, ENODATA);
	CU_ASSERT_EQUAL(fixture_status(one).nr_shared, 0);
	CU_ASSERT_EQUAL(*(uint64_t *)seen, 77);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(one, slot), 0);
	CU_ASSERT_EQUAL(pageclient_import(one, handle, &again, NULL), 0);
	CU_ASSERT_EQUAL(pageclient_put(one, again), 0);
	CU_ASSERT_EQUAL(pageclient_put(two, seen), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(one);
	pageclient_close(two);
	fixture_close(&f);
}

/* What was purged of this process may come back to it as a frame like any other, by alloc or by
 * import, while the slot still remembers it. */
static void a_purged_shared_frame_can_be_had_again(void)
{
	pageclient *one, *two;
	pageclient_slot slot, other;
	struct fixture f;
	uint64_t handle;
	void *frame, *seen, *again;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	one = fixture_client(&f, "one");
	two = fixture_client(&f, "two");
	frame = pageclient_alloc(one, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(one, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_import(two, handle, &seen, NULL), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(one, frame, &slot), 0);
	pageclient_unpin(one, slot);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_PTR_NULL(pageclient_pin(one, slot));
	/* The other's handle is good, and the slot has nothing of it any more. */
	CU_ASSERT_EQUAL(pageclient_import(one, handle, &again, NULL), 0);
	CU_ASSERT_PTR_EQUAL(again, frame);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(one, again, &other), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(one, slot), 0);
	/* The end of the old slot is not the new one's affair. */
	CU_ASSERT_EQUAL(pageclient_put(one, again), -EBUSY);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(one, other, &again), 0);
	CU_ASSERT_EQUAL(pageclient_put(one, again), 0);
	CU_ASSERT_EQUAL(pageclient_put(two, seen), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(one);
	pageclient_close(two);
	fixture_close(&f);
}

/* The block that a re-arm brings is the very one that was purged: first it was shared, now owned.
 */
static void a_purged_shared_frame_rearms_its_slot(void)
{
	pageclient_slot slot;
	pageclient *client;
	struct fixture f;
	uint64_t handle;
	void *frame, *again = NULL;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	client = fixture_client(&f, "one");
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	pageclient_unpin(client, slot);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_PTR_NULL(pageclient_pin(client, slot));
	for (uint32_t i = 0; i < FRAMES && again != frame; i++)
		again = pageclient_alloc(client, 0, 0);
	CU_ASSERT_PTR_EQUAL_FATAL(again, frame);
	CU_ASSERT_EQUAL(pageclient_purgeable_rearm(client, slot, frame), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &again), 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_put(client, frame), 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(client);
	fixture_close(&f);
}

struct caller {
	pthread_t thread;
	pageclient *client;
	pageclient_slot slot;
	void *frame;
	uint32_t to; /* client */
	uint64_t handle;
	int r;
};

static void *call_share(void *arg)
{
	struct caller *caller = arg;

	caller->r = pageclient_share(caller->client, caller->frame, &caller->handle);
	return NULL;
}

static void *call_transfer(void *arg)
{
	struct caller *caller = arg;

	caller->r = pageclient_transfer(caller->client, caller->frame, caller->to, &caller->handle);
	return NULL;
}

static void *call_drop(void *arg)
{
	struct caller *caller = arg;

	caller->r = pageclient_purgeable_drop(caller->client, caller->slot);
	return NULL;
}

/* Starts it, and gives it time to get as far as it gets. */
static void call(struct caller *caller, void *(*function)(void *))
{
	CU_ASSERT_EQUAL_FATAL(pthread_create(&caller->thread, NULL, function, caller), 0);
	(void)poll(NULL, 0, 50);
}

/* What was purged came back as a frame like any other, and is given away while another thread drops
 * the slot that it was purged from. The share keeps both waiting, in this order. */
static void a_slot_that_ends_does_not_claim_what_it_lost(void)
{
	struct caller share, transfer, drop;
	pageclient *client, *two;
	pageclient_slot slot;
	struct fixture f;
	uint64_t handle;
	void *frame, *again = NULL;
	pid_t server;

	CU_ASSERT_TRUE(fixture_open(&f, config));
	server = fixture_server(&f); /* while it answers */
	client = fixture_client(&f, "one");
	two = fixture_client(&f, "two");
	share = (struct caller){.client = client, .frame = pageclient_alloc(client, 0, 0)};
	frame = pageclient_alloc(client, 0, 0);
	CU_ASSERT_EQUAL(pageclient_share(client, frame, &handle), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	pageclient_unpin(client, slot);
	CU_ASSERT_TRUE(fixture_reclaim(&f, "8192"));
	CU_ASSERT_PTR_NULL(pageclient_pin(client, slot));
	for (uint32_t i = 0; i < FRAMES && again != frame; i++)
		again = pageclient_alloc(client, 0, 0);
	CU_ASSERT_PTR_EQUAL_FATAL(again, frame);
	transfer = (struct caller){
		.client = client, .frame = frame, .to = fixture_status(two).client_id};
	drop = (struct caller){.client = client, .slot = slot};
	CU_ASSERT_EQUAL(kill(server, SIGSTOP), 0);
	call(&share, call_share);
	call(&transfer, call_transfer);
	call(&drop, call_drop);
	CU_ASSERT_EQUAL(kill(server, SIGCONT), 0);
	(void)pthread_join(share.thread, NULL);
	(void)pthread_join(transfer.thread, NULL);
	(void)pthread_join(drop.thread, NULL);
	CU_ASSERT_EQUAL(share.r, 0);
	CU_ASSERT_EQUAL(transfer.r, 0);
	CU_ASSERT_EQUAL(drop.r, 0);
	CU_ASSERT_TRUE(fixture_check(&f));
	pageclient_close(two);
	pageclient_close(client);
	fixture_close(&f);
}

CU_TestInfo test_purgeable_shared[] = {
	{"a shared frame loses one reference", a_shared_frame_loses_one_reference},
	{"a purged shared frame can be had again", a_purged_shared_frame_can_be_had_again},
	{"a purged shared frame rearms its slot", a_purged_shared_frame_rearms_its_slot},
	{"a slot that ends does not claim what it lost",
	 a_slot_that_ends_does_not_claim_what_it_lost},
	CU_TEST_INFO_NULL,
};
