/* tests/fuzz/fuzz.h - what a fuzz target is: one function over bytes.
 *
 * With clang's libFuzzer (preset fuzz) it is driven by coverage; in every other build replay.c
 * feeds it the corpus, so that what was found once stays found. A target may crash for a defect
 * only: it makes every input mean something. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Takes numbers off the front of an input; 0 when it is used up. */
struct fuzz_input {
	const uint8_t *at, *end;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static inline uint64_t fuzz_number(struct fuzz_input *input, unsigned n_bytes)
{
	uint64_t n = 0;

	while (n_bytes--)
		n = n << 8 | fuzz_byte(input);
	return n;
}

#endif
