/* Two of our sessions against each other: delivery, the gate, identity, and who is let in. */
#include "tls/tls_test.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

struct pair {
	struct rtls_identity *id[2];
	struct test_end *client, *server;
};

static void pair_open(struct pair *p, struct rtls_session_config client,
		      struct rtls_session_config server)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(rtls_identity_new(&p->id[i]), 0);
	client.identity = p->id[0];
	server.identity = p->id[1];
	p->client = test_end_new(&client);
	p->server = test_end_new(&server);
}

static void pair_close(struct pair *p)
{
	test_end_free(p->client);
	test_end_free(p->server);
	for (int i = 0; i < 2; i++)
		rtls_identity_free(p->id[i]);
}

static void pair_trusted(struct pair *p, const char *client_backend, const char *server_backend)
{
	struct rtls_session_config client = test_config(RTLS_CLIENT, NULL);
	struct rtls_session_config server = test_config(RTLS_SERVER, NULL);

	client.cipher_backend = client_backend;
	server.cipher_backend = server_backend;
	pair_open(p, client, server);
	test_exchange(p->client, p->server, TEST_BUF);
	assert_true(p->client->done && p->server->done);
	rtls_session_decide(p->client->s, RTLS_TRUSTED);
	rtls_session_decide(p->server->s, RTLS_TRUSTED);
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)test_random(256);
}

static void check_transfer(struct test_end *from, struct test_end *to, size_t n, size_t chunk)
{
	static uint8_t bytes[TEST_BUF];

	fill(bytes, n);
	to->n_plain = 0;
	assert_int_equal(test_send(from, to, bytes, n), 0);
	test_exchange(from, to, chunk);
	assert_int_equal(to->feed, 0);
	assert_int_equal(to->n_plain, n);
	assert_memory_equal(to->plain, bytes, n);
}

static void test_delivery(void **state)
{
	static const size_t chunks[] = { 1, 7, 0, TEST_BUF };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		struct pair p;

		pair_open(&p, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
		test_exchange(p.client, p.server, chunks[i]);
		assert_true(p.client->done && p.server->done);
		assert_string_equal(rtls_session_alpn(p.client->s), "eng/1");
		assert_string_equal(rtls_session_alpn(p.server->s), "eng/1");
		rtls_session_decide(p.client->s, RTLS_TRUSTED);
		rtls_session_decide(p.server->s, RTLS_TRUSTED);
		for (size_t n = 1; n < 100000; n = n * 3 + 1) {
			check_transfer(p.client, p.server, n, chunks[i]);
			check_transfer(p.server, p.client, n, chunks[i]);
		}
		pair_close(&p);
	}
}

static void test_backends(void **state)
{
	static const char *const names[] = { "evp", "ipsec-mb" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const char *a = names[i % 2], *b = names[i / 2];
		struct pair p;
		char want[64];

		if (!aead_is_here(a) || !aead_is_here(b))
			continue;
		pair_trusted(&p, a, b);
		snprintf(want, sizeof(want), "TLS_AES_128_GCM_SHA256 %s", a);
		assert_string_equal(rtls_session_cipher(p.client->s), want);
		for (size_t n = 1; n < 70000; n += 1 + test_random(4000)) {
			check_transfer(p.client, p.server, n, 0);
			check_transfer(p.server, p.client, n, 0);
		}
		pair_close(&p);
	}
}

static void test_close(void **state)
{
	uint8_t out[64];
	size_t taken, n;
	const struct iovec iov = { .iov_base = out, .iov_len = 1 };
	struct pair p;

	(void)state;
	pair_trusted(&p, NULL, NULL);
	rtls_session_close(p.client->s);
	assert_int_equal(rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			 -EPROTO);
	test_exchange(p.client, p.server, 0);
	assert_true(p.server->closed && !p.server->failed && !p.client->closed);
	check_transfer(p.server, p.client, 5000, 0); /* the other direction goes on */
	rtls_session_close(p.server->s);
	test_exchange(p.client, p.server, 0);
	assert_true(p.client->closed && !p.client->failed);
	pair_close(&p);
}

