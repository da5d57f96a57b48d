/* A ring against a queue that cannot be wrong, and between two threads. */
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"

static bool push(struct ring *r, uint64_t tag, const uint8_t *p, size_t n)
{
	const size_t cut = n / 3;
	const struct iovec iov[] = { { (void *)(uintptr_t)p, cut },
				     { NULL, 0 },
				     { (void *)(uintptr_t)(p + cut), n - cut } };

	return ring_push(r, tag, iov, ARRAY_LEN(iov));
}

static void keeps_order_and_says_when_it_is_full(void **state)
{
	const struct iovec iov = { "0123456789abcdef", 16 };
	struct span got;
	struct ring *r;
	uint64_t tag;

	(void)state;
	assert_int_equal(ring_new(128, &r), 0);
	assert_false(ring_next(r, &tag, &got));
	for (uint64_t i = 0; i < 4; i++)
		assert_true(ring_push(r, i, &iov, 1));
	assert_false(ring_push(r, 4, &iov, 1));
	for (uint64_t i = 0; i < 4; i++) {
		assert_true(ring_peek(r, &tag, &got)); /* looks, and takes nothing */
		assert_true(ring_next(r, &tag, &got));
		assert_int_equal(tag, i);
		assert_int_equal(got.n, 16);
		assert_memory_equal(got.p, iov.iov_base, 16);
	}
	assert_false(ring_peek(r, &tag, &got));
	assert_false(ring_push(r, 4, &iov, 1)); /* not released yet */
	ring_release(r);
	assert_true(ring_push(r, 4, &iov, 1));
	ring_free(r);
	ring_free(NULL);
}

/* Whatever the place where the ring stands, and never more than the memory. */
static void half_of_it_always_fits_when_it_is_empty(void **state)
{
	static uint8_t bytes[512];
	struct span got;
	struct ring *r;
	uint64_t tag;

	(void)state;
	for (size_t n = 0; n <= 256 - RING_HEAD; n++) {
		assert_int_equal(ring_new(512, &r), 0);
		assert_true(push(r, 1, bytes, n));
		assert_true(ring_next(r, &tag, &got));
		ring_release(r);
		assert_true(push(r, 2, bytes, 256 - RING_HEAD));
		assert_true(ring_next(r, &tag, &got));
		assert_int_equal(tag, 2);
		assert_int_equal(got.n, 256 - RING_HEAD);
		ring_free(r);
	}
	assert_int_equal(ring_new(512, &r), 0);
	assert_false(push(r, 1, bytes, 512));
	assert_false(push(r, 1, bytes, 512 - RING_HEAD + 1));
	assert_true(push(r, 1, bytes, 512 - RING_HEAD));
	assert_false(push(r, 2, bytes, 0));
	ring_free(r);
}

/* It takes a burst at any place: what it once held is free, all of it. */
static void is_as_large_wherever_it_stands(void **state)
{
	enum { SIZE = 4096, N = 100, EACH = RING_HEAD + 112 };
	static const uint8_t bytes[N];
	struct span got;
	struct ring *r;
	uint64_t tag;

	(void)state;
	assert_int_equal(ring_new(SIZE, &r), 0);
	for (int round = 0; round < 1000; round++) {
		int n = 0;

		while (push(r, 1, bytes, N))
			n++;
		assert_in_range(n, SIZE / EACH - 1, SIZE / EACH);
		while (ring_next(r, &tag, &got))
			n--;
		assert_int_equal(n, 0);
		ring_release(r);
		assert_true(push(r, 2, bytes, (size_t)round % N)); /* not the same place again */
		assert_true(ring_next(r, &tag, &got));
		ring_release(r);
	}
	ring_free(r);
}

enum { MODEL = 64, N_BYTES = 200 };

/* What the model says of the record number i. */
static size_t size_of(uint64_t i)
{
	return (i * 2654435761u >> 7) % N_BYTES;
}

static void fill(uint64_t i, uint8_t *out)
{
	for (size_t k = 0; k < size_of(i); k++)
		out[k] = (uint8_t)(i + k);
}

static void check(uint64_t i, uint64_t tag, struct span got)
{
	uint8_t expected[N_BYTES];

	fill(i, expected);
	assert_true(tag == i * 3);
	assert_int_equal(got.n, size_of(i));
	assert_memory_equal(got.p, expected, got.n);
}

static void behaves_like_a_queue(void **state)
{
	uint64_t pushed = 0, read = 0, released = 0, tag = 0;
	struct span held[MODEL], got;
	uint8_t bytes[N_BYTES];
	struct ring *r;

	(void)state;
	srand(1);
	assert_int_equal(ring_new(2048, &r), 0);
	for (int step = 0; step < 300000; step++) {
		switch (rand() % 5) {
		case 0:
		case 1:
			fill(pushed, bytes);
			if (pushed - released < MODEL &&
			    push(r, pushed * 3, bytes, size_of(pushed)))
				pushed++;
			break;
		case 2:
		case 3:
			assert_int_equal(ring_next(r, &tag, &got), read < pushed);
			if (read == pushed)
				break;
			check(read, tag, got);
			held[read++ % MODEL] = got;
			break;
		default: /* what was given is still there until now */
			for (; released < read; released++)
				check(released, released * 3, held[released % MODEL]);
			ring_release(r);
		}
	}
	assert_true(pushed > 10000);
	ring_free(r);
}

enum { N_RECORDS = 200000 };

static void *produce(void *arg)
{
	uint8_t bytes[N_BYTES];

	for (uint64_t i = 0; i < N_RECORDS; i++) {
		fill(i, bytes);
		while (!push(arg, i * 3, bytes, size_of(i)))
			sched_yield();
	}
	return NULL;
}

static void two_threads_see_the_same(void **state)
{
	struct span got;
	pthread_t thread;
	struct ring *r;
	uint64_t tag;

	(void)state;
	assert_int_equal(ring_new(4096, &r), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
	for (uint64_t i = 0; i < N_RECORDS; i++) {
		while (!ring_next(r, &tag, &got)) {
			ring_release(r);
			sched_yield();
		}
		check(i, tag, got);
		if (i % 5 == 0)
			ring_release(r);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(ring_next(r, &tag, &got));
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_says_when_it_is_full),
		cmocka_unit_test(half_of_it_always_fits_when_it_is_empty),
		cmocka_unit_test(is_as_large_wherever_it_stands),
		cmocka_unit_test(behaves_like_a_queue),
		cmocka_unit_test(two_threads_see_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
