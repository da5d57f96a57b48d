/* Two of our sessions against each other: delivery, the gate, identity, and who is let in. */
#include "tls/tls_test.h"

#include <errno.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
