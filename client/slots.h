/* client/slots.h - frames to slots and back, many at a time. */
#ifndef CLIENT_SLOTS_H
#define CLIENT_SLOTS_H
#include <stddef.h>
#include <stdint.h>

/* The addresses of the frames in n slots. data is that of pfn 0, shift log2 of the page size. */
void slots_read(const uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		void **restrict ret_frames);

/* The slots of n frames. Returns all bits that an offset of one of them from data has, so what is
 * no address of a frame shows there; but for those that lie behind nr_frames, and have no bit that
 * an offset of no frame has. For these there is SLOTS_BEYOND. */
typedef uint64_t slots_write_fn(uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
				void *const *restrict frames, uint32_t nr_frames);
#define SLOTS_BEYOND (UINT64_C(1) << 63)
/* The one for segments of that size. Where it is a power of two there is no SLOTS_BEYOND to look
 * for: all bits say it. */
slots_write_fn *slots_writer(uint32_t nr_frames);

#endif
