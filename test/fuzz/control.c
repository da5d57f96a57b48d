/* Control frames: whatever is accepted can be encoded, and decodes to the same again. */
#include "fuzz.h"

#include <errno.h>

#include "wire/attest.h"
#include "wire/control.h"

enum { BUF = FRAME_HEAD + FRAME_MAX };

/* Encodes and decodes twice: the second encoding must be the first. Zeroed memory compares well. */
#define CHECK(type, in, parse, put)                                                                \
	do {                                                                                       \
		static struct type first_, second_;                                                \
		static uint8_t a_[BUF], b_[BUF];                                                   \
		size_t n_a_ = 0, n_b_ = 0;                                                         \
                                                                                                   \
		if (parse((in), &first_) != 0)                                                     \
			break;                                                                     \
		must(put(&first_, a_, sizeof(a_), &n_a_) == 0);                                    \
		must(parse(SPAN(a_ + FRAME_HEAD, n_a_ - FRAME_HEAD), &second_) == 0);              \
		must(put(&second_, b_, sizeof(b_), &n_b_) == 0);                                   \
		must(span_equal(SPAN(a_, n_a_), SPAN(b_, n_b_)));                                  \
	} while (0)

static int put_ping(const struct control_ping *p, uint8_t *buf, size_t size, size_t *out_n)
{
	return control_put_ping(FRAME_PING, p, buf, size, out_n);
}

static int put_notice(const struct control_notice *n, uint8_t *buf, size_t size, size_t *out_n)
{
	return control_put_notice(FRAME_ERROR, n, buf, size, out_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span body = SPAN(bytes, n);

	CHECK(control_hello, body, control_parse_hello, control_put_hello);
	CHECK(control_routes, body, control_parse_routes, control_put_routes);
	CHECK(control_ping, body, control_parse_ping, put_ping);
	CHECK(control_notice, body, control_parse_notice, put_notice);
	CHECK(attest_challenge, body, attest_parse_challenge, attest_put_challenge);
	CHECK(attest_evidence, body, attest_parse_evidence, attest_put_evidence);
	must(attest_parse_accept(SPAN(NULL, 0)) != 0);
	return 0;
}