static void test_gate(void **state)
{
	struct rtls_session_config client = test_config(RTLS_CLIENT, NULL);
	struct rtls_session_config server = test_config(RTLS_SERVER, NULL);
	uint8_t bytes[300], out[1000];
	const struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	size_t taken, n;
	struct pair p;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	client.untrusted_max = 500;
	server.untrusted_max = 400;
	pair_open(&p, client, server);
	assert_int_equal(rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			 -EAGAIN);
	test_exchange(p.client, p.server, 0);
	assert_int_equal(rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			 0);
	assert_int_equal(taken, 300);
	test_wire_put(&p.server->in, out, n);
	test_exchange(p.client, p.server, 0);
	assert_int_equal(p.server->n_plain, 300);
	/* Sealing takes what is left and then nothing. */
	assert_int_equal(rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			 0);
	assert_int_equal(taken, 200);
	test_wire_put(&p.server->in, out, n);
	assert_int_equal(rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			 -EACCES);
	/* The 200 are more than the server takes from someone whom it does not trust. */
	test_exchange(p.client, p.server, 0);
	assert_int_equal(p.server->n_plain, 300);
	assert_int_equal(p.server->feed, -EPROTO);
	assert_true(p.server->failed && p.client->failed);
	assert_non_null(strstr(rtls_session_why(p.client->s), "unexpected_message"));
	pair_close(&p);

	/* With trust there is no limit, and each direction has its own. */
	pair_open(&p, client, server);
	test_exchange(p.client, p.server, 0);
	rtls_session_decide(p.client->s, RTLS_TRUSTED);
	check_transfer(p.client, p.server, 400, 0);
	rtls_session_decide(p.server->s, RTLS_TRUSTED);
	check_transfer(p.client, p.server, 4000, 0);
	check_transfer(p.server, p.client, 4000, 0);
	pair_close(&p);
}

