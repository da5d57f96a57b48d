/*
 * Endorsements in a certificate, the way rats-tls and librats write them: extension 2.23.133.5.4.2
 * holds 60000([version, TCB info, its chain, PCK CRL, root CRL, their chain, QE identity, its
 * chain, (date)]). The parts are what Intel's quote provider hands out, so that texts end in a NUL,
 * CRLs may be hex, and the version is a CBOR number of four bytes whatever its value.
 */
#include <openssl/evp.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "forgery.h"
#include "rats/cborin.h"
#include "rats/evidence.h"
#include "rats/text.h"
#include "rats/x509.h"

static struct dcap d;

enum date { DATE_NONE, DATE_TEXT, DATE_BYTES, DATE_TAGGED };

struct form {
	bool hex_crls, no_nul, short_version;
	enum date date;
};

static void put_text(struct wspan *w, const struct form *f, struct span text)
{
	static uint8_t copy[DCAP_BUF];

	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	cbor_put_bytes(w, SPAN(copy, text.n + !f->no_nul));
}

static void put_json(struct wspan *w, const struct form *f, char *text)
{
	put_text(w, f, SPAN(text, strlen(text)));
	free(text);
}

static void put_crl(struct wspan *w, const struct form *f, const struct pki_crl *crl)
{
	struct span der = pki_crl_der(&d.pki, crl);
	static char hex[DCAP_BUF];

	if (f->hex_crls) {
		hex_format(der, hex, sizeof(hex));
		put_text(w, f, SPAN(hex, strlen(hex)));
	} else {
		cbor_put_bytes(w, der);
	}
	OPENSSL_free((void *)der.p);
}

static void put_chain(struct wspan *w, const struct form *f, const struct pki_cert *leaf)
{
	static uint8_t pem[DCAP_BUF];
	struct wspan p = WSPAN(pem, sizeof(pem));

	pki_cert_pem(&d.pki, leaf, &p);
	pki_cert_pem(&d.pki, &d.root, &p);
	put_text(w, f, SPAN(pem, p.n));
}

static void put_date(struct wspan *w, enum date date)
{
	static const char text[] = "2026-11-22T10:00:00Z";

	if (date == DATE_TAGGED)
		cbor_put_head(w, CBOR_TAG, 0);
	if (date == DATE_BYTES)
		cbor_put_bytes(w, SPAN(text, strlen(text)));
	else
		cbor_put_head(w, CBOR_TEXT, strlen(text)), wspan_put(w, text, strlen(text));
}

static struct span endorsements(const struct form *f)
{
	static uint8_t out[4 * DCAP_BUF];
	struct wspan w = WSPAN(out, sizeof(out));

	cbor_put_head(&w, CBOR_TAG, 60000);
	cbor_put_head(&w, CBOR_ARRAY, f->date ? 9 : 8);
	if (f->short_version)
		cbor_put_head(&w, CBOR_UINT, 3);
	else
		wspan_put(&w, "\x1a\x00\x00\x00\x03", 5);
	put_json(&w, f, dcap_tcb_info(&d));
	put_chain(&w, f, &d.tcb_signer);
	put_crl(&w, f, &d.pck_crl);
	put_crl(&w, f, &d.root_crl);
	put_chain(&w, f, &d.ca);
	put_json(&w, f, dcap_qe_identity(&d));
	put_chain(&w, f, &d.tcb_signer);
	if (f->date)
		put_date(&w, f->date);
	assert_false(w.overflow);
	return SPAN(out, w.n);
}

/* {"pubkey-hash": h'[1, SHA-256 of the peer's key]'} */
static size_t claims_buffer(uint8_t out[128])
{
	uint8_t inner[64], hash[32];
	struct wspan in = WSPAN(inner, sizeof(inner)), w = WSPAN(out, 128);

	assert_true(pkey_sha256(d.pki.key[PKI_ROGUE], hash));
	cbor_put_head(&in, CBOR_ARRAY, 2);
	cbor_put_head(&in, CBOR_UINT, 1);
	cbor_put_bytes(&in, SPAN(hash, sizeof(hash)));
	cbor_put_head(&w, CBOR_MAP, 1);
	cbor_put_head(&w, CBOR_TEXT, 11);
	wspan_put(&w, "pubkey-hash", 11);
	cbor_put_bytes(&w, SPAN(inner, in.n));
	return w.n;
}

