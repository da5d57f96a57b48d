/*
 * Forged TPM quotes, by themselves and inside an Azure VM's evidence: for each check one that only
 * this check catches. What an SNP report can get wrong is snp_forge.c's.
 */
#include "snp_build.h"

#include <jansson.h>

#include "rats/tpm/tpm_attest.h"
#include "rats/tpm/tpm_evidence.h"
#include "rats/tpm/tpm_hcl.h"

#define AIK "2.23.133.8.3"

static struct {
	EVP_PKEY *ca, *rsa, *p256, *p384, *other, *weak;
} pki;

/* Everything that a forgery may change. */
struct forgery {
	struct snp_forgery snp;
	EVP_PKEY *ak, *spki, *cert_key, *cert_signer, *hcl_ak;
	uint16_t scheme, hash, bank, type;
	uint32_t magic;
	bool with_chain, with_hcl, raw_sig, flip_sig, trailing, sig_trailing;
	bool root_left_out, revoked, crl_strict, bad_safe, no_kid, two_kids;
	const char *eku;
	size_t n_pcrs; /* that come along, of 24 */
	bool flip_pcr, flip_runtime, hcl_kind_tdx, hcl_version_9, hcl_long;
	bool bad_report_tail;
	int64_t cert_to;
	const uint8_t *raw;
	size_t n_raw;
};

static void honest(struct forgery *f)
{
	*f = (struct forgery){ .ak = pki.rsa,
			       .spki = pki.rsa,
			       .cert_key = pki.rsa,
			       .cert_signer = pki.ca,
			       .hcl_ak = pki.rsa,
			       .scheme = TPM_ALG_RSASSA,
			       .hash = TPM_ALG_SHA256,
			       .bank = TPM_ALG_SHA256,
			       .type = 0x8018,
			       .magic = 0xff544347,
			       .eku = AIK,
			       .n_pcrs = 24 };
}

static void honest_chain(struct forgery *f)
{
	honest(f);
	f->with_chain = true;
}

static void honest_azure(struct forgery *f)
{
	honest(f);
	f->with_hcl = true;
	f->raw_sig = true;
}

static void use_key(struct forgery *f, EVP_PKEY *key, uint16_t scheme, uint16_t hash)
{
	f->ak = f->spki = f->cert_key = f->hcl_ak = key;
	f->scheme = scheme;
	f->hash = hash;
}

static void put_2b(struct wspan *w, const void *p, size_t n)
{
	wspan_be16(w, (uint16_t)n);
	wspan_put(w, p, n);
}

static size_t make_pcrs(const struct forgery *f, uint8_t *out)
{
	size_t size = tpm_hash_size(f->bank) ? tpm_hash_size(f->bank) : 32;

	for (size_t i = 0; i < 24; i++)
		memset(out + i * size, (int)i, size);
	return f->n_pcrs * size;
}

static size_t make_quote(const struct forgery *f, struct span pcrs, uint8_t *out, size_t size)
{
	struct wspan w = WSPAN(out, size);
	uint8_t digest[64];
	unsigned n;

	EVP_Digest(pcrs.p, pcrs.n, digest, &n, EVP_get_digestbyname(tpm_hash_name(f->hash)), NULL);
	wspan_be32(&w, f->magic);
	wspan_be16(&w, f->type);
	put_2b(&w, "signer", 6);
	put_2b(&w, "nonce", 5);
	wspan_be64(&w, 1000);
	wspan_be32(&w, 2);
	wspan_be32(&w, 3);
	wspan_u8(&w, f->bad_safe ? 2 : 1);
	wspan_be64(&w, 0x1234);
	wspan_be32(&w, 1);
	wspan_be16(&w, f->bank);
	wspan_u8(&w, 3);
	wspan_put(&w, "\xff\xff\xff", 3);
	put_2b(&w, digest, n);
	if (f->trailing)
		wspan_u8(&w, 0);
	return w.n;
}

