/* tests/unit/test_client_purgeable.c - slots of purgeable frames as a program sees them, without a
 * daemon (PRIVATE): nothing is purged, everything else is as with one. What a purge does to them is
 * in tests/integration/test_purgeable.c. */
#include <pageclient/pageclient.h>

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define PINS_MAX 253u
#define N_SLOTS 2000u
#define N_THREADS 4u
#define N_ROUNDS 20000u

static pageclient *open_private(uint32_t max_purgeable)
{
	struct pageclient_options options;
	pageclient *client = NULL;

	PAGECLIENT_INIT(struct pageclient_options, &options);
	options.flags = PAGECLIENT_FALLBACK_PRIVATE;
	options.socket = "/nonexistent/paged.sock";
	options.max_purgeable = max_purgeable;
	CU_ASSERT_EQUAL_FATAL(pageclient_open(&options, &client), 0);
	return client;
}

static uint64_t nr_purgeable(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	return status.nr_purgeable;
}

static uint64_t nr_owned(pageclient *client)
{
	struct pageclient_status status;

	PAGECLIENT_INIT(struct pageclient_status, &status);
	CU_ASSERT_EQUAL(pageclient_read_status(client, &status), 0);
	return status.nr_owned;
}

static bool pin_fails_with(pageclient *client, pageclient_slot slot, int error)
{
	errno = 0;
	return pageclient_pin(client, slot) == NULL && errno == error;
}

static void a_slot_is_pinned_once_from_the_start(void)
{
	pageclient *client = open_private(0);
	char *frame = pageclient_alloc(client, 0, 0);
	void *taken = NULL;
	pageclient_slot slot = 0;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	CU_ASSERT_NOT_EQUAL(slot, 0);
	CU_ASSERT_EQUAL(nr_purgeable(client), 1);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot), -EBUSY);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &taken), 0);
	CU_ASSERT_PTR_EQUAL(taken, frame);
	CU_ASSERT_EQUAL(nr_purgeable(client), 0);
	CU_ASSERT_EQUAL(nr_owned(client), 1);
	pageclient_free(client, taken, 0);
	pageclient_close(client);
}

static void take_needs_the_only_pin(void)
{
	pageclient *client = open_private(0);
	void *frame = pageclient_alloc(client, 0, 0), *taken = NULL;
	pageclient_slot slot;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	CU_ASSERT_PTR_EQUAL(pageclient_pin(client, slot), frame);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &taken), -EBUSY);
	pageclient_unpin(client, slot);
	pageclient_unpin(client, slot);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &taken), -EBUSY); /* no pin */
	pageclient_unpin(client, slot); /* one too many: nothing happens */
	CU_ASSERT_PTR_EQUAL(pageclient_pin(client, slot), frame);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &taken), 0);
	CU_ASSERT_PTR_EQUAL(taken, frame);
	pageclient_close(client);
}

static void dropped_slots_are_stale_and_their_block_is_free(void)
{
	pageclient *client = open_private(0);
	pageclient_slot slot, again;
	void *taken;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 3, 0), &slot), 0);
	pageclient_unpin(client, slot);
	CU_ASSERT_EQUAL(nr_owned(client), 8);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot), 0);
	CU_ASSERT_EQUAL(nr_owned(client), 0);
	CU_ASSERT_TRUE(pin_fails_with(client, slot, ESTALE));
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot), -ESTALE);
	CU_ASSERT_EQUAL(pageclient_purgeable_take(client, slot, &taken), -ESTALE);
	/* The place is used again, and the old handle still is nobody's. */
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &again),
			0);
	CU_ASSERT_NOT_EQUAL(slot, again);
	CU_ASSERT_TRUE(pin_fails_with(client, slot, ESTALE));
	pageclient_unpin(client, slot);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, again), -EBUSY);
	CU_ASSERT_TRUE(pin_fails_with(client, 0, ESTALE));
	CU_ASSERT_TRUE(pin_fails_with(client, UINT64_MAX, ESTALE));
	pageclient_close(client);
}

static void pins_nest_up_to_253(void)
{
	pageclient *client = open_private(0);
	void *frame = pageclient_alloc(client, 0, 0);
	pageclient_slot slot;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	for (unsigned i = 1; i < PINS_MAX; i++)
		CU_ASSERT_PTR_EQUAL(pageclient_pin(client, slot), frame);
	CU_ASSERT_TRUE(pin_fails_with(client, slot, EOVERFLOW));
	for (unsigned i = 0; i < PINS_MAX; i++)
		pageclient_unpin(client, slot);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot), 0);
	pageclient_close(client);
}

