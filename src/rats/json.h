/*
 * Strict JSON for things that are signed: duplicate keys, trailing bytes, NULs and invalid UTF-8
 * are refused, nesting is bounded by the parser, and the exact bytes of a member can be had,
 * because a signature covers bytes and not values.
 */
#ifndef ENG_RATS_JSON_H
#define ENG_RATS_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/span.h"

/* An object or array; NULL if it is not strict JSON or memory is short. Caller: json_decref(). */
json_t *json_parse_strict(struct span text);

/*
 * The exact bytes of the value of a member of the object that `text` is; text must have passed
 * json_parse_strict(). False if there is no member written with that name (no escapes).
 */
bool json_member_slice(struct span text, const char *name, struct span *out);

/* Members with a type; false if absent, of another type or out of range. Borrowed from obj. */
bool json_text(const json_t *obj, const char *name, struct span *out);
bool json_uint(const json_t *obj, const char *name, uint64_t max, uint64_t *out);
bool json_hex(const json_t *obj, const char *name, uint8_t *out, size_t n);
bool json_time(const json_t *obj, const char *name, int64_t *out);

static inline void json_decrefp_(json_t **j)
{
	json_decref(*j);
}
#define JSON_AUTO CLEANUP(json_decrefp_) json_t *

#endif