static struct span certificate(const struct span *with)
{
	static uint8_t quote[DCAP_BUF], value[2 * DCAP_BUF];
	uint8_t claims[128];
	const size_t n = claims_buffer(claims);
	struct wspan w = WSPAN(value, sizeof(value));
	struct pki_cert c = { .cn = "RATS",
			      .issuer_cn = "RATS",
			      .key = PKI_ROGUE,
			      .signer = PKI_ROGUE,
			      .serial = 1,
			      .from = DCAP_NOW - 60,
			      .to = DCAP_NOW + 60,
			      .extension_oid = "2.23.133.5.4.9",
			      .endorsements = with };

	memset(d.body + 320, 0, 64);
	assert_int_equal(EVP_Digest(claims, n, d.body + 320, NULL, EVP_sha256(), NULL), 1);
	envelope_write(&w, 60000, SPAN(quote, dcap_quote(&d, quote)), SPAN(claims, n));
	c.extension = SPAN(value, w.n);
	return pki_cert_der(&d.pki, &c);
}

/* The collateral is what came along, or all there is. */
static void expect(const struct span *with, const char *policy_text, bool has_collateral,
		   enum rtls_result result)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = DCAP_NOW };
	struct rtls_collateral *c = has_collateral ? dcap_collateral(&d) : NULL;
	struct rtls_policy *policy = forgery_policy(P_SGX3, policy_text);
	struct span cert = certificate(with);
	struct rtls_verdict *v;

	assert_int_equal(appraise(&d.roots, policy, c, cert, &ctx, &v), 0);
	if (v->result != result)
		fail_msg("%s: %s", rtls_result_name(v->result), v->why);
	rtls_verdict_free(v);
	rtls_policy_free(policy);
	rtls_collateral_free(c);
	OPENSSL_free((void *)cert.p);
}

#define WILLING "--\ncollateral: {from_peer: true}\n"

static void test_forms(void **state)
{
	static const struct form forms[] = {
		{ .hex_crls = true },
		{ .hex_crls = false },
		{ .no_nul = true },
		{ .hex_crls = true, .no_nul = true, .short_version = true },
		{ .date = DATE_TEXT },
		{ .date = DATE_BYTES },
		{ .date = DATE_TAGGED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct span s = endorsements(&forms[i]);

		print_message("form %zu, %zu bytes\n", i, s.n);
		expect(&s, WILLING, false, RTLS_TRUSTED);
		expect(&s, NULL, false, RTLS_UNDECIDED); /* the policy does not ask the peer */
	}
}

/* rats-rs writes an empty extension; that counts as none. */
static void test_empty(void **state)
{
	const struct span empty = SPAN("", 0);

	(void)state;
	expect(&empty, WILLING, true, RTLS_TRUSTED);
	expect(&empty, NULL, true, RTLS_TRUSTED);
	expect(&empty, WILLING, false, RTLS_UNDECIDED);
}

/* Endorsements that are broken are none, and cannot harm. */
static void test_broken(void **state)
{
	const struct form f = { .date = DATE_TEXT };
	struct span s = endorsements(&f), cut = SPAN(s.p, s.n - 1);

	(void)state;
	expect(&cut, WILLING, true, RTLS_TRUSTED);
	expect(&cut, WILLING, false, RTLS_UNDECIDED);
	d.tcb_signer.is_broken = true; /* its signature, by the root */
	s = endorsements(&f);
	d.tcb_signer.is_broken = false;
	expect(&s, WILLING, true, RTLS_TRUSTED);
	expect(&s, WILLING, false, RTLS_REJECTED);
}

static int set_up(void **state)
{
	(void)state;
	forgery_platform(&d, P_SGX3);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dcap_deinit(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