static void what_is_no_block_gets_no_slot(void)
{
	pageclient *client = open_private(0);
	char *frame = pageclient_alloc(client, 1, 0);
	pageclient_slot slot;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame + 1, &slot), -EINVAL);
	CU_ASSERT_EQUAL(
		pageclient_purgeable_new(client, frame + pageclient_page_size(client), &slot),
		-EINVAL);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, &slot, &slot), -EINVAL);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, NULL, &slot), -EINVAL);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(NULL, frame, &slot), -EINVAL);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_rearm(client, slot, frame), -EEXIST);
	pageclient_close(client);
}

static void slots_are_as_many_as_were_asked_for(void)
{
	pageclient *client = open_private(3);
	pageclient_slot slot[4];

	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(
			pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &slot[i]),
			0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &slot[3]),
			-ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(pageclient_error(), "max_purgeable"));
	pageclient_unpin(client, slot[1]);
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot[1]), 0);
	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &slot[3]),
			0);
	pageclient_close(client);
}

static void many_slots_keep_their_frames_apart(void)
{
	static pageclient_slot slot[N_SLOTS];
	pageclient *client = open_private(0);

	for (unsigned i = 0; i < N_SLOTS; i++) {
		unsigned *frame = pageclient_alloc(client, 0, 0);

		*frame = i;
		CU_ASSERT_EQUAL(pageclient_purgeable_new(client, frame, &slot[i]), 0);
		pageclient_unpin(client, slot[i]);
	}
	CU_ASSERT_EQUAL(nr_purgeable(client), N_SLOTS);
	for (unsigned i = 0; i < N_SLOTS; i++) {
		const unsigned *frame = pageclient_pin(client, slot[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
		CU_ASSERT_EQUAL(*frame, i);
		pageclient_unpin(client, slot[i]);
		CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot[i]), 0);
	}
	CU_ASSERT_EQUAL(nr_owned(client), 0);
	pageclient_close(client);
}

/* --- threads --- */

struct pinner {
	pageclient *client;
	pageclient_slot slot;
	bool ok;
};

static void *pin_and_unpin(void *arg)
{
	struct pinner *pinner = arg;

	pinner->ok = true;
	for (unsigned i = 0; i < N_ROUNDS && pinner->ok; i++) {
		void *frame = pageclient_pin(pinner->client, pinner->slot);

		pinner->ok = frame != NULL;
		pageclient_unpin(pinner->client, pinner->slot);
	}
	return NULL;
}

static void threads_pin_one_slot_at_once(void)
{
	pageclient *client = open_private(0);
	struct pinner pinner[N_THREADS];
	pthread_t thread[N_THREADS];
	pageclient_slot slot;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &slot), 0);
	pageclient_unpin(client, slot);
	for (unsigned i = 0; i < N_THREADS; i++) {
		pinner[i] = (struct pinner){client, slot, false};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, pin_and_unpin, &pinner[i]),
				      0);
	}
	for (unsigned i = 0; i < N_THREADS; i++) {
		CU_ASSERT_EQUAL(pthread_join(thread[i], NULL), 0);
		CU_ASSERT_TRUE(pinner[i].ok);
	}
	CU_ASSERT_EQUAL(pageclient_purgeable_drop(client, slot), 0);
	pageclient_close(client);
}

static void a_child_may_not_pin(void)
{
	pageclient *client = open_private(0);
	pageclient_slot slot, other;
	int status = -1;
	pid_t pid;

	CU_ASSERT_EQUAL(pageclient_purgeable_new(client, pageclient_alloc(client, 0, 0), &slot), 0);
	pid = fork();
	if (pid == 0) {
		pageclient_unpin(client, slot);
		_exit(pin_fails_with(client, slot, EOWNERDEAD) &&
				      pageclient_purgeable_new(client, client, &other) ==
					      -EOWNERDEAD
			      ? 0
			      : 1);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	pageclient_close(client);
}

extern CU_TestInfo test_client_purgeable[];
CU_TestInfo test_client_purgeable[] = {
	{"a slot is pinned once from the start", a_slot_is_pinned_once_from_the_start},
	{"take needs the only pin", take_needs_the_only_pin},
	{"dropped slots are stale and their block is free",
	 dropped_slots_are_stale_and_their_block_is_free},
	{"pins nest up to 253", pins_nest_up_to_253},
	{"what is no block gets no slot", what_is_no_block_gets_no_slot},
	{"slots are as many as were asked for", slots_are_as_many_as_were_asked_for},
	{"many slots keep their frames apart", many_slots_keep_their_frames_apart},
	{"threads pin one slot at once", threads_pin_one_slot_at_once},
	{"a child may not pin", a_child_may_not_pin},
	CU_TEST_INFO_NULL,
};
