/*
 * A bounded byte queue: what a peer could not take yet. A ring that doubles on demand and gives its
 * memory back when it is empty; all queues of a process draw on one budget, so that their sum is
 * bounded too, and the share of one queue shrinks as the budget does (dynamic thresholds, Choudhury
 * and Hahne 1998): a few stuck readers cannot take the room of all others.
 */
#ifndef ENG_BASE_QUEUE_H
#define ENG_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"

enum {
	QUEUE_CAP_MIN = 128 * 1024 /* always granted: one frame and the control frames behind it */
};

struct queue_budget {
	size_t max; /* bytes that all queues together may hold beyond QUEUE_CAP_MIN each */
	size_t used;
};

struct queue {
	uint8_t *buf;
	size_t cap; /* allocated; 0 or a power of two from QUEUE_CAP_MIN to max */
	size_t head, n;
	size_t max;		     /* a power of two */
	struct queue_budget *budget; /* borrowed; outlives the queue */
};

enum { QUEUE_E_FULL = 1 };

/* max: bytes, a power of two of at least QUEUE_CAP_MIN. Nothing is allocated yet. */
void queue_init(struct queue *q, size_t max, struct queue_budget *budget);
void queue_deinit(struct queue *q);

/*
 * Appends all of bytes, or nothing. `reserve` bytes of the room stay free (for what matters more
 * than this). 0, QUEUE_E_FULL, or -ENOMEM.
 */
MUST_USE int queue_push(struct queue *q, const uint8_t *bytes, size_t n, size_t reserve);
int queue_peek(const struct queue *q, struct iovec out[2]); /* number of runs: 0, 1 or 2 */
void queue_pop(struct queue *q, size_t n);		    /* n <= q->n */
void queue_trim(struct queue *q); /* gives the memory back if the queue is empty */

#endif
