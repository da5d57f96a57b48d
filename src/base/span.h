/*
 * A span is a borrowed run of bytes and the only thing that reads bytes from outside. Reading
 * moves the start forward; a read that does not fit returns false and leaves the span alone, so a
 * parser cannot run past its input however the lengths in it lie.
 *
 * A wspan is its counterpart for writing into a buffer of fixed size. It remembers that something
 * did not fit, so that an encoder checks once, at its end.
 */
#ifndef ENG_BASE_SPAN_H
#define ENG_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"

struct span {
	const uint8_t *p;
	size_t n;
};

#define SPAN(ptr, len) ((struct span){ .p = (const uint8_t *)(ptr), .n = (len) })

MUST_USE bool span_take(struct span *s, size_t n, struct span *out); /* the first n bytes */
MUST_USE bool span_skip(struct span *s, size_t n);
MUST_USE bool span_copy(struct span *s, void *out, size_t n);
MUST_USE bool span_u8(struct span *s, uint8_t *out);
MUST_USE bool span_be16(struct span *s, uint16_t *out);
MUST_USE bool span_be32(struct span *s, uint32_t *out);
MUST_USE bool span_be64(struct span *s, uint64_t *out);
MUST_USE bool span_le16(struct span *s, uint16_t *out);
MUST_USE bool span_le32(struct span *s, uint32_t *out);
MUST_USE bool span_le64(struct span *s, uint64_t *out);
bool span_equal(struct span a, struct span b); /* not for secrets: time depends on the content */

struct wspan {
	uint8_t *p;    /* start of the buffer */
	size_t size;   /* of the buffer */
	size_t n;      /* written so far */
	bool overflow; /* something did not fit; nothing was written since */
};

#define WSPAN(buf, len) ((struct wspan){ .p = (uint8_t *)(buf), .size = (len) })

void wspan_put(struct wspan *w, const void *bytes, size_t n);
void wspan_u8(struct wspan *w, uint8_t v);
void wspan_be16(struct wspan *w, uint16_t v);
void wspan_be32(struct wspan *w, uint32_t v);
void wspan_be64(struct wspan *w, uint64_t v);
void wspan_le16(struct wspan *w, uint16_t v);

/* Fixed-place reads and writes for code that has already bounded what it touches. */
static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

#endif
