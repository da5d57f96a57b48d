/*
 * Forged TPM quotes, by themselves and inside an Azure VM's evidence: for each check one that only
 * this check catches. What an SNP report can get wrong is snp_forge.c's.
 */
#include "tpm_build.h"

static struct rtls_verdict *run(struct tpm_forgery *f)
{
	static uint8_t body[TPM_EVIDENCE_MAX];
	struct rtls_collateral *bag;
	struct appraisal a = { .rules = { .crl_if_present = !f->crl_strict },
			       .roots = &snp_pki.roots,
			       .now = PKI_NOW };
	struct rtls_verdict *v;

	snp_pki.pins[0].name = f->snp.pinned;
	a.body = SPAN(body, tpm_pack(f, body, sizeof(body)));
	if (f->raw)
		a.body = SPAN(f->raw, f->n_raw);
	a.collateral = bag = tpm_collect(f);
	v = run_verifier(f->with_hcl ? &verifier_az_snp : &verifier_tpm, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void no_map(struct tpm_forgery *f)
{
	f->raw = (const uint8_t *)"\x81\x00", f->n_raw = 2;
}
static void no_quote(struct tpm_forgery *f)
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
static void unknown_field(struct tpm_forgery *f)
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
static void not_generated(struct tpm_forgery *f)
{
	f->magic = 0xff544348;
}
static void is_certify(struct tpm_forgery *f)
{
	f->type = 0x8017;
}
static void trailing(struct tpm_forgery *f)
{
	f->trailing = true;
}
static void bad_safe(struct tpm_forgery *f)
{
	f->bad_safe = true;
}
static void few_pcrs(struct tpm_forgery *f)
{
	f->n_pcrs = 23;
}
static void unknown_bank(struct tpm_forgery *f)
{
	f->bank = 0x12;
}
static void sig_trailing(struct tpm_forgery *f)
{
	f->sig_trailing = true;
}
static void sig_scheme(struct tpm_forgery *f)
{
	f->scheme = TPM_ALG_ECDSA;
}
static void sha1_sig(struct tpm_forgery *f)
{
	f->hash = TPM_ALG_SHA1;
}
static void weak_key(struct tpm_forgery *f)
{
	tpm_use_key(f, tpm_pki.weak, TPM_ALG_RSASSA, TPM_ALG_SHA256);
}
static void flipped(struct tpm_forgery *f)
{
	f->flip_sig = true;
}
static void other_ak(struct tpm_forgery *f)
{
	f->spki = tpm_pki.other;
}
static void other_pcr(struct tpm_forgery *f)
{
	f->flip_pcr = true;
}
static void no_ak(struct tpm_forgery *f)
{
	f->spki = NULL;
	f->with_chain = true;
	f->cert_key = tpm_pki.other;
}
static void ak_differs(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->cert_key = tpm_pki.other;
}
static void ak_of_nobody(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->cert_signer = tpm_pki.p256;
}
static void ak_no_eku(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->eku = NULL;
}
static void ak_tls_eku(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->eku = "serverAuth";
}
static void ak_expired(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->cert_to = PKI_NOW - 1;
}
static void ak_revoked(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->revoked = true;
}
static void ak_no_crl(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->crl_strict = true;
}
static void ak_no_root(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->root_left_out = true;
}
static void hcl_kind(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->hcl_kind_tdx = true;
}
static void hcl_version(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->hcl_version_9 = true;
}
static void hcl_long(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->hcl_long = true;
}
static void hcl_size(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->hcl_size = true;
}
static void field_twice(struct tpm_forgery *f)
{
	static uint8_t map[8192];
	size_t n = tpm_pack(f, map, sizeof(map));

	map[0]++;
	memcpy(map + n,
	       "\x65"
	       "quote"
	       "\x41x",
	       8);
	f->raw = map;
	f->n_raw = n + 8;
}
static void hcl_runtime(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->flip_runtime = true;
}
static void hcl_tail(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->bad_report_tail = true;
}
static void hcl_other_ak(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->hcl_ak = tpm_pki.other;
}
static void hcl_no_kid(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->no_kid = true;
}
static void hcl_two_kids(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->two_kids = true;
}
static void hcl_bad_tee(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->snp.flip_signature = true;
}
static void hcl_no_vcek(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->snp.no_leaf = true;
}
static void hcl_flipped(struct tpm_forgery *f)
{
	tpm_honest_azure(f);
	f->flip_sig = true;
}

static const struct {
	void (*forge)(struct tpm_forgery *f);
	enum rtls_check check;
	const char *why;
	bool undecidable;
} cases[] = {
	{ no_map, RTLS_CHECK_FORMAT, "TPM evidence", false },
	{ no_quote, RTLS_CHECK_FORMAT, "TPM evidence", false },
	{ field_twice, RTLS_CHECK_FORMAT, "TPM evidence", false },
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
	{ hcl_size, RTLS_CHECK_FORMAT, "HCL report", false },
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
	struct tpm_forgery f;

	(void)state;
	snp_honest(&snp);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		tpm_honest(&f);
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

static void honest_pss(struct tpm_forgery *f)
{
	f->scheme = TPM_ALG_RSAPSS;
}
static void honest_sha384(struct tpm_forgery *f)
{
	f->hash = TPM_ALG_SHA384;
}
static void honest_p256(struct tpm_forgery *f)
{
	tpm_use_key(f, tpm_pki.p256, TPM_ALG_ECDSA, TPM_ALG_SHA256);
}
static void honest_p384(struct tpm_forgery *f)
{
	tpm_use_key(f, tpm_pki.p384, TPM_ALG_ECDSA, TPM_ALG_SHA384), f->bank = TPM_ALG_SHA384;
}
static void honest_sha1_bank(struct tpm_forgery *f)
{
	f->bank = TPM_ALG_SHA1;
}
static void honest_cert_only(struct tpm_forgery *f)
{
	tpm_honest_chain(f);
	f->spki = NULL;
}

/* The HCL report alone, every signature in it honest: it is not about now, so it is refused. */
static void test_bare_hcl(void **state)
{
	static uint8_t body[TPM_EVIDENCE_MAX], hcl[TPM_HCL_MAX];
	struct rtls_verdict *v;
	struct tpm_forgery f;

	(void)state;
	tpm_honest_azure(&f);
	snp_honest(&f.snp);
	(void)tpm_pack(&f, body, sizeof(body));
	assert_non_null(f.hcl.p);
	memcpy(hcl, f.hcl.p, f.hcl.n);
	f.raw = hcl;
	f.n_raw = f.hcl.n;
	assert_true(verifier_az_snp.detect(SPAN(f.raw, f.n_raw)));
	v = run(&f);
	assert_fails(v, RTLS_CHECK_FORMAT, "without a quote");
	assert_non_null(claims_find(v->claims, "measurement"));
	rtls_verdict_free(v);
}

static void test_honest(void **state)
{
	static void (*const makers[])(struct tpm_forgery *) = {
		tpm_honest,	  honest_pss,	    honest_sha384,    honest_p256,	honest_p384,
		tpm_honest_chain, honest_cert_only, tpm_honest_azure, honest_sha1_bank,
	};
	struct rtls_verdict *v;
	struct tpm_forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		tpm_honest(&f);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_bare_hcl),
	};

	return cmocka_run_group_tests(tests, tpm_make_pki, tpm_free_pki);
}
