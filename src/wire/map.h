/*
 * What all control frames have in common: the type byte, then one CBOR map whose keys are unsigned
 * integers in strictly ascending order (which makes a duplicate impossible), of which a set must be
 * there, and nothing behind it. For the files of wire/ alone.
 */
#ifndef ENG_WIRE_MAP_H
#define ENG_WIRE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/frame.h"

enum { MAP_E_UNKNOWN = 1000 /* what a field function says of a key that its format has not */ };

/* Takes the value of a key off *in into the format's struct: 0, CONTROL_E_* or MAP_E_UNKNOWN. */
typedef int (*map_field_fn)(struct span *in, uint64_t key, void *out);

bool map_is(struct span body, enum frame_type type);
/* A body of at most max bytes whose keys 0 to n_keys-1 must all be there. 0 or CONTROL_E_*. */
MUST_USE int map_parse(struct span body, size_t max, unsigned n_keys, map_field_fn field,
		       void *out);

/*
 * Writes room for the head, the type byte and the map's head into buf (size bytes, of which head
 * and max bytes of body are used at most); map_put_end() fills in the length: 0 or -EMSGSIZE.
 */
struct wspan map_put_begin(uint8_t *buf, size_t size, size_t max, enum frame_type type,
			   size_t n_keys);
MUST_USE int map_put_end(struct wspan *w, size_t *out_n);

#endif
