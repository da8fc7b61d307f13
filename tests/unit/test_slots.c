/* tests/unit/test_slots.c - client/slots.h: whatever loop the loader chose, it copies as the plain
 * one would, for each number of frames and wherever the slots begin. */
#include "client/slots.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define MOST 70u
#define SHIFT 12u
#define ANY 1u /* frames of a segment that is not asked for its end */
#define UNTOUCHED 0xa5a5a5a5u

static char *const data = (char *)(uintptr_t)(UINT64_C(5) << 40); /* never touched */

static uint32_t pfn_of(size_t i)
{
	return (uint32_t)(i * 2654435761u); /* all 32 bits of it are used */
}

static void *frame_of(size_t i)
{
	return (void *)((uintptr_t)data + ((uintptr_t)pfn_of(i) << SHIFT));
}

static void slots_of_any_number_become_frames(void)
{
	uint32_t slot[MOST + 8];
	void *frame[MOST + 8];

	for (size_t begin = 0; begin < 8; begin++) {
		for (size_t n = 0; n < MOST; n++) {
			for (size_t i = 0; i < n; i++)
				slot[begin + i] = pfn_of(i);
			memset(frame, 0, sizeof(frame));
			slots_read(slot + begin, n, data, SHIFT, frame);
			for (size_t i = 0; i < n; i++)
				CU_ASSERT_PTR_EQUAL(frame[i], frame_of(i));
			CU_ASSERT_PTR_NULL(frame[n]);
		}
	}
}

static void frames_of_any_number_become_slots(void)
{
	uint32_t slot[MOST + 16];
	void *frame[MOST];

	for (size_t begin = 1; begin < 9; begin++) {
		for (size_t n = 0; n < MOST; n++) {
			uint64_t offsets = 0;

			for (size_t i = 0; i < n; i++) {
				frame[i] = frame_of(i);
				offsets |= (uint64_t)pfn_of(i) << SHIFT;
			}
			memset(slot, 0xa5, sizeof(slot));
			CU_ASSERT_EQUAL(slots_writer(ANY)(slot + begin, n, data, SHIFT, frame, ANY),
					offsets);
			for (size_t i = 0; i < n; i++)
				CU_ASSERT_EQUAL(slot[begin + i], pfn_of(i));
			CU_ASSERT_EQUAL(slot[begin - 1], UNTOUCHED);
			CU_ASSERT_EQUAL(slot[begin + n], UNTOUCHED);
		}
	}
}

/* Wherever it is among the others. */
static void what_is_no_frame_shows_in_the_bits(void)
{
	uint32_t slot[MOST];
	void *frame[MOST];

	for (size_t wrong = 0; wrong < MOST; wrong++) {
		for (size_t i = 0; i < MOST; i++)
			frame[i] = frame_of(i);
		frame[wrong] = NULL;
		CU_ASSERT_EQUAL(slots_writer(ANY)(slot, MOST, data, SHIFT, frame, ANY) >> 63, 1);
		frame[wrong] = (char *)frame_of(wrong) + 64;
		CU_ASSERT_EQUAL(slots_writer(ANY)(slot, MOST, data, SHIFT, frame, ANY) & 4095u, 64);
	}
}

/* Of a size that is no power of two. */
static void what_lies_behind_is_found_wherever_it_is(void)
{
	const uint32_t nr_frames = 3u << 20;
	slots_write_fn *write = slots_writer(nr_frames);
	uint32_t slot[MOST + 8];
	void *frame[MOST];

	for (size_t n = 1; n < MOST; n++) {
		for (size_t wrong = 0; wrong < n; wrong++) {
			for (size_t i = 0; i < n; i++)
				frame[i] = data + ((uint64_t)(nr_frames - 1 - i) << SHIFT);
			CU_ASSERT_EQUAL(write(slot, n, data, SHIFT, frame, nr_frames) >> 34, 0);
			CU_ASSERT_EQUAL(slot[n - 1], nr_frames - n);
			frame[wrong] = data + ((uint64_t)(nr_frames + wrong) << SHIFT);
			CU_ASSERT_EQUAL(write(slot, n, data, SHIFT, frame, nr_frames) >> 34,
					SLOTS_BEYOND >> 34);
			CU_ASSERT_EQUAL(slot[wrong], nr_frames + wrong);
		}
	}
}

CU_TestInfo test_slots[] = {
	{"slots_of_any_number_become_frames", slots_of_any_number_become_frames},
	{"frames_of_any_number_become_slots", frames_of_any_number_become_slots},
	{"what_is_no_frame_shows_in_the_bits", what_is_no_frame_shows_in_the_bits},
	{"what_lies_behind_is_found_wherever_it_is", what_lies_behind_is_found_wherever_it_is},
	CU_TEST_INFO_NULL,
};
