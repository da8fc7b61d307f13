/* client/slots.h - frames to slots and back, many at a time. */
#ifndef CLIENT_SLOTS_H
#define CLIENT_SLOTS_H
#include <stddef.h>
#include <stdint.h>

/* The addresses of the frames in n slots. data is that of pfn 0, shift log2 of the page size. */
void slots_read(const uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		void **restrict ret_frames);

/* The slots of n frames. Returns all bits that an offset of one of them from data has: what is no
 * address of a frame shows there. */
uint64_t slots_write(uint32_t *restrict slot, size_t n, const char *data, uint32_t shift,
		     void *const *restrict frames);

#endif
