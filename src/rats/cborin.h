/*
 * The heads of definite-length CBOR, as a cursor: what evidence and bundles need. Indefinite
 * lengths, non-shortest heads of tags and lengths, floats and simple values are refused.
 */
#ifndef ENG_RATS_CBORIN_H
#define ENG_RATS_CBORIN_H

#include <stdint.h>

#include "base/span.h"

enum cbor_major {
	CBOR_UINT = 0,
	CBOR_NEGINT = 1,
	CBOR_BYTES = 2,
	CBOR_TEXT = 3,
	CBOR_ARRAY = 4,
	CBOR_MAP = 5,
	CBOR_TAG = 6,
};

struct cbor_item {
	enum cbor_major major;
	uint64_t value;	   /* number, count of elements or pairs, tag */
	struct span bytes; /* of a byte or text string */
};

/* The next head, with its bytes if it is a string; false, and s unchanged, if there is none. */
MUST_USE bool cbor_take(struct span *s, struct cbor_item *out);
/* The same, but a head may be longer than it need be. */
MUST_USE bool cbor_take_lax(struct span *s, struct cbor_item *out);
MUST_USE bool cbor_take_bytes(struct span *s, struct span *out);
/* An element with all that is in it; nesting is bounded. */
MUST_USE bool cbor_skip(struct span *s);
void cbor_put_head(struct wspan *w, enum cbor_major major, uint64_t value);
void cbor_put_bytes(struct wspan *w, struct span bytes);

#endif
