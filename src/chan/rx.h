/*
 * From a byte stream to whole frames, without copying what arrives whole.
 *
 * All channels of a process read into one buffer. What is left of an incomplete frame at its end
 * moves to a stash of the channel; the next read puts the rest of that frame right behind it (the
 * first iovec), and everything that follows into the shared buffer (the second). So a byte is moved
 * at most once, only at the seam between two reads, and an idle channel holds no buffer at all.
 *
 *   n_iov = rx_iov(rx, buf, size, iov);  read n bytes;  rx_received(rx, buf, n, &batch);
 *   while (rx_next(&batch, &frame, &body) == 0) …;  rx_end(rx, &batch);
 */
#ifndef ENG_CHAN_RX_H
#define ENG_CHAN_RX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"
#include "wire/frame.h"

enum { RX_HEADROOM = FRAME_HEAD /* writable bytes before the shared buffer: a cut frame head */ };

struct rx {
	uint8_t *stash; /* FRAME_HEAD + FRAME_MAX bytes, or NULL */
	size_t have;	/* bytes of an incomplete frame in it */
	size_t total;	/* its size, once have >= FRAME_HEAD */
	uint64_t moved; /* bytes copied at seams, for the counters */
};

struct rx_batch {
	struct span first; /* the frame completed in the stash, or empty */
	struct span rest;  /* of the shared buffer */
};

void rx_deinit(struct rx *rx);
void rx_trim(struct rx *rx); /* gives the stash back if it is empty */

int rx_iov(const struct rx *rx, uint8_t *buf, size_t size, struct iovec out[2]);
/* n bytes were read into the iovecs of rx_iov(). */
void rx_received(struct rx *rx, uint8_t *buf, size_t n, struct rx_batch *out);
/*
 * The same for a stream that is decrypted: into one place at a time, which has room for `least`
 * bytes. rx_room() says where: right behind the incomplete frame if so much of it is missing, else
 * in the shared buffer; *out_size is the room there. rx_filled() then tells that n bytes were put.
 */
uint8_t *rx_room(const struct rx *rx, uint8_t *buf, size_t size, size_t least, size_t *out_size);
void rx_filled(struct rx *rx, uint8_t *buf, const uint8_t *room, size_t n, struct rx_batch *out);
/* The next frame, with and without its head, borrowed until rx_end(). 0 or FRAME_E_*. */
MUST_USE int rx_next(struct rx_batch *b, struct span *out_frame, struct span *out_body);
/* After FRAME_E_MORE: keeps what is left. 0 or -ENOMEM. */
MUST_USE int rx_end(struct rx *rx, const struct rx_batch *b);

#endif
