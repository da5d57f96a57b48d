/*
 * The framing of a hop; see frame.h.
 *
 * Nothing here copies or allocates: a body stays where the stream put it. The length is judged as
 * soon as it is there, so that no caller ever makes room for a frame that is then refused.
 */
#include "wire/frame.h"

#include <assert.h>

int frame_peek_total(struct span in, size_t *out_total)
{
	uint32_t n;

	if (!span_be32(&in, &n))
		return FRAME_E_MORE;
	if (n == 0)
		return FRAME_E_EMPTY;
	if (n > FRAME_MAX)
		return FRAME_E_TOOBIG;
	*out_total = FRAME_HEAD + (size_t)n;
	return 0;
}

int frame_pop(struct span *in, struct span *out_body)
{
	struct span frame;
	size_t total;
	int r;

	r = frame_peek_total(*in, &total);
	if (r != 0)
		return r;
	if (!span_take(in, total, &frame))
		return FRAME_E_MORE;
	*out_body = SPAN(frame.p + FRAME_HEAD, frame.n - FRAME_HEAD);
	return 0;
}

void frame_put_head(uint8_t out[FRAME_HEAD], size_t n)
{
	assert(n >= 1 && n <= FRAME_MAX);
	put_be32(out, (uint32_t)n);
}

enum frame_type frame_type_of(struct span body)
{
	uint8_t first = body.p[0];

	if (first >> 4 == 4 || first >> 4 == 6)
		return FRAME_PACKET;
	return first <= FRAME_ACCEPT ? (enum frame_type)first : FRAME_NONE;
}
