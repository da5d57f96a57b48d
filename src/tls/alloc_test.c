/*
 * The allocations of an identity, a handshake and the traffic behind it fail: each of ours once,
 * and of OpenSSL's, which makes thousands, every STRIDE-th. Nothing may crash or leak; a session
 * either works, or says that it does not and lets nothing through.
 */
#include "tls/tls_test.h"

#include <errno.h>
#include <openssl/crypto.h>

enum { STRIDE = 17 };

static bool spare_crypto;   /* OpenSSL's allocations do not fail */
static long countdown = -1; /* until the one that fails; < 0: none does */
static bool failed;

static bool fails_now(void)
{
	if (countdown < 0 || countdown-- > 0)
		return false;
	failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return fails_now() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return !spare_crypto && fails_now() ? NULL : __real_malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return !spare_crypto && fails_now() ? NULL : __real_realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* No asserts and no memory of its own in here: those of the harness must not fail. */
struct side {
	struct rtls_session *s;
	uint8_t in[8192];
	size_t n;
	uint8_t plain[RTLS_RECORD_MAX];
	size_t n_plain;
};

static struct side sides[2];

static void carry(struct side *from, struct side *to)
{
	size_t used, n;

	if (rtls_session_drain(from->s, to->in + to->n, sizeof(to->in) - to->n, &n) == 0)
		to->n += n;
	/* In two pieces: the stash has to be allocated. */
	for (size_t piece = to->n / 2; to->n > 0; piece = to->n) {
		if (rtls_session_feed(to->s, to->in, piece, &used, to->plain, sizeof(to->plain),
				      &n) != 0)
			used = to->n;
		to->n_plain += n;
		memmove(to->in, to->in + used, to->n - used);
		to->n -= used;
		if (rtls_session_next_event(to->s) == RTLS_EVENT_HANDSHAKE_DONE)
			rtls_session_decide(to->s, RTLS_TRUSTED);
	}
}

static bool say(struct side *from, struct side *to)
{
	static char text[] = "hello";
	const struct iovec iov = { .iov_base = text, .iov_len = 5 };
	size_t taken, n;

	if (rtls_session_seal(from->s, &iov, 1, 0, to->in + to->n, sizeof(to->in) - to->n, &taken,
			      &n) != 0)
		return false;
	to->n += n;
	to->n_plain = 0;
	carry(from, to);
	return to->n_plain == 5 && memcmp(to->plain, "hello", 5) == 0;
}

static bool talk(const struct rtls_identity *id, const char *backend)
{
	struct side *c = &sides[0], *s = &sides[1];

	for (int i = 0; i < 2; i++) {
		struct rtls_session_config config = test_config(i ? RTLS_SERVER : RTLS_CLIENT, id);

		config.cipher_backend = backend;
		if (rtls_session_new(&config, &sides[i].s) != 0)
			return false;
	}
	for (int i = 0; i < 3; i++) {
		carry(c, s);
		carry(s, c);
	}
	if (!say(c, s) || !say(s, c) || session_update_key(c->s, true) < 0)
		return false;
	carry(c, s);
	carry(s, c);
	return say(c, s) && say(s, c);
}

static bool run(const char *backend)
{
	static const uint8_t envelope[] = { 0xd9, 0xea, 0x60, 0x82, 0x41, 'q', 0x40 };
	struct rtls_identity *id = NULL;
	uint8_t report[64];
	bool ok;

	memset(sides, 0, sizeof(sides));
	ok = rtls_identity_new(&id) == 0 && rtls_identity_report_data(id, report) == 0 &&
	     rtls_identity_set_evidence(id, envelope, sizeof(envelope), NULL, 0) == 0 &&
	     talk(id, backend) &&
	     rtls_session_report_data(sides[0].s, RTLS_CLIENT, "n", 1, report) == 0;
	for (int i = 0; i < 2; i++)
		rtls_session_free(sides[i].s);
	rtls_identity_free(id);
	return ok;
}

/* How many runs it takes; *out_bad of them did not get through. */
static long fail_each(const char *backend, long stride, long *out_bad)
{
	long n_runs = 0, n_bad = 0;

	assert_true(run(backend)); /* and OpenSSL's caches are filled */
	for (long at = 0;; at += stride) {
		bool ok;

		countdown = at;
		failed = false;
		ok = run(backend);
		countdown = -1;
		if (!failed)
			break;
		n_runs++;
		n_bad += !ok;
	}
	assert_true(run(backend));
	*out_bad = n_bad;
	return n_runs;
}

static void test_each(void **state)
{
	static const char *const names[] = { "evp", "ipsec-mb" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		long n, n_bad;

		if (!aead_is_here(names[i]))
			continue;
		n = fail_each(names[i], STRIDE, &n_bad);
		print_message("%s: %ld allocations failed, %ld mattered\n", names[i], n, n_bad);
		assert_true(n > 300 && n_bad > 100);
		spare_crypto = true;
		n = fail_each(names[i], 1, &n_bad);
		spare_crypto = false;
		print_message("%s: of ours %ld, %ld\n", names[i], n, n_bad);
		assert_true(n >= 15);
		assert_int_equal(n_bad, n); /* we can do without none of ours */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each) };

	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
