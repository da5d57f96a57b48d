/*
 * Bytes from one thread to one other without a lock: a ring with one producer and one consumer.
 *
 * A record is contiguous, so that what comes out can be parsed and sent from where it lies. The
 * consumer may read several before it releases them all. How it learns that something came is not
 * this module's business.
 */
#ifndef ENG_BASE_RING_H
#define ENG_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

struct ring;

enum {
	RING_SIZE_MIN = 128,
	RING_HEAD = 16, /* bytes that a record takes besides its own, rounded up to as many */
};

/*
 * size: bytes, a power of two. A record of at most half of it, head included, always fits an empty
 * ring. 0 or -ENOMEM.
 */
MUST_USE int ring_new(size_t size, struct ring **out);
void ring_free(struct ring *r); /* when both threads are done with it */

/* The producer: copies one record in. False: full, and nothing happened. */
MUST_USE bool ring_push(struct ring *r, uint64_t tag, const struct iovec *iov, int n_iov);

/* The consumer: the next record that ring_next() has not given yet; false: there is none. */
MUST_USE bool ring_peek(struct ring *r, uint64_t *out_tag, struct span *out);
/* The same, and goes on to the one behind it. The span is good until ring_release(). */
MUST_USE bool ring_next(struct ring *r, uint64_t *out_tag, struct span *out);
/* All that ring_next() has given is the producer's again. */
void ring_release(struct ring *r);

#endif
