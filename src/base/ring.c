/*
 * See ring.h. Two indices that only grow; where they point is their remainder by the size. Each is
 * written by one side and read by the other, with release and acquire, and lies in a cache line of
 * its own, so that a side that writes its index does not take the other's away.
 *
 * A record does not wrap: what is left behind the last one that fits is filled by a record without
 * content.
 */
#include "base/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"

enum {
	CACHE_LINE = 64,
	FILLER = UINT32_MAX, /* instead of a length: nothing until the end of the memory */
};

struct head {
	uint64_t tag;
	uint32_t n;
	uint32_t unused;
};

_Static_assert(sizeof(struct head) == RING_HEAD, "what a record takes besides its own");

struct ring {
	uint8_t *buf;
	size_t size;
	alignas(CACHE_LINE) atomic_size_t written; /* the producer's line */
	/* The consumer's: how far is free, is read, and was written at the last look. */
	alignas(CACHE_LINE) atomic_size_t freed;
	size_t read, written_seen;
};

int ring_new(size_t size, struct ring **out)
{
	struct ring *r;

	assert(size >= RING_SIZE_MIN && (size & (size - 1)) == 0);
	r = aligned_alloc(CACHE_LINE, sizeof(*r));
	if (!r)
		return err_new(-ENOMEM);
	*r = (struct ring){ .buf = malloc(size), .size = size };
	if (!r->buf) {
		free(r);
		return err_new(-ENOMEM);
	}
	*out = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	free(r->buf);
	free(r);
}

static size_t round_up(size_t n)
{
	return (n + RING_HEAD - 1) / RING_HEAD * RING_HEAD;
}

static void put_head(struct ring *r, size_t at, uint64_t tag, uint32_t n)
{
	const struct head h = { .tag = tag, .n = n };

	memcpy(r->buf + at, &h, sizeof(h));
}

bool ring_push(struct ring *r, uint64_t tag, const struct iovec *iov, int n_iov)
{
	const size_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
	const size_t used = written - atomic_load_explicit(&r->freed, memory_order_acquire);
	size_t at = written & (r->size - 1), filler = 0, n = 0, need;

	for (int i = 0; i < n_iov; i++)
		n += iov[i].iov_len;
	if (n >= r->size)
		return false;
	need = RING_HEAD + round_up(n);
	if (at + need > r->size)
		filler = r->size - at;
	if (used + filler + need > r->size)
		return false;
	if (filler > 0) {
		put_head(r, at, 0, FILLER);
		at = 0;
	}
	put_head(r, at, tag, (uint32_t)n);
	at += RING_HEAD;
	for (int i = 0; i < n_iov; at += iov[i++].iov_len)
		if (iov[i].iov_len > 0)
			memcpy(r->buf + at, iov[i].iov_base, iov[i].iov_len);
	atomic_store_explicit(&r->written, written + filler + need, memory_order_release);
	return true;
}

/* The head of the next record; its bytes are behind it. NULL: there is none. */
static const uint8_t *look(struct ring *r, struct head *out)
{
	const uint8_t *p;

	if (r->read == r->written_seen)
		r->written_seen = atomic_load_explicit(&r->written, memory_order_acquire);
	if (r->read == r->written_seen)
		return NULL;
	p = r->buf + (r->read & (r->size - 1));
	memcpy(out, p, sizeof(*out));
	if (out->n == FILLER) { /* and the record for which it made way came with it */
		r->read += r->size - (r->read & (r->size - 1));
		p = r->buf;
		memcpy(out, p, sizeof(*out));
	}
	return p;
}

bool ring_peek(struct ring *r, uint64_t *out_tag, struct span *out)
{
	struct head h;
	const uint8_t *p = look(r, &h);

	if (!p)
		return false;
	*out_tag = h.tag;
	*out = SPAN(p + RING_HEAD, h.n);
	return true;
}

bool ring_next(struct ring *r, uint64_t *out_tag, struct span *out)
{
	if (!ring_peek(r, out_tag, out))
		return false;
	r->read += RING_HEAD + round_up(out->n);
	return true;
}

void ring_release(struct ring *r)
{
	atomic_store_explicit(&r->freed, r->read, memory_order_release);
}
