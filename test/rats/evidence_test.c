/*
 * Envelopes and certificates around a genuine quote: what binds the quote to the rest, and one
 * forgery for each check of that. Includes the report data that a caller expects.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "forgery.h"
#include "rats/cborin.h"
#include "rats/text.h"

static struct dcap d;
static uint8_t quote[DCAP_BUF], file[2 * DCAP_BUF], buffer[256];
static struct rtls_collateral *collateral;
static struct rtls_policy *policy;

static int set_up(void **state)
{
	(void)state;
	forgery_platform(&d, P_SGX3);
	collateral = dcap_collateral(&d);
	policy = forgery_policy(P_SGX3, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rtls_collateral_free(collateral);
	rtls_policy_free(policy);
	dcap_deinit(&d);
	return 0;
}

static struct rtls_verdict *appraise_at(struct span s, int64_t now, struct span report_data)
{
	const struct rtls_context ctx = { .size = sizeof(ctx),
					  .time = now,
					  .report_data = report_data.p,
					  .report_data_size = report_data.n };
	struct rtls_verdict *v = NULL;

	assert_int_equal(appraise(&d.roots, policy, collateral, s, &ctx, &v), 0);
	return v;
}

static void expect_at(struct span s, int64_t now, struct span report_data, enum rtls_result result,
		      enum rtls_check failed)
{
	struct rtls_verdict *v = appraise_at(s, now, report_data);

	if (v->result != result || v->failed != failed)
		fail_msg("%s at %s: %s", rtls_result_name(v->result), rtls_check_name(v->failed),
			 v->why);
	rtls_verdict_free(v);
}

static void expect(struct span s, enum rtls_result result, enum rtls_check failed)
{
	expect_at(s, DCAP_NOW, SPAN(NULL, 0), result, failed);
}

/* A quote whose report data is the SHA-256 of these bytes, as RA-TLS wants it. */
static struct span quote_about(struct span bytes)
{
	memset(d.body + 320, 0, 64);
	assert_int_equal(EVP_Digest(bytes.p, bytes.n, d.body + 320, NULL, EVP_sha256(), NULL), 1);
	return SPAN(quote, dcap_quote(&d, quote));
}

/* {"pubkey-hash": h'[1, hash of the TLS key]'}: that key is PKI_ROGUE, the peer's own. */
static struct span claims_buffer(uint64_t alg, unsigned flip)
{
	struct wspan w = WSPAN(buffer, sizeof(buffer)), in;
	uint8_t inner[64], hash[32];

	assert_true(pkey_sha256(d.pki.key[PKI_ROGUE], hash));
	hash[31] ^= (uint8_t)flip;
	in = WSPAN(inner, sizeof(inner));
	cbor_put_head(&in, CBOR_ARRAY, 2);
	cbor_put_head(&in, CBOR_UINT, alg);
	cbor_put_bytes(&in, SPAN(hash, sizeof(hash)));
	cbor_put_head(&w, CBOR_MAP, 2);
	cbor_put_head(&w, CBOR_TEXT, 5);
	wspan_put(&w, "other", 5);
	cbor_put_bytes(&w, SPAN("x", 1));
	cbor_put_head(&w, CBOR_TEXT, 11);
	wspan_put(&w, "pubkey-hash", 11);
	cbor_put_bytes(&w, SPAN(inner, in.n));
	return SPAN(buffer, w.n);
}

static struct span envelope(uint64_t tag, struct span body, struct span claims)
{
	struct wspan w = WSPAN(file, sizeof(file));

	envelope_write(&w, tag, body, claims);
	assert_false(w.overflow);
	return SPAN(file, w.n);
}

/* A self-signed certificate of the peer's key around an extension; PEM, into `file`. */
static struct span certificate(const char *oid, struct span value, bool is_broken)
{
	static uint8_t pem[2 * DCAP_BUF];
	struct wspan w = WSPAN(pem, sizeof(pem));
	struct pki_cert c = { .cn = "RATS",
			      .issuer_cn = "RATS",
			      .key = PKI_ROGUE,
			      .signer = PKI_ROGUE,
			      .serial = 1,
			      .from = DCAP_NOW - 60,
			      .to = DCAP_NOW + 60,
			      .extension = value,
			      .extension_oid = oid,
			      .is_broken = is_broken };

