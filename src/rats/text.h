/* Hex, base64 and RFC 3339 times: text of bounded length to bytes and back. */
#ifndef ENG_RATS_TEXT_H
#define ENG_RATS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/span.h"

/* Exactly n bytes from exactly 2n hex digits of either case; out is scratch when it returns false.
 */
MUST_USE bool hex_parse(struct span text, uint8_t *out, size_t n);
/* Lower case and a NUL; cut with "..." when out (size bytes) is too small. Returns out. */
const char *hex_format(struct span bytes, char *out, size_t size);
/* base64 or base64url, padded or not, nothing else; false if broken or more than size bytes. */
MUST_USE bool base64_parse(struct span text, uint8_t *out, size_t size, size_t *out_n);
/* "2025-06-19T10:56:11Z" or with a numeric offset; seconds since 1970. */
MUST_USE bool time_parse(struct span text, int64_t *out);
/* The reverse, in UTC. */
enum { TIME_TEXT_MAX = 32 };
const char *time_format(int64_t t, char out[TIME_TEXT_MAX]);
/* "30d", "12h", "90m", "45s": a length of time in seconds, at most 100 years. */
MUST_USE bool duration_parse(struct span text, int64_t *out);

#endif
