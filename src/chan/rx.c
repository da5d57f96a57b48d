/* Frames out of a stream; see rx.h. */
#include "chan/rx.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void rx_deinit(struct rx *rx)
{
	free(rx->stash);
	rx->stash = NULL;
	rx->have = 0;
}

void rx_trim(struct rx *rx)
{
	if (rx->have == 0)
		rx_deinit(rx);
}

int rx_iov(const struct rx *rx, uint8_t *buf, size_t size, struct iovec out[2])
{
	if (rx->have < FRAME_HEAD) {
		out[0] = (struct iovec){ buf, size };
		return 1;
	}
	out[0] = (struct iovec){ rx->stash + rx->have, rx->total - rx->have };
	out[1] = (struct iovec){ buf, size };
	return 2;
}

void rx_received(struct rx *rx, uint8_t *buf, size_t n, struct rx_batch *out)
{
	size_t fill;

	*out = (struct rx_batch){ .rest = SPAN(buf, n) };
	if (rx->have == 0)
		return;
	if (rx->have < FRAME_HEAD) { /* a cut head: put it where it belongs, before its body */
		memcpy(buf - rx->have, rx->stash, rx->have);
		out->rest = SPAN(buf - rx->have, n + rx->have);
		rx->have = 0;
		return;
	}
	fill = n < rx->total - rx->have ? n : rx->total - rx->have;
	rx->have += fill;
	out->rest = SPAN(buf, n - fill);
	if (rx->have < rx->total)
		return;
	out->first = SPAN(rx->stash, rx->total);
	rx->have = 0;
}

uint8_t *rx_room(const struct rx *rx, uint8_t *buf, size_t size, size_t least, size_t *out_size)
{
	if (rx->have < FRAME_HEAD || rx->total - rx->have < least) {
		*out_size = size;
		return buf;
	}
	*out_size = rx->total - rx->have;
	return rx->stash + rx->have;
}

void rx_filled(struct rx *rx, uint8_t *buf, const uint8_t *room, size_t n, struct rx_batch *out)
{
	size_t fill = 0;

	if (room == buf && rx->have >= FRAME_HEAD) { /* the rest of a frame, and what follows it */
		fill = n < rx->total - rx->have ? n : rx->total - rx->have;
		memcpy(rx->stash + rx->have, buf, fill);
		rx->moved += fill;
	}
	rx_received(rx, buf, n, out);
	/* rx_received() takes what completes the frame for bytes that are not in the buffer. */
	out->rest.p += fill;
}

int rx_next(struct rx_batch *b, struct span *out_frame, struct span *out_body)
{
	struct span *from = b->first.n > 0 ? &b->first : &b->rest;
	const uint8_t *start = from->p;
	int r;

	r = frame_pop(from, out_body);
	if (r != 0)
		return r;
	*out_frame = SPAN(start, out_body->n + FRAME_HEAD);
	return 0;
}

int rx_end(struct rx *rx, const struct rx_batch *b)
{
	if (b->rest.n == 0)
		return 0;
	assert(rx->have ==
	       0); /* an incomplete stash means that nothing went to the shared buffer */
	if (!rx->stash)
		rx->stash = malloc(FRAME_HEAD + FRAME_MAX);
	if (!rx->stash)
		return err_new(-ENOMEM);
	memcpy(rx->stash, b->rest.p, b->rest.n);
	rx->have = b->rest.n;
	rx->moved += b->rest.n;
	if (rx->have >= FRAME_HEAD && frame_peek_total(b->rest, &rx->total) != 0)
		return err_new(-EBADMSG); /* rx_next() has refused such a length before */
	return 0;
}
