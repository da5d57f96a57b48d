/* Streams cut anywhere, and the byte that tells what a body is; the vectors have the lengths. */
#include "wire/frame.h"

#include "base/test.h"

static void pops_a_stream_that_comes_in_pieces(void **state)
{
	static const uint8_t stream[] = { 0, 0, 0, 2, 0x45, 7, 0, 0, 0, 1, 0x60, 0, 0, 0 };
	static const size_t popped_at[] = { 6, 11 };
	struct span body;

	(void)state;
	for (size_t n = 0; n <= sizeof(stream); n++) {
		struct span in = SPAN(stream, n);
		size_t frames = 0;

		while (frames < ARRAY_LEN(popped_at) && frame_pop(&in, &body) == 0)
			assert_ptr_equal(body.p + body.n, stream + popped_at[frames++]);
		assert_int_equal(frames, (n >= 6) + (n >= 11));
		assert_ptr_equal(in.p, frames ? stream + popped_at[frames - 1] : stream);
		assert_int_equal(frame_pop(&in, &body), FRAME_E_MORE);
	}
}

static void peeks_beyond_what_is_there(void **state)
{
	static const uint8_t largest[] = { 0, 1, 0x01, 0xd0 };
	uint8_t head[FRAME_HEAD];
	size_t total = 0;

	(void)state;
	assert_int_equal(frame_peek_total(SPAN(largest, 4), &total), 0);
	assert_int_equal(total, FRAME_HEAD + FRAME_MAX);
	assert_int_equal(frame_peek_total(SPAN(largest, 3), &total), FRAME_E_MORE);
	frame_put_head(head, FRAME_MAX);
	assert_memory_equal(head, largest, FRAME_HEAD);
}

static void knows_every_first_byte(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		uint8_t byte = (uint8_t)first;
		unsigned want = 0;

		if ((first >= 0x40 && first < 0x50) || (first >= 0x60 && first < 0x70))
			want = FRAME_PACKET;
		else if (first >= 1 && first <= 10)
			want = first;
		assert_int_equal(frame_type_of(SPAN(&byte, 1)), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pops_a_stream_that_comes_in_pieces),
		cmocka_unit_test(peeks_beyond_what_is_there),
		cmocka_unit_test(knows_every_first_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
