/* A stream of frames: each lies within the input, in order, and nothing is lost between them. */
#include "fuzz.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span in = SPAN(bytes, n), body;
	const uint8_t *at = bytes;
	uint8_t head[FRAME_HEAD];
	size_t total;

	while (frame_pop(&in, &body) == 0) {
		must(body.p == at + FRAME_HEAD && body.n >= 1 && body.n <= FRAME_MAX);
		must(frame_peek_total(SPAN(at, n - (size_t)(at - bytes)), &total) == 0);
		must(total == FRAME_HEAD + body.n);
		frame_put_head(head, body.n);
		must(span_equal(SPAN(head, FRAME_HEAD), SPAN(at, FRAME_HEAD)));
		must(frame_type_of(body) == body.p[0] || frame_type_of(body) == FRAME_PACKET ||
		     frame_type_of(body) == FRAME_NONE);
		at = body.p + body.n;
		must(in.p == at && in.n == n - (size_t)(at - bytes));
	}
	must(in.p == at);
	return 0;
}