static size_t sign_rsa(const struct forgery *f, struct span msg, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	size_t n = 512;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx,
					    EVP_get_digestbyname(tpm_hash_name(f->hash)), NULL,
					    f->ak),
			 1);
	if (f->scheme == TPM_ALG_RSAPSS)
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
	assert_int_equal(EVP_DigestSign(ctx, out, &n, msg.p, msg.n), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

static size_t make_sig(const struct forgery *f, struct span msg, uint8_t *out, size_t size)
{
	struct wspan w = WSPAN(out, size);
	uint8_t r[512], s[66];
	size_t n;

	if (!f->raw_sig) {
		wspan_be16(&w, f->scheme);
		wspan_be16(&w, f->hash);
	}
	if (EVP_PKEY_is_a(f->ak, "EC")) {
		n = (size_t)EVP_PKEY_get_bits(f->ak) / 8;
		pki_ecdsa(f->ak, EVP_get_digestbyname(tpm_hash_name(f->hash)), msg, n, r, s);
		put_2b(&w, r, n);
		put_2b(&w, s, n);
	} else {
		n = sign_rsa(f, msg, r);
		if (f->raw_sig)
			wspan_put(&w, r, n);
		else
			put_2b(&w, r, n);
	}
	out[w.n - 1] ^= f->flip_sig;
	if (f->sig_trailing)
		wspan_u8(&w, 0);
	return w.n;
}

static struct span spki_of(EVP_PKEY *key)
{
	uint8_t *der = NULL;
	int n = key ? i2d_PUBKEY(key, &der) : 0;

	return SPAN(der, (size_t)n);
}

static X509 *make_ca(void)
{
	return pki_make(&(struct pki_cert){ .cn = "TPM CA", .key = pki.ca, .is_ca = true });
}

static struct span make_chain(const struct forgery *f)
{
	X509 *certs[2] = { pki_make(&(struct pki_cert){ .cn = "AK",
							.key = f->cert_key,
							.issuer_cn = "TPM CA",
							.serial = 9,
							.issuer_key = f->cert_signer,
							.eku = f->eku,
							.to = f->cert_to }),
			   make_ca() };
	struct span pem = pki_pem(certs, f->root_left_out ? 1 : 2);

	X509_free(certs[0]);
	X509_free(certs[1]);
	return pem;
}

static void put_b64url(char *out, EVP_PKEY *key, const char *param)
{
	uint8_t bytes[512];
	BIGNUM *bn = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
	n = BN_bn2bin(bn, bytes);
	EVP_EncodeBlock((uint8_t *)out, bytes, n);
	for (char *p = out; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	BN_free(bn);
}

static void put_le32(uint8_t *p, size_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* An HCL report: the SNP report in it is signed here. */
static size_t make_hcl(struct forgery *f, uint8_t out[TPM_HCL_MAX])
{
	char n_text[1024], e_text[64], *json = (char *)out + 1236;
	size_t n;

	memset(out, 0, TPM_HCL_MAX);
	put_b64url(n_text, f->hcl_ak, "n");
	put_b64url(e_text, f->hcl_ak, "e");
	n = (size_t)sprintf(json,
			    "{\"keys\":[{\"kid\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"},"
			    "{\"kid\":\"%s\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
			    f->no_kid ? "HCLEkPub" : "HCLAkPub", n_text, e_text,
			    f->two_kids ? "HCLAkPub" : "other");
	memcpy(out, "HCLA", 4);
	put_le32(out + 4, f->hcl_version_9 ? 9 : 1);
	put_le32(out + 12, 2);
	put_le32(out + 1216, n + 20);
	put_le32(out + 1220, 1);
	put_le32(out + 1224, f->hcl_kind_tdx ? TPM_HCL_TDX : TPM_HCL_SNP);
	put_le32(out + 1228, 1);
	put_le32(out + 1232, f->hcl_long ? 0xffffffff : n);
	memset(f->snp.report + 0x50, 0, 64);
	EVP_Digest(json, n, f->snp.report + 0x50, NULL, EVP_sha256(), NULL);
	f->snp.report[0x50 + 63] = f->bad_report_tail;
	snp_sign_report(&f->snp);
	memcpy(out + 32, f->snp.report, SNP_REPORT_SIZE);
	json[n - 1] = f->flip_runtime ? ' ' : json[n - 1];
	return 2600 > 1236 + n ? 2600 : 1236 + n;
}

static struct rtls_collateral *collect(const struct forgery *f)
{
	struct rtls_collateral *bag;
	X509 *ca = make_ca();

	if (f->with_hcl)
		return snp_collect(&f->snp);
	assert_int_equal(rtls_collateral_new(&bag), 0);
	if (f->revoked) {
		X509_CRL *crl = pki_make_crl(ca, pki.ca, false, 9);

		bag_add_crl(bag, crl);
		X509_CRL_free(crl);
	}
	assert_int_equal(rtls_collateral_seal(bag), 0);
	X509_free(ca);
	return bag;
}

static size_t pack(struct forgery *f, uint8_t *out, size_t size)
{
	static uint8_t pcrs[24 * 64], quote[512], sig[600], hcl[TPM_HCL_MAX];
	struct wspan w = WSPAN(out, size);
	struct tpm_evidence e = { .ak = spki_of(f->spki) };

	e.pcrs = SPAN(pcrs, make_pcrs(f, pcrs));
	e.quote = SPAN(quote, make_quote(f, e.pcrs, quote, sizeof(quote)));
	e.signature = SPAN(sig, make_sig(f, e.quote, sig, sizeof(sig)));
	pcrs[5] ^= f->flip_pcr;
	if (f->with_chain)
		e.ak_chain = make_chain(f);
	if (f->with_hcl)
		e.hcl = SPAN(hcl, make_hcl(f, hcl));
	tpm_evidence_write(&w, &e);
	OPENSSL_free((void *)e.ak.p);
	OPENSSL_free((void *)e.ak_chain.p);
	return w.n;
}

static struct rtls_verdict *run(struct forgery *f)
{
	static uint8_t body[TPM_EVIDENCE_MAX];
	struct rtls_collateral *bag;
	struct appraisal a = { .rules = { .crl_if_present = !f->crl_strict },
			       .roots = &snp_pki.roots,
			       .now = PKI_NOW };
	struct rtls_verdict *v;

	snp_pki.pins[0].name = f->snp.pinned;
	a.body = SPAN(body, pack(f, body, sizeof(body)));
	if (f->raw)
		a.body = SPAN(f->raw, f->n_raw);
	a.collateral = bag = collect(f);
	v = run_verifier(f->with_hcl ? &verifier_az_snp : &verifier_tpm, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void no_map(struct forgery *f)
{
	f->raw = (const uint8_t *)"\x81\x00", f->n_raw = 2;
}
static void no_quote(struct forgery *f)
{
	static const uint8_t map[] = "\xa3\x62"
				     "ak"
				     "\x41x"
				     "\x64"
				     "pcrs"
				     "\x41x"
				     "\x69"
				     "signature"
				     "\x41x";

	f->raw = map, f->n_raw = sizeof(map) - 1;
}
static void unknown_field(struct forgery *f)
{
	static const uint8_t map[] = "\xa5\x62"
				     "ak"
				     "\x41x"
				     "\x64"
				     "pcrs"
				     "\x41x"
				     "\x69"
				     "signature"
				     "\x41x"
				     "\x65"
				     "quote"
				     "\x41x"
				     "\x62"
				     "me"
				     "\x41x";

	f->raw = map, f->n_raw = sizeof(map) - 1;
}
static void not_generated(struct forgery *f)
{
	f->magic = 0xff544348;
}
static void is_certify(struct forgery *f)
{
	f->type = 0x8017;
}
static void trailing(struct forgery *f)
{
	f->trailing = true;
}
static void bad_safe(struct forgery *f)
{
	f->bad_safe = true;
}
static void few_pcrs(struct forgery *f)
{
	f->n_pcrs = 23;
}
static void unknown_bank(struct forgery *f)
{
	f->bank = 0x12;
}
static void sig_trailing(struct forgery *f)
{
	f->sig_trailing = true;
}
static void sig_scheme(struct forgery *f)
{
	f->scheme = TPM_ALG_ECDSA;
}
static void sha1_sig(struct forgery *f)
{
	f->hash = TPM_ALG_SHA1;
}
static void weak_key(struct forgery *f)
{
	use_key(f, pki.weak, TPM_ALG_RSASSA, TPM_ALG_SHA256);
}
static void flipped(struct forgery *f)
{
	f->flip_sig = true;
}
static void other_ak(struct forgery *f)
{
	f->spki = pki.other;
}
static void other_pcr(struct forgery *f)
{
	f->flip_pcr = true;
}
static void no_ak(struct forgery *f)
{
	f->spki = NULL;
	f->with_chain = true;
	f->cert_key = pki.other;
}
static void ak_differs(struct forgery *f)
{
	honest_chain(f);
	f->cert_key = pki.other;
}
static void ak_of_nobody(struct forgery *f)
{
	honest_chain(f);
	f->cert_signer = pki.p256;
}
static void ak_no_eku(struct forgery *f)
{
	honest_chain(f);
	f->eku = NULL;
}
static void ak_tls_eku(struct forgery *f)
{
	honest_chain(f);
	f->eku = "serverAuth";
}
static void ak_expired(struct forgery *f)
{
	honest_chain(f);
	f->cert_to = PKI_NOW - 1;
}
static void ak_revoked(struct forgery *f)
{
	honest_chain(f);
	f->revoked = true;
}
static void ak_no_crl(struct forgery *f)
{
	honest_chain(f);
	f->crl_strict = true;
}
static void ak_no_root(struct forgery *f)
{
	honest_chain(f);
	f->root_left_out = true;
}
static void hcl_kind(struct forgery *f)
{
	honest_azure(f);
	f->hcl_kind_tdx = true;
}
static void hcl_version(struct forgery *f)
{
	honest_azure(f);
	f->hcl_version_9 = true;
}
static void hcl_long(struct forgery *f)
{
	honest_azure(f);
	f->hcl_long = true;
}
static void hcl_runtime(struct forgery *f)
{
	honest_azure(f);
	f->flip_runtime = true;
}
static void hcl_tail(struct forgery *f)
{
	honest_azure(f);
	f->bad_report_tail = true;
}
static void hcl_other_ak(struct forgery *f)
{
	honest_azure(f);
	f->hcl_ak = pki.other;
}
static void hcl_no_kid(struct forgery *f)
{
	honest_azure(f);
	f->no_kid = true;
}
static void hcl_two_kids(struct forgery *f)
{
	honest_azure(f);
	f->two_kids = true;
}
static void hcl_bad_tee(struct forgery *f)
{
	honest_azure(f);
	f->snp.flip_signature = true;
}
static void hcl_no_vcek(struct forgery *f)
{
	honest_azure(f);
	f->snp.no_leaf = true;
}
static void hcl_flipped(struct forgery *f)
{
	honest_azure(f);
	f->flip_sig = true;
}

static const struct {
	void (*forge)(struct forgery *f);
	enum rtls_check check;
	const char *why;
	bool undecidable;
} cases[] = {
	{ no_map, RTLS_CHECK_FORMAT, "TPM evidence", false },
	{ no_quote, RTLS_CHECK_FORMAT, "TPM evidence", false },
	{ unknown_field, RTLS_CHECK_FORMAT, "TPM evidence", false },
	{ not_generated, RTLS_CHECK_FORMAT, "quote: not a TPMS_ATTEST", false },
	{ is_certify, RTLS_CHECK_FORMAT, "quote: not a TPMS_ATTEST", false },
	{ trailing, RTLS_CHECK_FORMAT, "quote: not a TPMS_ATTEST", false },
	{ bad_safe, RTLS_CHECK_FORMAT, "quote: not a TPMS_ATTEST", false },
	{ few_pcrs, RTLS_CHECK_FORMAT, "PCR values", false },
	{ unknown_bank, RTLS_CHECK_FORMAT, "quote: not a TPMS_ATTEST", false },
	{ sig_trailing, RTLS_CHECK_FORMAT, "quote signature", false },
	{ sig_scheme, RTLS_CHECK_FORMAT, "quote signature", false },
	{ sha1_sig, RTLS_CHECK_SIGNATURE, "strength", false },
	{ weak_key, RTLS_CHECK_SIGNATURE, "strength", false },
	{ flipped, RTLS_CHECK_SIGNATURE, "quote signature", false },
	{ other_ak, RTLS_CHECK_SIGNATURE, "quote signature", false },
	{ other_pcr, RTLS_CHECK_BINDING, "digest of the PCR values", false },
	{ no_ak, RTLS_CHECK_SIGNATURE, "quote signature", false },
	{ ak_differs, RTLS_CHECK_BINDING, "two different keys", false },
	{ ak_of_nobody, RTLS_CHECK_CHAIN, "bad signature", false },
	{ ak_no_eku, RTLS_CHECK_CHAIN, "AK certificate usage", false },
	{ ak_tls_eku, RTLS_CHECK_CHAIN, "AK certificate usage", false },
	{ ak_expired, RTLS_CHECK_CHAIN, "is valid from", false },
	{ ak_revoked, RTLS_CHECK_REVOKED, "lists serial number", false },
	{ ak_no_crl, RTLS_CHECK_COLLATERAL, "not in the collateral", true },
	{ ak_no_root, RTLS_CHECK_CHAIN, "does not reach a root", true },
	{ hcl_kind, RTLS_CHECK_FORMAT, "HCL report", false },
	{ hcl_version, RTLS_CHECK_FORMAT, "HCL report", false },
	{ hcl_long, RTLS_CHECK_FORMAT, "HCL report", false },
	{ hcl_runtime, RTLS_CHECK_BINDING, "runtime data", false },
	{ hcl_tail, RTLS_CHECK_BINDING, "runtime data", false },
	{ hcl_other_ak, RTLS_CHECK_BINDING, "two different keys", false },
	{ hcl_no_kid, RTLS_CHECK_BINDING, "AK in the runtime data", false },
	{ hcl_two_kids, RTLS_CHECK_BINDING, "AK in the runtime data", false },
	{ hcl_bad_tee, RTLS_CHECK_SIGNATURE, "TEE: report signature", false },
	{ hcl_no_vcek, RTLS_CHECK_CHAIN, "no VCEK certificate", true },
	{ hcl_flipped, RTLS_CHECK_SIGNATURE, "quote signature", false },
};

static void test_forgeries(void **state)
{
	struct snp_forgery snp;
	struct forgery f;

	(void)state;
	snp_honest(&snp);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		honest(&f);
		cases[i].forge(&f);
		snp.flip_signature = f.snp.flip_signature;
		snp.no_leaf = f.snp.no_leaf;
		f.snp = snp;
		v = run(&f);
		assert_fails(v, cases[i].check, cases[i].why);
		assert_int_equal(v->undecidable, cases[i].undecidable);
		rtls_verdict_free(v);
	}
	print_message("%zu forgeries\n", ARRAY_LEN(cases));
}

static void honest_pss(struct forgery *f)
{
	f->scheme = TPM_ALG_RSAPSS;
}
static void honest_sha384(struct forgery *f)
{
	f->hash = TPM_ALG_SHA384;
}
static void honest_p256(struct forgery *f)
{
	use_key(f, pki.p256, TPM_ALG_ECDSA, TPM_ALG_SHA256);
}
static void honest_p384(struct forgery *f)
{
	use_key(f, pki.p384, TPM_ALG_ECDSA, TPM_ALG_SHA384), f->bank = TPM_ALG_SHA384;
}
static void honest_sha1_bank(struct forgery *f)
{
	f->bank = TPM_ALG_SHA1;
}
static void honest_cert_only(struct forgery *f)
{
	honest_chain(f);
	f->spki = NULL;
}

static void test_honest(void **state)
{
	static void (*const makers[])(struct forgery *) = {
		honest,	      honest_pss,	honest_sha384, honest_p256,	 honest_p384,
		honest_chain, honest_cert_only, honest_azure,  honest_sha1_bank,
	};
	struct rtls_verdict *v;
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		honest(&f);
		makers[i](&f);
		snp_honest(&f.snp);
		v = run(&f);
		assert_passes(v);
		assert_non_null(claims_find(v->claims, "ak_sha256"));
		assert_int_equal(claims_find(v->claims, "ca_sha256") != NULL, f.with_chain);
		assert_int_equal(claims_find(v->claims, "pcr23") != NULL, f.bank == TPM_ALG_SHA256);
		rtls_verdict_free(v);
	}
}

static int make_keys(void **state)
{
	pki.ca = EVP_EC_gen("P-256");
	pki.rsa = EVP_RSA_gen(2048);
	pki.other = EVP_RSA_gen(2048);
	pki.weak = EVP_RSA_gen(1024);
	pki.p256 = EVP_EC_gen("P-256");
	pki.p384 = EVP_EC_gen("P-384");
	return pki.p384 ? snp_make_pki(state) : -1;
}

static int free_keys(void **state)
{
	EVP_PKEY_free(pki.ca);
	EVP_PKEY_free(pki.rsa);
	EVP_PKEY_free(pki.other);
	EVP_PKEY_free(pki.weak);
	EVP_PKEY_free(pki.p256);
	EVP_PKEY_free(pki.p384);
	return snp_free_pki(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_forgeries),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
