/*
 * Two threads and one identity: what rats_identity(3) promises. cmocka's checks are for the first
 * thread, so what the others find is counted. Sanitizers see the rest.
 */
#include <pthread.h>

#include "tls/tls_test.h"

enum { N_THREADS = 2, N_SESSIONS = 40 };

static struct rtls_identity *shared;

struct end {
	struct rtls_session *s;
	uint8_t plain[RTLS_RECORD_MAX];
	size_t n_plain;
	bool done;
};

/* What one side has to say goes to the other. True: something has moved. */
static bool carry(struct end *from, struct end *to)
{
	uint8_t bytes[4096];
	size_t n = 0, used, got;

	if (rtls_session_drain(from->s, bytes, sizeof(bytes), &n) != 0)
		return false;
	for (size_t at = 0; at < n; at += used)
		if (rtls_session_feed(to->s, bytes + at, n - at, &used, to->plain,
				      sizeof(to->plain), &got) != 0)
			return false;
	while (rtls_session_next_event(to->s) == RTLS_EVENT_HANDSHAKE_DONE)
		to->done = true;
	return n > 0;
}

static bool says_hello(struct end *from, struct end *to)
{
	const struct iovec iov = { "hello", 5 };
	uint8_t bytes[1000];
	size_t taken, n, used, got = 0;

	return rtls_session_seal(from->s, &iov, 1, 0, bytes, sizeof(bytes), &taken, &n) == 0 &&
	       rtls_session_feed(to->s, bytes, n, &used, to->plain, sizeof(to->plain), &got) == 0 &&
	       got == 5 && memcmp(to->plain, "hello", 5) == 0;
}

static bool one_session(void)
{
	const struct rtls_session_config configs[] = { test_config(RTLS_CLIENT, shared),
						       test_config(RTLS_SERVER, shared) };
	struct end *e = calloc(2, sizeof(*e));
	uint8_t data[2][64];
	bool ok = e && rtls_session_new(&configs[0], &e[0].s) == 0 &&
		  rtls_session_new(&configs[1], &e[1].s) == 0;

	while (ok && (carry(&e[0], &e[1]) | carry(&e[1], &e[0])))
		;
	ok = ok && e[0].done && e[1].done;
	for (int i = 0; ok && i < 2; i++)
		ok = rtls_session_report_data(e[i].s, RTLS_CLIENT, "nonce", 5, data[i]) == 0;
	ok = ok && memcmp(data[0], data[1], sizeof(data[0])) == 0;
	for (int i = 0; ok && i < 2; i++)
		rtls_session_decide(e[i].s, RTLS_TRUSTED);
	ok = ok && says_hello(&e[0], &e[1]) && says_hello(&e[1], &e[0]);
	for (int i = 0; e && i < 2; i++)
		rtls_session_free(e[i].s);
	free(e);
	return ok;
}

static void *run(void *arg)
{
	int *n_good = arg;

	for (int i = 0; i < N_SESSIONS; i++)
		*n_good += one_session();
	return NULL;
}

static void threads_share_an_identity(void **state)
{
	pthread_t threads[N_THREADS];
	int n_good[N_THREADS] = { 0 };

	(void)state;
	assert_int_equal(rtls_identity_new(&shared), 0);
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, &n_good[i]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(n_good[i], N_SESSIONS);
	}
	rtls_identity_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_an_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
