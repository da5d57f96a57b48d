/* Identities: the certificate with evidence inside is what rtls_appraise() takes. */
#include "tls/tls_test.h"

#include <errno.h>
#include <openssl/x509.h>
#include <time.h>

#include "rats/evidence.h"

static size_t envelope(uint8_t *out, size_t size, uint64_t tag, size_t n_body)
{
	static uint8_t body[IDENTITY_EVIDENCE_MAX];
	struct wspan w = WSPAN(out, size);

	memset(body, 'q', sizeof(body));
	envelope_write(&w, tag, SPAN(body, n_body), SPAN(NULL, 0));
	assert_false(w.overflow);
	return w.n;
}

static uint8_t *certificate_der(const struct rtls_identity *id, size_t *n)
{
	uint8_t *der = NULL;
	int len = i2d_X509(SSL_CTX_get0_certificate(id->tls), &der);

	assert_true(len > 0);
	*n = (size_t)len;
	return der;
}

static void test_certificate(void **state)
{
	struct rtls_identity *a = NULL, *b = NULL;
	X509 *x, *y;

	(void)state;
	assert_int_equal(rtls_identity_new(&a), 0);
	assert_int_equal(rtls_identity_new(&b), 0);
	x = SSL_CTX_get0_certificate(a->tls);
	y = SSL_CTX_get0_certificate(b->tls);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	assert_int_equal(X509_get_version(x), X509_VERSION_3);
	assert_true(X509_cmp_time(X509_get0_notBefore(x), NULL) < 0);
	assert_true(X509_cmp_time(X509_get0_notAfter(x), NULL) > 0);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)),
			     0);
	assert_int_equal(EVP_PKEY_eq(a->key, b->key), 0);
	assert_memory_not_equal(a->spki, b->spki, SPKI_DIGEST);
	rtls_identity_free(a);
	rtls_identity_free(b);
}

/* Appraised, the evidence is found; its claims buffer is ours and says the key. */
static void test_evidence(void **state)
{
	static const uint64_t tags[] = { EVIDENCE_TAG_INTEL_QUOTE, EVIDENCE_TAG_SNP,
					 EVIDENCE_TAG_NULL };
	uint8_t bytes[2000], report[64];
	struct rtls_context with = { .size = sizeof(with), .time = time(NULL) };
	struct rtls_policy *policy = NULL;
	struct rtls_identity *id = NULL;

	(void)state;
	assert_int_equal(rtls_policy_parse("insecure: null\n", 15, &policy, NULL, 0), 0);
	assert_int_equal(rtls_identity_new(&id), 0);
	assert_int_equal(rtls_identity_report_data(id, report), 0);
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		const size_t n = envelope(bytes, sizeof(bytes), tags[i], 1000);
		struct rtls_verdict *v = NULL;
		struct evidence e;
		size_t n_der;
		uint8_t *der;

		assert_int_equal(rtls_identity_set_evidence(id, bytes, n, "\x41x", 2), 0);
		der = certificate_der(id, &n_der);
		assert_int_equal(rtls_inspect(NULL, der, n_der, &with, &v), 0);
		rtls_verdict_free(v);
		assert_int_equal(verdict_new(&v), 0);
		assert_true(evidence_find(SPAN(der, n_der), &e, v));
		assert_true(e.is_certificate);
		assert_int_equal(e.tag, tags[i]);
		assert_int_equal(e.body.n, 1000);
		assert_int_equal(e.endorsements.n, 2);
		assert_int_equal(e.n_bound, 1);
		assert_memory_equal(e.bound[0], report, 64);
		evidence_deinit(&e);
		rtls_verdict_free(v);
		OPENSSL_free(der);
	}
	rtls_identity_free(id);
	rtls_policy_free(policy);
}

/* The claims buffer of one key does not vouch for another. */
static void test_bound_to_key(void **state)
{
	uint8_t bytes[2000];
	struct rtls_identity *a = NULL, *b = NULL;
	struct rtls_verdict *v = NULL;
	struct evidence e;
	size_t n_der;
	uint8_t *der;

	(void)state;
	assert_int_equal(rtls_identity_new(&a), 0);
	assert_int_equal(rtls_identity_new(&b), 0);
	memcpy(a->claims, b->claims, sizeof(a->claims));
	assert_int_equal(rtls_identity_set_evidence(
				 a, bytes,
				 envelope(bytes, sizeof(bytes), EVIDENCE_TAG_INTEL_QUOTE, 1000),
				 NULL, 0),
			 0);
	der = certificate_der(a, &n_der);
	assert_int_equal(verdict_new(&v), 0);
	assert_false(evidence_find(SPAN(der, n_der), &e, v));
	assert_int_equal(rtls_verdict_failed(v), RTLS_CHECK_BINDING);
	evidence_deinit(&e);
	rtls_verdict_free(v);
	OPENSSL_free(der);
	rtls_identity_free(a);
	rtls_identity_free(b);
}

/* The largest evidence that an identity takes fits into a handshake; more it does not take. */
static void test_large(void **state)
{
	static uint8_t bytes[IDENTITY_EVIDENCE_MAX + 100];
	struct rtls_identity *id = NULL;
	struct rtls_session_config c = test_config(RTLS_CLIENT, NULL);
	struct rtls_session_config s = test_config(RTLS_SERVER, NULL);
	struct test_end *client, *server;
	size_t n;

	(void)state;
	assert_int_equal(rtls_identity_new(&id), 0);
	n = envelope(bytes, sizeof(bytes), EVIDENCE_TAG_INTEL_QUOTE, IDENTITY_EVIDENCE_MAX - 8);
	assert_int_equal(n, IDENTITY_EVIDENCE_MAX);
	assert_int_equal(rtls_identity_set_evidence(id, bytes, n, bytes, 1), -EINVAL);
	assert_int_equal(rtls_identity_set_evidence(id, bytes, n - 1, NULL, 0), -EINVAL);
	assert_int_equal(rtls_identity_set_evidence(id, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(rtls_identity_set_evidence(id, bytes, n, NULL, 0), 0);
	c.identity = s.identity = id;
	client = test_end_new(&c);
	server = test_end_new(&s);
	test_exchange(client, server, 0);
	assert_true(client->done && server->done);
	(void)rtls_session_peer_certificate(client->s, &n);
	assert_true(n > IDENTITY_EVIDENCE_MAX);
	test_end_free(client);
	test_end_free(server);
	rtls_identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_bound_to_key),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
