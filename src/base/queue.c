/* The bounded byte queue; see queue.h. */
#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void queue_init(struct queue *q, size_t max, struct queue_budget *budget)
{
	assert(max >= QUEUE_CAP_MIN && (max & (max - 1)) == 0);
	*q = (struct queue){ .max = max, .budget = budget };
}

static void release(struct queue *q)
{
	if (q->cap > QUEUE_CAP_MIN)
		q->budget->used -= q->cap - QUEUE_CAP_MIN;
	free(q->buf);
	q->buf = NULL;
	q->cap = q->head = 0;
}

void queue_deinit(struct queue *q)
{
	release(q);
	q->n = 0;
}

void queue_trim(struct queue *q)
{
	if (q->n == 0)
		release(q);
}

/* How large the ring may become now: a quarter of what the budget has left, within the maximum. */
static size_t threshold(const struct queue *q)
{
	size_t left = (q->budget->max - q->budget->used) / 4 + q->cap;
	size_t cap = QUEUE_CAP_MIN;

	while (cap * 2 <= q->max && cap * 2 <= left)
		cap *= 2;
	return cap;
}

int queue_peek(const struct queue *q, struct iovec out[2])
{
	size_t first = q->cap - q->head;

	if (q->n == 0)
		return 0;
	if (q->n <= first) {
		out[0] = (struct iovec){ q->buf + q->head, q->n };
		return 1;
	}
	out[0] = (struct iovec){ q->buf + q->head, first };
	out[1] = (struct iovec){ q->buf, q->n - first };
	return 2;
}

static int grow(struct queue *q, size_t need)
{
	size_t cap = q->cap ? q->cap : QUEUE_CAP_MIN, extra, at = 0;
	struct iovec runs[2];
	uint8_t *buf;
	int n_runs;

	while (cap < need)
		cap *= 2;
	if (cap > q->cap && cap > QUEUE_CAP_MIN && cap > threshold(q))
		return QUEUE_E_FULL;
	buf = malloc(cap);
	if (!buf)
		return err_new(-ENOMEM);
	n_runs = queue_peek(q, runs);
	for (int i = 0; i < n_runs; i++) {
		memcpy(buf + at, runs[i].iov_base, runs[i].iov_len);
		at += runs[i].iov_len;
	}
	extra = cap - (q->cap ? q->cap : QUEUE_CAP_MIN);
	free(q->buf);
	q->budget->used += extra;
	q->buf = buf;
	q->cap = cap;
	q->head = 0;
	return 0;
}

int queue_push(struct queue *q, const uint8_t *bytes, size_t n, size_t reserve)
{
	size_t need = q->n + n + reserve, tail, first;
	int r;

	if (n > q->max || reserve > q->max || need > q->max)
		return QUEUE_E_FULL;
	if (need > q->cap) {
		r = grow(q, need);
		if (r != 0)
			return r;
	}
	tail = (q->head + q->n) & (q->cap - 1);
	first = q->cap - tail < n ? q->cap - tail : n;
	memcpy(q->buf + tail, bytes, first);
	memcpy(q->buf, bytes + first, n - first);
	q->n += n;
	return 0;
}

void queue_pop(struct queue *q, size_t n)
{
	assert(n <= q->n);
	q->n -= n;
	q->head = q->n == 0 ? 0 : (q->head + n) & (q->cap - 1);
}
