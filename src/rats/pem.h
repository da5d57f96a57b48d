/* PEM without a BIO: blocks of base64 between BEGIN and END lines. */
#ifndef ENG_RATS_PEM_H
#define ENG_RATS_PEM_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/span.h"

enum { PEM_BLOCK_MAX = 4 * 1024 * 1024 };

enum {
	PEM_E_END = 1,	  /* no block is left */
	PEM_E_BROKEN = 2, /* a block that does not decode, or (strict) text around it */
};

/*
 * Takes the next block: its label ("CERTIFICATE", borrowed) and its bytes (allocated, the caller
 * frees them). Strict: only line ends and NULs may stand around blocks, as in a quote; else
 * other text is skipped, as people put it into files.
 */
MUST_USE int pem_next(struct span *s, bool strict, struct span *out_label, uint8_t **out_bytes,
		      size_t *out_n);

#endif
