/* Frames come out whole and in order however the stream is cut, and lies about lengths end it. */
#include "chan/rx.h"

#include <stdlib.h>

#include "base/test.h"

enum { BUF = 256 * 1024, STREAM = 3 * 1024 * 1024, RECORD = 16384 };

static uint8_t area[RX_HEADROOM + BUF];

/* Copies at most n bytes of *in to where rx wants them, as a read would. */
static size_t feed(const struct rx *rx, struct span *in, size_t n)
{
	struct iovec iov[2] = { 0 };
	int n_iov = rx_iov(rx, area + RX_HEADROOM, BUF, iov);
	size_t done = 0;

	for (int i = 0; i < n_iov; i++) {
		size_t part = n - done < iov[i].iov_len ? n - done : iov[i].iov_len;

		part = part < in->n ? part : in->n;
		if (part > 0 && !span_copy(in, iov[i].iov_base, part))
			fail();
		done += part;
	}
	return done;
}

/* The same for a stream that is decrypted, where at least `least` bytes of room are wanted. */
static void feed_room(struct rx *rx, struct span *in, size_t n, size_t least,
		      struct rx_batch *batch)
{
	uint8_t *room;
	size_t size;

	room = rx_room(rx, area + RX_HEADROOM, BUF, least, &size);
	assert_true(size >= least && size <= BUF);
	assert_true(room == area + RX_HEADROOM ||
		    (rx->stash && room + size <= rx->stash + FRAME_HEAD + FRAME_MAX));
	n = n < size ? n : size;
	n = n < in->n ? n : in->n;
	assert_true(span_copy(in, room, n));
	rx_filled(rx, area + RX_HEADROOM, room, n, batch);
}

/* Frame k has a body of lengths[k] bytes, all k & 0xff; checks what comes out against that. */
static void run(const uint8_t *stream, size_t n, const size_t *lengths, size_t n_frames,
		size_t (*cut)(void), size_t least)
{
	struct span in = SPAN(stream, n), frame = { 0 }, body = { 0 };
	struct rx_batch batch = { 0 };
	struct rx rx = { 0 };
	size_t k = 0;
	int r;

	while (in.n > 0) {
		if (least > 0)
			feed_room(&rx, &in, cut(), least, &batch);
		else
			rx_received(&rx, area + RX_HEADROOM, feed(&rx, &in, cut()), &batch);
		while ((r = rx_next(&batch, &frame, &body)) == 0) {
			assert_true(k < n_frames);
			assert_int_equal(body.n, lengths[k]);
			assert_int_equal(frame.n, body.n + FRAME_HEAD);
			assert_ptr_equal(frame.p + FRAME_HEAD, body.p);
			for (size_t i = 0; i < body.n; i++)
				assert_int_equal(body.p[i], k & 0xff);
			k++;
		}
		assert_int_equal(r, FRAME_E_MORE);
		assert_int_equal(rx_end(&rx, &batch), 0);
	}
	assert_int_equal(k, n_frames);
	assert_int_equal(rx.have, 0);
	assert_true(rx.moved < n + n_frames * FRAME_HEAD); /* no byte is moved twice */
	rx_trim(&rx);
	assert_null(rx.stash);
}

static size_t cut_one(void)
{
	return 1;
}

static size_t cut_all(void)
{
	return SIZE_MAX;
}

static size_t cut_random(void)
{
	return 1 + (size_t)rand() % (rand() % 4 ? 90000 : 7);
}

static void frames_survive_any_cut(void **state)
{
	uint8_t *stream = malloc(STREAM);
	size_t lengths[400] = { 0 }, n_frames = 0, n = 0;

	(void)state;
	srand(7);
	while (n_frames < 400) {
		size_t len = 1 + (size_t)rand() % (rand() % 3 ? 100 : FRAME_MAX);

		if (n + FRAME_HEAD + len > STREAM)
			break;
		frame_put_head(stream + n, len);
		memset(stream + n + FRAME_HEAD, (int)(n_frames & 0xff), len);
		lengths[n_frames++] = len;
		n += FRAME_HEAD + len;
	}
	run(stream, n, lengths, n_frames, cut_all, 0);
	for (int i = 0; i < 20; i++) {
		run(stream, n, lengths, n_frames, cut_random, 0);
		run(stream, n, lengths, n_frames, cut_random, RECORD);
	}
	for (size_t least = 1; least < 70000; least = least * 5 + 1)
		run(stream, n, lengths, n_frames, cut_random, least);
	run(stream, n, lengths, n_frames, cut_all, RECORD);
	run(stream, n, lengths, n_frames, cut_one, RECORD);
	run(stream, n, lengths, n_frames, cut_one, 0);
	free(stream);
}

static void lies_end_it(void **state)
{
	static const uint8_t lies[][4] = { { 0, 0, 0, 0 },
					   { 0, 1, 1, 0xd1 }, /* 66,001 */
					   { 0xff, 0xff, 0xff, 0xff } };
	static const int expected[] = { FRAME_E_EMPTY, FRAME_E_TOOBIG, FRAME_E_TOOBIG };
	struct span frame, body;
	struct rx_batch batch;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		for (size_t cut = 1; cut <= 4;
		     cut++) { /* also when the head itself comes in parts */
			struct span in = SPAN(lies[i], 4);
			struct rx rx = { 0 };

			rx_received(&rx, area + RX_HEADROOM, feed(&rx, &in, cut), &batch);
			if (cut < 4) {
				assert_int_equal(rx_next(&batch, &frame, &body), FRAME_E_MORE);
				assert_int_equal(rx_end(&rx, &batch), 0);
				rx_received(&rx, area + RX_HEADROOM, feed(&rx, &in, 4), &batch);
			}
			assert_int_equal(rx_next(&batch, &frame, &body), expected[i]);
			rx_deinit(&rx);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_survive_any_cut),
		cmocka_unit_test(lies_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
