/* tests/unit/test_slots.c - client/slots.h: whatever loop the loader chose, it copies as the plain
 * one would, for each number of frames and wherever the slots begin. */
#include "client/slots.h"

#include <CUnit/CUnit.h>
#include <string.h>

#define MOST 70u
#define SHIFT 12u
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
			CU_ASSERT_EQUAL(slots_write(slot + begin, n, data, SHIFT, frame), offsets);
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
		CU_ASSERT_EQUAL(slots_write(slot, MOST, data, SHIFT, frame) >> 63, 1);
		frame[wrong] = (char *)frame_of(wrong) + 64;
		CU_ASSERT_EQUAL(slots_write(slot, MOST, data, SHIFT, frame) & 4095u, 64);
	}
}

CU_TestInfo test_slots[] = {
	{"slots_of_any_number_become_frames", slots_of_any_number_become_frames},
	{"frames_of_any_number_become_slots", frames_of_any_number_become_slots},
	{"what_is_no_frame_shows_in_the_bits", what_is_no_frame_shows_in_the_bits},
	CU_TEST_INFO_NULL,
};
