/*
 * Frames that wait for a link, fair between flows: deficit round robin with sparse flows first, the
 * scheduler of fq_codel (RFC 8290, 4.2) without its CoDel. A flow that sends less than FAIR_QUANTUM
 * a round does not wait behind the backlog of others; within a flow the order stays.
 *
 * The memory of what waits is bounded. A frame too many makes room at the head of the flow that has
 * the most (4.1.3): it is the cause, and hears of it soonest from its oldest packet.
 */
#ifndef ENG_ENTA_FAIR_H
#define ENG_ENTA_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"

enum {
	FAIR_FLOWS = 1024,	   /* queues: flows that share one share its turn */
	FAIR_QUANTUM = 64 * 1024,  /* bytes a turn: about the largest packet */
	FAIR_SMALL = 2048,	   /* bytes of a frame that somebody may be waiting for */
	FAIR_BACKLOG = 256 * 1024, /* bytes of memory: worth to overtake */
	/* Bytes of memory: what four transfers keep in flight (4 MB each, tcp_wmem). */
	FAIR_MAX = 16 * 1024 * 1024,
};

struct fair;

/* frame_max: bytes of the largest frame. max: FAIR_MAX, but for tests. 0 or -ENOMEM. */
MUST_USE int fair_new(size_t frame_max, size_t max, struct fair **out);
void fair_free(struct fair *f);

/* Room for one frame, frame_max bytes; the same until fair_push() has used it. NULL: no memory. */
uint8_t *fair_room(struct fair *f);
/*
 * The frame of n bytes at room + at, or a copy of one that lies elsewhere, waits behind those of
 * its flow. Returns how many frames were dropped for it; it may be one of them.
 */
unsigned fair_push(struct fair *f, uint32_t flow, size_t at, size_t n);
unsigned fair_push_copy(struct fair *f, uint32_t flow, const uint8_t *frame, size_t n);

/*
 * The frames whose turn it is, up to n_iov and about `bytes`, but at least one if there is any;
 * returns how many. They are borrowed until fair_taken(), which comes before all else.
 */
int fair_next(struct fair *f, struct iovec *iov, int n_iov, size_t bytes);
void fair_taken(struct fair *f);

size_t fair_memory(const struct fair *f); /* bytes of what waits */
size_t fair_count(const struct fair *f);  /* frames */
/* How often a small frame of a sparse flow has gone before a backlog of others. */
uint64_t fair_overtakes(const struct fair *f);
void fair_clear(struct fair *f); /* drops all, and frees what they lay in */

#endif
