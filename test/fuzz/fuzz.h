/* What every fuzz target has in common. A target aborts when a promise of the code is broken. */
#ifndef ENG_TEST_FUZZ_H
#define ENG_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Like assert(), but in every build. */
static inline void must(bool promise)
{
	if (!promise)
		abort();
}

#endif
