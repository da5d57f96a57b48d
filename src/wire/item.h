/*
 * CBOR (RFC 8949) one data item at a time, over libcbor's streaming coder: nothing is allocated,
 * whatever length an item claims, and nothing is read beyond the span.
 *
 * Definite lengths only. The integers of the formats here are unsigned.
 */
#ifndef ENG_WIRE_ITEM_H
#define ENG_WIRE_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
	ITEM_DEPTH_MAX = 8, /* of what item_skip() walks over: more than a sane extension nests */
};

/* Each takes one item off *in if it is of the kind asked for; else false, and *in is unchanged. */
MUST_USE bool item_uint(struct span *in, uint64_t max, uint64_t *out);
MUST_USE bool item_bytes(struct span *in, struct span *out); /* borrowed from *in */
MUST_USE bool item_text(struct span *in, struct span *out);  /* not checked for UTF-8 */
MUST_USE bool item_array(struct span *in, uint64_t *out_n);  /* its n items follow */
MUST_USE bool item_map(struct span *in, uint64_t *out_n);    /* its n pairs follow */
/* Walks over one item of any kind, with what it contains. */
MUST_USE bool item_skip(struct span *in);

/* The reverse, in the shortest form. */
void item_put_uint(struct wspan *w, uint64_t v);
void item_put_bytes(struct wspan *w, const void *bytes, size_t n);
void item_put_text(struct wspan *w, const char *text);
void item_put_array(struct wspan *w, size_t n);
void item_put_map(struct wspan *w, size_t n);

#endif
