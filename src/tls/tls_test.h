/* Sessions for tests: pairs of them, and what carries their bytes. For x_test.c files only. */
#ifndef ENG_TLS_TEST_H
#define ENG_TLS_TEST_H

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#include "tls/session.h"

enum { TEST_BUF = 1 << 18 };

/* A small generator, so that a failure can be repeated: its seed is printed. */
static uint64_t test_seed = 1;

static inline uint32_t test_random(uint32_t below)
{
	test_seed = test_seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(test_seed >> 33) % below;
}

/* What is under way to one side. */
struct test_wire {
	uint8_t bytes[TEST_BUF];
	size_t n;
};

struct test_end {
	struct rtls_session *s;
	struct test_wire in;	     /* to this side */
	uint8_t plain[TEST_BUF * 4]; /* what has come out */
	size_t n_plain;
	int feed; /* the last return of feed */
	bool done, closed, failed;
};

static inline struct rtls_session_config test_config(enum rtls_role role,
						     const struct rtls_identity *id)
{
	return (struct rtls_session_config){ .size = sizeof(struct rtls_session_config),
					     .role = role,
					     .identity = id,
					     .alpn = "eng/1" };
}

static inline void test_wire_put(struct test_wire *w, const void *bytes, size_t n)
{
	assert_true(n <= sizeof(w->bytes) - w->n);
	memcpy(w->bytes + w->n, bytes, n);
	w->n += n;
}

static inline void test_wire_pop(struct test_wire *w, size_t n)
{
	memmove(w->bytes, w->bytes + n, w->n - n);
	w->n -= n;
}

static inline void test_events(struct test_end *e)
{
	enum rtls_event event;

	while ((event = rtls_session_next_event(e->s)) != RTLS_EVENT_NONE) {
		e->done = e->done || event == RTLS_EVENT_HANDSHAKE_DONE;
		e->closed = e->closed || event == RTLS_EVENT_CLOSED;
		e->failed = e->failed || event == RTLS_EVENT_FAILED;
	}
}

static inline void test_drain(struct test_end *from, struct test_wire *to)
{
	uint8_t out[1000];
	size_t n;

	do {
		assert_int_equal(rtls_session_drain(from->s, out, sizeof(out), &n), 0);
		test_wire_put(to, out, n);
	} while (n > 0);
	assert_false(rtls_session_has_output(from->s));
}

/* At most n bytes that wait for e go in. The input is a copy: feed may write over it. */
static inline void test_feed(struct test_end *e, size_t n)
{
	size_t used, got;
	uint8_t *copy;

	n = n < e->in.n ? n : e->in.n;
	copy = malloc(n + 1);
	assert_non_null(copy);
	memcpy(copy, e->in.bytes, n);
	if (sizeof(e->plain) - e->n_plain < RTLS_RECORD_MAX)
		e->n_plain = 0;
	e->feed = rtls_session_feed(e->s, copy, n, &used, e->plain + e->n_plain,
				    sizeof(e->plain) - e->n_plain, &got);
	free(copy);
	e->n_plain += got;
	test_wire_pop(&e->in, used);
	test_events(e);
}

/* Both ways, in pieces of at most `chunk` bytes (0: of random size), until nothing moves. */
static inline void test_exchange(struct test_end *a, struct test_end *b, size_t chunk)
{
	do {
		test_drain(a, &b->in);
		test_drain(b, &a->in);
		test_feed(a, chunk ? chunk : 1 + test_random(3000));
		test_feed(b, chunk ? chunk : 1 + test_random(3000));
		test_drain(a, &b->in);
		test_drain(b, &a->in);
	} while (a->in.n > 0 || b->in.n > 0);
}

/* Everything is sealed; 0 or the first error. */
static inline int test_send(struct test_end *from, struct test_end *to, const void *bytes, size_t n)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	uint8_t out[RTLS_RECORD_MAX * 2];
	size_t done = 0, taken, n_out;
	int r;

	while (done < n) {
		r = rtls_session_seal(from->s, &iov, 1, done, out, sizeof(out), &taken, &n_out);
		if (r < 0)
			return r;
		done += taken;
		test_wire_put(&to->in, out, n_out);
	}
	return 0;
}

static inline struct test_end *test_end_new(const struct rtls_session_config *config)
{
	struct test_end *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	assert_int_equal(rtls_session_new(config, &e->s), 0);
	return e;
}

static inline void test_end_free(struct test_end *e)
{
	rtls_session_free(e->s);
	free(e);
}

#endif
