/* Cursors over bytes; see span.h. */
#include "base/span.h"

bool span_take(struct span *s, size_t n, struct span *out)
{
	if (n > s->n)
		return false;
	*out = SPAN(s->p, n);
	s->p += n;
	s->n -= n;
	return true;
}

bool span_skip(struct span *s, size_t n)
{
	struct span ignored;

	return span_take(s, n, &ignored);
}

bool span_copy(struct span *s, void *out, size_t n)
{
	struct span part;

	if (!span_take(s, n, &part))
		return false;
	if (n > 0)
		memcpy(out, part.p, n);
	return true;
}

static bool take_uint(struct span *s, size_t n, bool big_endian, uint64_t *out)
{
	struct span part;
	uint64_t v = 0;

	if (!span_take(s, n, &part))
		return false;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | part.p[big_endian ? i : n - 1 - i];
	*out = v;
	return true;
}

#define SPAN_READER(name, type, big_endian)                                                        \
	bool name(struct span *s, type *out)                                                       \
	{                                                                                          \
		uint64_t v;                                                                        \
                                                                                                   \
		if (!take_uint(s, sizeof(type), big_endian, &v))                                   \
			return false;                                                              \
		*out = (type)v;                                                                    \
		return true;                                                                       \
	}

SPAN_READER(span_u8, uint8_t, true)
SPAN_READER(span_be16, uint16_t, true)
SPAN_READER(span_be32, uint32_t, true)
SPAN_READER(span_be64, uint64_t, true)
SPAN_READER(span_le16, uint16_t, false)
SPAN_READER(span_le32, uint32_t, false)
SPAN_READER(span_le64, uint64_t, false)

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

void wspan_put(struct wspan *w, const void *bytes, size_t n)
{
	if (w->overflow || n > w->size - w->n) {
		w->overflow = true;
		return;
	}
	if (n > 0)
		memcpy(w->p + w->n, bytes, n);
	w->n += n;
}

void wspan_u8(struct wspan *w, uint8_t v)
{
	wspan_put(w, &v, 1);
}

void wspan_be16(struct wspan *w, uint16_t v)
{
	uint8_t b[2];

	put_be16(b, v);
	wspan_put(w, b, sizeof(b));
}

void wspan_be32(struct wspan *w, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	wspan_put(w, b, sizeof(b));
}

void wspan_be64(struct wspan *w, uint64_t v)
{
	wspan_be32(w, (uint32_t)(v >> 32));
	wspan_be32(w, (uint32_t)v);
}

void wspan_le16(struct wspan *w, uint16_t v)
{
	uint8_t b[2];

	put_le16(b, v);
	wspan_put(w, b, sizeof(b));
}
