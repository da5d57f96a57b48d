/* The queue keeps order across wraps and growth, and its bounds hold. */
#include "base/queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

enum { MAX = 1024 * 1024 };

static size_t drain(struct queue *q, uint8_t *out, size_t want)
{
	struct iovec runs[2];
	size_t done = 0;
	int n = queue_peek(q, runs);

	for (int i = 0; i < n && done < want; i++) {
		size_t take = runs[i].iov_len < want - done ? runs[i].iov_len : want - done;

		memcpy(out + done, runs[i].iov_base, take);
		done += take;
	}
	queue_pop(q, done);
	return done;
}

static void keeps_order(void **state)
{
	struct queue_budget budget = { .max = (size_t)8 * MAX };
	static uint8_t in[50000], out[50000];
	uint8_t next_in = 0, next_out = 0;
	struct queue q;

	(void)state;
	srand(1);
	queue_init(&q, MAX, &budget);
	for (int round = 0; round < 3000; round++) {
		size_t n = (size_t)rand() % sizeof(in), got;

		for (size_t i = 0; i < n; i++)
			in[i] = next_in++;
		if (queue_push(&q, in, n, 0) == QUEUE_E_FULL)
			next_in = (uint8_t)(next_in - n);
		got = drain(&q, out, (size_t)rand() % sizeof(out));
		for (size_t i = 0; i < got; i++)
			assert_int_equal(out[i], next_out++);
		assert_true(q.n <= MAX && q.cap <= MAX);
	}
	queue_deinit(&q);
	assert_int_equal(budget.used, 0);
}

static void refuses_beyond_its_maximum(void **state)
{
	struct queue_budget budget = { .max = (size_t)64 * MAX };
	uint8_t *bytes = calloc(1, MAX);
	struct queue q;

	(void)state;
	queue_init(&q, MAX, &budget);
	assert_int_equal(queue_push(&q, bytes, MAX - 100, 101), QUEUE_E_FULL);
	assert_int_equal(queue_push(&q, bytes, MAX - 100, 100), 0);
	assert_int_equal(queue_push(&q, bytes, 101, 0), QUEUE_E_FULL);
	assert_int_equal(queue_push(&q, bytes, 100, 0), 0);
	assert_int_equal(queue_push(&q, bytes, SIZE_MAX, 1), QUEUE_E_FULL);
	assert_int_equal(q.n, MAX);
	queue_trim(&q);
	assert_int_equal(q.cap, MAX);
	queue_pop(&q, MAX);
	queue_trim(&q);
	assert_int_equal(q.cap, 0);
	queue_deinit(&q);
	queue_deinit(&q);
	free(bytes);
}

static void stuck_queues_leave_room_for_others(void **state)
{
	enum { N = 40, CHUNK = 64 * 1024 };
	struct queue_budget budget = { .max = (size_t)4 * MAX };
	uint8_t *bytes = calloc(1, CHUNK);
	struct queue q[N], late;

	(void)state;
	for (int i = 0; i < N; i++) {
		queue_init(&q[i], MAX, &budget);
		while (queue_push(&q[i], bytes, CHUNK, 0) == 0)
			;
		assert_true(budget.used < budget.max);
	}
	queue_init(&late, MAX, &budget);
	assert_int_equal(queue_push(&late, bytes, CHUNK, 0), 0);
	assert_int_equal(queue_push(&late, bytes, CHUNK, 0), 0);
	queue_deinit(&late);
	for (int i = 0; i < N; i++)
		queue_deinit(&q[i]);
	assert_int_equal(budget.used, 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),
		cmocka_unit_test(refuses_beyond_its_maximum),
		cmocka_unit_test(stuck_queues_leave_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