/* What the peer sends right behind its Finished meets the decision about it. */
static void test_early_decision(void **state)
{
	static uint8_t plain[RTLS_RECORD_MAX];
	struct pair p;
	size_t used, n;

	(void)state;
	pair_open(&p, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
	test_drain(p.client, &p.server->in);
	test_feed(p.server, TEST_BUF);
	test_drain(p.server, &p.client->in);
	test_feed(p.client, TEST_BUF);
	assert_true(p.client->done && !p.server->done);
	rtls_session_decide(p.client->s, RTLS_TRUSTED);
	test_drain(p.client, &p.server->in);
	assert_int_equal(test_send(p.client, p.server, "hello", 5), 0);
	assert_int_equal(rtls_session_feed(p.server->s, p.server->in.bytes, p.server->in.n, &used,
					   plain, sizeof(plain), &n),
			 0);
	assert_true(used < p.server->in.n && n == 0);
	assert_int_equal(rtls_session_next_event(p.server->s), RTLS_EVENT_HANDSHAKE_DONE);
	rtls_session_decide(p.server->s, RTLS_TRUSTED);
	assert_int_equal(rtls_session_feed(p.server->s, p.server->in.bytes + used,
					   p.server->in.n - used, &used, plain, sizeof(plain), &n),
			 0);
	assert_int_equal(n, 5);
	assert_memory_equal(plain, "hello", 5);
	pair_close(&p);
}

static void test_rejected(void **state)
{
	static const enum rtls_result results[] = { RTLS_REJECTED, RTLS_UNDECIDED,
						    (enum rtls_result)7 };
	uint8_t out[100];
	const struct iovec iov = { .iov_base = out, .iov_len = 1 };
	size_t taken, n;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		struct rtls_session_config config = test_config(RTLS_CLIENT, NULL);

		config.untrusted_max = 100;
		pair_open(&p, config, test_config(RTLS_SERVER, NULL));
		test_exchange(p.client, p.server, 0);
		rtls_session_decide(p.client->s, results[i]);
		assert_true(rtls_session_has_output(p.client->s));
		assert_int_equal(
			rtls_session_seal(p.client->s, &iov, 1, 0, out, sizeof(out), &taken, &n),
			-EPROTO);
		rtls_session_decide(p.client->s, RTLS_TRUSTED); /* too late */
		test_exchange(p.client, p.server, 0);
		assert_true(p.client->failed && p.server->failed);
		assert_int_equal(p.client->feed, -EPROTO);
		assert_non_null(strstr(rtls_session_why(p.server->s), "access denied"));
		pair_close(&p);
	}
	/* Trust before there is anybody to be trusted is an error of the caller. */
	pair_open(&p, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
	rtls_session_decide(p.server->s, RTLS_TRUSTED);
	test_exchange(p.client, p.server, 0);
	assert_true(p.server->failed && !p.client->done);
	pair_close(&p);
}

static void report(struct test_end *e, enum rtls_role of, const char *nonce, uint8_t out[64])
{
	assert_int_equal(rtls_session_report_data(e->s, of, nonce, strlen(nonce), out), 0);
}

static void test_report_data(void **state)
{
	uint8_t want[64], other[64], nonce[65] = { 0 };
	struct pair p, q;

	(void)state;
	pair_open(&p, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
	assert_int_equal(rtls_session_report_data(p.client->s, RTLS_CLIENT, "n", 1, want), -EAGAIN);
	test_exchange(p.client, p.server, 0);
	for (enum rtls_role of = RTLS_CLIENT; of <= RTLS_SERVER; of++) {
		report(p.client, of, "nonce", want);
		report(p.server, of, "nonce", other);
		assert_memory_equal(want, other, 64); /* both sides agree */
		report(p.server, RTLS_CLIENT + RTLS_SERVER - of, "nonce", other);
		assert_memory_not_equal(want, other, 64); /* role */
		report(p.server, of, "nonc", other);
		assert_memory_not_equal(want, other, 64); /* nonce */
	}
	report(p.client, RTLS_CLIENT, "nonce", want);
	pair_open(&q, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
	test_exchange(q.client, q.server, 0);
	report(q.client, RTLS_CLIENT, "nonce", other);
	assert_memory_not_equal(want, other, 64); /* session */
	/* The key alone: another key in the same session. */
	p.client->s->spki[0][0] ^= 1;
	report(p.client, RTLS_CLIENT, "nonce", other);
	assert_memory_not_equal(want, other, 64);
	p.client->s->spki[0][0] ^= 1;
	p.client->s->exporter[0][0] ^= 1;
	report(p.client, RTLS_CLIENT, "nonce", other);
	assert_memory_not_equal(want, other, 64);
	assert_int_equal(rtls_session_report_data(q.client->s, RTLS_CLIENT, nonce, 64, want), 0);
	assert_int_equal(rtls_session_report_data(q.client->s, RTLS_CLIENT, nonce, 65, want),
			 -EINVAL);
	assert_int_equal(rtls_session_report_data(q.client->s, RTLS_ROLE_NONE, nonce, 1, want),
			 -EINVAL);
	pair_close(&p);
	pair_close(&q);
}

static void test_peer_certificate(void **state)
{
	struct pair p;
	size_t n;

	(void)state;
	pair_open(&p, test_config(RTLS_CLIENT, NULL), test_config(RTLS_SERVER, NULL));
	test_exchange(p.client, p.server, 0);
	for (int i = 0; i < 2; i++) {
		struct rtls_session *s = i ? p.server->s : p.client->s;
		const void *der = rtls_session_peer_certificate(s, &n);
		uint8_t *want = NULL;
		int n_want = i2d_X509(SSL_CTX_get0_certificate(p.id[1 - i]->tls), &want);

		assert_int_equal(n, n_want);
		assert_memory_equal(der, want, n);
		OPENSSL_free(want);
	}
	pair_close(&p);
}

/* Both renew their keys, at the limit and because the other side asks. */
static void test_key_limit(void **state)
{
	struct pair p;

	(void)state;
	pair_trusted(&p, NULL, NULL);
	p.client->s->tx.seq = p.server->s->rx.seq = RECORD_KEY_SOFT - 2;
	check_transfer(p.client, p.server, 100000, 0);
	assert_true(p.client->s->tx.seq < 100 && p.server->s->rx.seq < 100);
	check_transfer(p.server, p.client, 100000, 0);

	/* One that would go on with its key is asked for a new one, once. */
	p.client->s->tx.seq = 0;
	p.server->s->rx.seq = 0;
	check_transfer(p.client, p.server, 10, 0);
	p.server->s->rx.seq = p.client->s->tx.seq = RECORD_KEY_SOFT - 1;
	assert_int_equal(test_send(p.client, p.server, "x", 1), 0);
	test_feed(p.server, TEST_BUF);
	assert_true(p.server->s->asked);
	test_exchange(p.client, p.server, 0);
	assert_false(p.server->s->asked);
	assert_true(p.server->s->rx.seq < 100 && p.client->s->tx.seq < 100);
	check_transfer(p.client, p.server, 100000, 0);
	check_transfer(p.server, p.client, 100000, 0);
	pair_close(&p);
}

/* What a session takes when its handshake is done and nothing is under way. */
static void test_idle_memory(void **state)
{
	enum { N = 50, LIMIT = 20 * 1024 };
	static struct pair pairs[N];
	static struct rtls_session *sessions[2 * N];
	size_t before, each;

	(void)state;
	pair_trusted(&pairs[0], NULL, NULL); /* what is made once is there */
	pair_close(&pairs[0]);
	for (int i = 0; i < N; i++) {
		pair_trusted(&pairs[i], NULL, NULL);
		check_transfer(pairs[i].client, pairs[i].server, 50000, 0);
		sessions[2 * i] = pairs[i].client->s;
		sessions[2 * i + 1] = pairs[i].server->s;
	}
	before = mallinfo2().uordblks;
	for (int i = 0; i < 2 * N; i++)
		rtls_session_free(sessions[i]);
	each = (before - mallinfo2().uordblks) / (2 * N);
	print_message("%zu bytes\n", each);
	assert_true(each < LIMIT);
	for (int i = 0; i < N; i++) {
		pairs[i].client->s = pairs[i].server->s = NULL;
		pair_close(&pairs[i]);
	}
}

static void test_misuse(void **state)
{
	struct rtls_identity *id = NULL;
	struct rtls_session_config c;
	struct rtls_session *s = NULL;
	uint8_t byte[1], plain[RTLS_RECORD_MAX];
	size_t used, n;
	char alpn[257];

	(void)state;
	memset(alpn, 'a', 256);
	alpn[256] = '\0';
	assert_int_equal(rtls_identity_new(&id), 0);
	c = test_config(RTLS_ROLE_NONE, id);
	assert_int_equal(rtls_session_new(&c, &s), -EINVAL);
	c = test_config(RTLS_CLIENT, NULL);
	assert_int_equal(rtls_session_new(&c, &s), -EINVAL);
	c = test_config(RTLS_CLIENT, id);
	c.size--;
	assert_int_equal(rtls_session_new(&c, &s), -EINVAL);
	c = test_config(RTLS_CLIENT, id);
	c.alpn = alpn;
	assert_int_equal(rtls_session_new(&c, &s), -EINVAL);
	c.alpn = "";
	assert_int_equal(rtls_session_new(&c, &s), -EINVAL);
	c = test_config(RTLS_CLIENT, id);
	c.cipher_backend = "none such";
	assert_int_equal(rtls_session_new(&c, &s), -ENOTSUP);
	assert_null(s);
	c = test_config(RTLS_CLIENT, id);
	assert_int_equal(rtls_session_new(&c, &s), 0);
	assert_int_equal(rtls_session_feed(s, byte, 1, &used, plain, sizeof(plain) - 1, &n),
			 -EINVAL);
	assert_string_equal(rtls_session_why(s), "");
	rtls_session_free(s);
	rtls_session_free(NULL);
	rtls_identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery),       cmocka_unit_test(test_backends),
		cmocka_unit_test(test_close),	       cmocka_unit_test(test_gate),
		cmocka_unit_test(test_early_decision), cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_report_data),    cmocka_unit_test(test_peer_certificate),
		cmocka_unit_test(test_key_limit),      cmocka_unit_test(test_idle_memory),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