	pki_cert_pem(&d.pki, &c, &w);
	assert_false(w.overflow);
	return SPAN(pem, w.n);
}

#define INTEROP "2.23.133.5.4.9"
#define LEGACY "1.2.840.113741.1337.6"
#define GRAMINE "0.6.9.42.840.113741.1337.6"

static void test_envelope(void **state)
{
	const struct span claims = claims_buffer(1, 0), q = quote_about(claims);

	(void)state;
	expect(envelope(60000, q, claims), RTLS_TRUSTED, RTLS_CHECK_NONE);
	expect(envelope(0x1a7504, q, claims), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	expect(envelope(60000, q, SPAN("\xa0", 1)), RTLS_REJECTED, RTLS_CHECK_BINDING);
	expect(envelope(60000, q, SPAN("", 0)), RTLS_TRUSTED, RTLS_CHECK_NONE);
}

static void test_envelope_malformed(void **state)
{
	const struct span claims = claims_buffer(1, 0), q = quote_about(claims);
	struct span s = envelope(60000, q, claims);

	(void)state;
	for (size_t n = 1; n < 12; n++)
		expect(SPAN(file, n), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	expect(SPAN(file, s.n - 1), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	file[s.n] = 0;
	expect(SPAN(file, s.n + 1), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	file[3] = 0x83; /* three elements */
	expect(s, RTLS_REJECTED, RTLS_CHECK_FORMAT);
	file[3] = 0x9f; /* of unknown length */
	expect(s, RTLS_REJECTED, RTLS_CHECK_FORMAT);
	expect(SPAN(file, 0), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	memset(file, 'x', 200);
	expect(SPAN(file, 200), RTLS_REJECTED, RTLS_CHECK_FORMAT);
}

static void test_expected_report_data(void **state)
{
	uint8_t data[64];
	struct span q;

	(void)state;
	memset(d.body + 320, 0xdd, 64);
	memset(data, 0xdd, 64);
	q = SPAN(quote, dcap_quote(&d, quote));
	expect_at(q, DCAP_NOW, SPAN(data, 64), RTLS_TRUSTED, RTLS_CHECK_NONE);
	expect_at(q, DCAP_NOW, SPAN(data, 63), RTLS_REJECTED, RTLS_CHECK_BINDING);
	data[63] ^= 1;
	expect_at(q, DCAP_NOW, SPAN(data, 64), RTLS_REJECTED, RTLS_CHECK_BINDING);
}

static void test_certificate(void **state)
{
	struct span claims = claims_buffer(1, 0), q = quote_about(claims);
	const struct span value = envelope(60000, q, claims);
	struct span cert = certificate(INTEROP, value, false);

	(void)state;
	expect(cert, RTLS_TRUSTED, RTLS_CHECK_NONE);
	expect_at(cert, DCAP_NOW + 61, SPAN(NULL, 0), RTLS_REJECTED, RTLS_CHECK_FRESHNESS);
	expect_at(cert, DCAP_NOW - 61, SPAN(NULL, 0), RTLS_REJECTED, RTLS_CHECK_FRESHNESS);
	expect(certificate(INTEROP, value, true), RTLS_REJECTED, RTLS_CHECK_SIGNATURE);
	expect(certificate("1.2.3.4", value, false), RTLS_REJECTED, RTLS_CHECK_FORMAT);

	/* a quote about claims that name another key, an unknown hash, or no key */
	claims = claims_buffer(1, 1);
	expect(certificate(INTEROP, envelope(60000, quote_about(claims), claims), false),
	       RTLS_REJECTED, RTLS_CHECK_BINDING);
	claims = claims_buffer(99, 0);
	expect(certificate(INTEROP, envelope(60000, quote_about(claims), claims), false),
	       RTLS_REJECTED, RTLS_CHECK_FORMAT);
	claims = SPAN("\xa0", 1);
	expect(certificate(INTEROP, envelope(60000, quote_about(claims), claims), false),
	       RTLS_REJECTED, RTLS_CHECK_FORMAT);
	/* right claims, but the quote is about other ones */
	q = quote_about(SPAN("y", 1));
	claims = claims_buffer(1, 0);
	expect(certificate(INTEROP, envelope(60000, q, claims), false), RTLS_REJECTED,
	       RTLS_CHECK_BINDING);
}

static void test_legacy_certificate(void **state)
{
	uint8_t hash[32];
	struct span q;

	(void)state;
	assert_true(pkey_sha256(d.pki.key[PKI_ROGUE], hash));
	memset(d.body + 320, 0, 64);
	memcpy(d.body + 320, hash, 32);
	q = SPAN(quote, dcap_quote(&d, quote));
	expect(certificate(LEGACY, q, false), RTLS_TRUSTED, RTLS_CHECK_NONE);
	expect(certificate(GRAMINE, q, false), RTLS_TRUSTED, RTLS_CHECK_NONE);
	d.body[320] ^= 1;
	q = SPAN(quote, dcap_quote(&d, quote));
	expect(certificate(LEGACY, q, false), RTLS_REJECTED, RTLS_CHECK_BINDING);
}

static void test_policy_is_for_another_tee(void **state)
{
	struct rtls_policy *sgx = policy;

	struct rtls_verdict *v;

	(void)state;
	policy = forgery_policy(P_TDX4, NULL);
	v = appraise_at(SPAN(quote, dcap_quote(&d, quote)), DCAP_NOW, SPAN(NULL, 0));
	assert_int_equal(v->failed, RTLS_CHECK_POLICY);
	assert_int_equal(claims_count(v->claims), 0); /* no verifier has run */
	rtls_verdict_free(v);
	rtls_policy_free(policy);
	policy = sgx;
}

/* Evidence too large for its TEE, or at all, is refused before anything reads it. */
static void test_sizes(void **state)
{
	static uint8_t large[EVIDENCE_MAX + 1];
	struct rtls_verdict *v;

	(void)state;
	memcpy(large, quote, dcap_quote(&d, quote));
	expect(SPAN(large, QUOTE_MAX + 1), RTLS_REJECTED, RTLS_CHECK_FORMAT);
	v = appraise_at(SPAN(large, sizeof(large)), DCAP_NOW, SPAN(NULL, 0));
	assert_non_null(strstr(v->why, "from 1 to"));
	rtls_verdict_free(v);
}

static void test_null(void **state)
{
	static const char text[] = "insecure: null\n";
	struct rtls_policy *secure = policy;
	struct rtls_claim claim;
	struct rtls_verdict *v;

	(void)state;
	assert_int_equal(rtls_policy_parse(text, strlen(text), &policy, NULL, 0), 0);
	assert_true(rtls_policy_is_insecure(policy));
	v = appraise_at(SPAN("", 0), DCAP_NOW, SPAN(NULL, 0));
	assert_int_equal(v->result, RTLS_TRUSTED);
	assert_string_equal(rtls_verdict_tee(v), "null");
	assert_true(rtls_verdict_find(v, "insecure", &claim) && claim.number == 1);
	rtls_verdict_free(v);
	rtls_policy_free(policy);
	policy = secure;
	assert_false(rtls_policy_is_insecure(policy));
}

/* Evidence inside other evidence is given to a verifier without asking which one recognises it. */
static void test_other_tee(void **state)
{
	struct appraisal a = { .body = SPAN(quote, dcap_quote(&d, quote)),
			       .collateral = collateral,
			       .roots = &d.roots,
			       .now = DCAP_NOW };
	struct rtls_verdict *v;

	(void)state;
	assert_int_equal(verdict_new(&v), 0);
	assert_int_equal(verifier_tdx.verify(&a, v), 0);
	assert_int_equal(v->failed, RTLS_CHECK_FORMAT);
	rtls_verdict_free(v);
}

/* Everything about the platform in one bundle: a CBOR array; and some certificates again. */
static struct span bundle_of(const struct dcap *w, size_t n_more)
{
	const struct pki_cert *certs[] = { &w->root, &w->ca, &w->tcb_signer };
	const struct pki_crl *crls[] = { &w->root_crl, &w->pck_crl };
	char *tcb = dcap_tcb_info(w), *qe = dcap_qe_identity(w);
	static uint8_t bundle[DCAP_BUF];
	struct wspan out = WSPAN(bundle, sizeof(bundle));

	cbor_put_head(&out, CBOR_ARRAY, 8 + n_more);
	cbor_put_head(&out, CBOR_UINT, 4);
	cbor_put_bytes(&out, SPAN(tcb, strlen(tcb)));
	cbor_put_bytes(&out, SPAN(qe, strlen(qe)));
	for (size_t i = 0; i < 5 + n_more; i++) {
		struct span der = i == 3 || i == 4 ? pki_crl_der(&w->pki, crls[i - 3])
						   : pki_cert_der(&w->pki, certs[i % 3]);

		cbor_put_bytes(&out, der);
		OPENSSL_free((void *)der.p);
	}
	free(tcb);
	free(qe);
	return SPAN(bundle, out.n);
}

static enum rtls_result appraise_many(const struct rtls_policy *p, struct span bundle, size_t n)
{
	const struct rtls_context ctx = { .size = sizeof(ctx),
					  .time = DCAP_NOW,
					  .endorsements = bundle.p,
					  .endorsements_size = bundle.n };
	enum rtls_result result;
	struct rtls_verdict *v;

	assert_int_equal(appraise(&d.roots, p, NULL, SPAN(quote, n), &ctx, &v), 0);
	result = rtls_verdict_result(v);
	rtls_verdict_free(v);
	return result;
}

/* What came along counts only where the policy says so, whatever is missing here. */
static void test_endorsements(void **state)
{
	const struct span bundle = bundle_of(&d, 0);
	const struct rtls_context ctx = { .size = sizeof(ctx),
					  .time = DCAP_NOW,
					  .endorsements = bundle.p,
					  .endorsements_size = bundle.n };
	struct rtls_policy *willing = forgery_policy(P_SGX3, "--\ncollateral: {from_peer: true}\n");
	const size_t n = dcap_quote(&d, quote);
	struct rtls_verdict *v;
	struct span many;

	(void)state;
	for (int missing = 0; missing < 4; missing++) {
		struct rtls_collateral *c;

		d.no_tcb = missing == 0;
		d.no_qe = missing == 1;
		d.pck_crl.is_absent = missing == 2;
		d.root_crl.is_absent = missing == 3;
		c = dcap_collateral(&d);
		assert_int_equal(appraise(&d.roots, policy, c, SPAN(quote, n), &ctx, &v), 0);
		assert_int_equal(v->result, RTLS_UNDECIDED);
		rtls_verdict_free(v);
		assert_int_equal(appraise(&d.roots, willing, c, SPAN(quote, n), &ctx, &v), 0);
		if (v->result != RTLS_TRUSTED)
			fail_msg("%s", v->why);
		rtls_verdict_free(v);
		rtls_collateral_free(c);
	}
	d.root_crl.is_absent = false;
	assert_int_equal(appraise(&d.roots, willing, NULL, SPAN(quote, n), &ctx, &v), 0);
	assert_int_equal(v->result, RTLS_TRUSTED);
	rtls_verdict_free(v);
	many = bundle_of(&d, 5);
	assert_int_equal(appraise_many(willing, many, n), RTLS_TRUSTED);
	many = bundle_of(&d, 6); /* too many to be tried against each other */
	assert_int_equal(appraise_many(willing, many, n), RTLS_UNDECIDED);
	rtls_policy_free(willing);
}

/* One bit anywhere in a quote, and it is not trusted: nothing in it is without meaning. */
static void test_every_bit_of_a_quote(void **state)
{
	const size_t n = dcap_quote(&d, quote);

	(void)state;
	expect(SPAN(quote, n), RTLS_TRUSTED, RTLS_CHECK_NONE);
	for (size_t i = 0; i < n; i++) {
		struct rtls_verdict *v;

		quote[i] ^= (uint8_t)(1u << i % 8);
		v = appraise_at(SPAN(quote, n), DCAP_NOW, SPAN(NULL, 0));
		if (v->result == RTLS_TRUSTED)
			fail_msg("bit %zu of byte %zu of %zu does not matter", i % 8, i, n);
		rtls_verdict_free(v);
		quote[i] ^= (uint8_t)(1u << i % 8);
	}
}

/* The same for the TCB info: a changed byte is refused or makes it another document. */
static void test_every_byte_of_tcb_info(void **state)
{
	const size_t n = dcap_quote(&d, quote);
	char *tcb = dcap_tcb_info(&d);
	struct rtls_collateral *genuine = collateral;

	(void)state;
	d.no_tcb = true;
	for (size_t i = 0; i < strlen(tcb); i += 3) {
		struct rtls_verdict *v;

		tcb[i] ^= 1;
		collateral = dcap_collateral_with(&d, tcb);
		v = appraise_at(SPAN(quote, n), DCAP_NOW, SPAN(NULL, 0));
		if (v->result == RTLS_TRUSTED)
			fail_msg("byte %zu does not matter: %s", i, tcb);
		rtls_verdict_free(v);
		rtls_collateral_free(collateral);
		tcb[i] ^= 1;
	}
	d.no_tcb = false;
	collateral = genuine;
	free(tcb);
}

/* Intel's CRLs come as hex, too. */
static void test_hex_crl(void **state)
{
	struct span der = pki_crl_der(&d.pki, &d.pck_crl);
	struct rtls_collateral *c;
	char text[4096];

	(void)state;
	hex_format(der, text, sizeof(text));
	assert_int_equal(rtls_collateral_new(&c), 0);
	assert_int_equal(rtls_collateral_add(c, text, strlen(text)), 0);
	assert_int_equal(collateral_n_crls(c), 1);
	text[9] = 'x';
	assert_int_equal(rtls_collateral_add(c, text, strlen(text)), 0);
	assert_int_equal(collateral_n_blobs(c), 1);
	rtls_collateral_free(c);
	OPENSSL_free((void *)der.p);
}

static void test_misuse(void **state)
{
	struct rtls_context ctx = { .size = sizeof(ctx) };
	struct rtls_collateral *unsealed;
	struct rtls_verdict *v = NULL;

	(void)state;
	assert_int_equal(rtls_appraise(policy, NULL, quote, 1, &ctx, &v), -EINVAL);
	ctx.time = DCAP_NOW;
	assert_int_equal(rtls_appraise(NULL, NULL, quote, 1, &ctx, &v), -EINVAL);
	assert_int_equal(rtls_appraise(policy, NULL, quote, 1, NULL, &v), -EINVAL);
	ctx.report_data = quote;
	ctx.report_data_size = 65;
	assert_int_equal(rtls_appraise(policy, NULL, quote, 1, &ctx, &v), -EINVAL);
	ctx = (struct rtls_context){ .size = 8, .time = DCAP_NOW };
	assert_int_equal(rtls_appraise(policy, NULL, quote, 1, &ctx, &v), -EINVAL);
	ctx.size = sizeof(ctx);
	assert_int_equal(rtls_collateral_new(&unsealed), 0);
	assert_int_equal(rtls_appraise(policy, unsealed, quote, 1, &ctx, &v), -EINVAL);
	assert_int_equal(rtls_collateral_seal(unsealed), 0);
	assert_int_equal(rtls_collateral_seal(unsealed), -EINVAL);
	assert_int_equal(rtls_collateral_add(unsealed, "x", 1), -EINVAL);
	rtls_collateral_free(unsealed);
	assert_null(v);
	assert_int_equal(rtls_verdict_result(NULL), RTLS_UNDECIDED);
	assert_string_equal(rtls_verdict_why(NULL), "");
	assert_int_equal(rtls_verdict_alternative(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_envelope_malformed),
		cmocka_unit_test(test_expected_report_data),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_legacy_certificate),
		cmocka_unit_test(test_policy_is_for_another_tee),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_other_tee),
		cmocka_unit_test(test_endorsements),
		cmocka_unit_test(test_every_bit_of_a_quote),
		cmocka_unit_test(test_every_byte_of_tcb_info),
		cmocka_unit_test(test_hex_crl),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
