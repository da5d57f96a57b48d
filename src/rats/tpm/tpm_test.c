/* Real quotes; what is refused is in test/rats/tpm_forge.c. */
#include "rats/tee_test.h"

#include "rats/tpm/tpm_evidence.h"

struct packed {
	uint8_t bytes[TPM_EVIDENCE_MAX];
	size_t n;
};

/* Reads the pieces of a vector's directory, "tpm/NAME/", into one evidence. */
static void add(const char *dir, const char *file, struct span *to)
{
	char path[256];

	snprintf(path, sizeof(path), "tpm/%s/%s", dir, file);
	*to = vector_read(path);
}

static void pack(struct tpm_evidence *e, struct packed *out)
{
	struct span *const all[] = { &e->quote,	   &e->signature, &e->pcrs, &e->ak,
				     &e->ak_chain, &e->hcl,	  &e->tee,  &e->endorsements };
	struct wspan w = WSPAN(out->bytes, sizeof(out->bytes));

	tpm_evidence_write(&w, e);
	assert_false(w.overflow);
	out->n = w.n;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		vector_free(*all[i]);
}

static struct rtls_verdict *run(const struct verifier *vf, const struct packed *p,
				const char *const certs[], int64_t now)
{
	struct rtls_collateral *bag = bag_of(certs);
	struct appraisal a = { .body = SPAN(p->bytes, p->n),
			       .collateral = bag,
			       .rules = { .crl_if_present = true },
			       .roots = &roots_production,
			       .now = now };
	struct rtls_verdict *v;

	assert_true(vf->detect(a.body));
	v = run_verifier(vf, &a);
	rtls_collateral_free(bag);
	return v;
}

static void test_plain(void **state)
{
	struct tpm_evidence e = { 0 };
	struct rtls_verdict *v;
	struct packed p;

	(void)state;
	add("trustee_tpm", "quote.msg", &e.quote);
	add("trustee_tpm", "quote.tpmt_signature", &e.signature);
	add("trustee_tpm", "pcrs_sha256.bin", &e.pcrs);
	add("trustee_tpm", "ak_pub.der", &e.ak);
	pack(&e, &p);
	v = run(&verifier_tpm, &p, (const char *const[]){ NULL }, 1700000000);
	assert_passes(v);
	assert_claim(v, "extra_data",
		     "a04182b506878d4f29b91ee606a71a0d3361ccf1b22db20c98adcaa537bea393"
		     "ef0e41a18b3569ab678f1497fbc5c12000000000000000000000000000000000");
	assert_claim(v, "pcr_digest",
		     "019de64c9318655e422c3d03831169896e31f02a1d74e4d8fef575bf4e0d75fa");
	assert_null(claims_find(v->claims, "ca_sha256"));
	rtls_verdict_free(v);
}

static void test_azure_snp(void **state)
{
	struct tpm_evidence e = { 0 };
	struct rtls_verdict *v;
	struct packed p;

	(void)state;
	add("az_snp_v2", "quote.msg", &e.quote);
	add("az_snp_v2", "quote.sig", &e.signature);
	add("az_snp_v2", "pcrs_sha256.bin", &e.pcrs);
	add("az_snp_v2", "hcl_report.bin", &e.hcl);
	add("az_snp_v2", "ak_pub.pem", &e.ak);
	add("az_snp_v2", "vcek.der", &e.endorsements);
	pack(&e, &p);
	v = run(&verifier_az_snp, &p, (const char *const[]){ NULL }, 1780000000);
	assert_passes(v);
	assert_claim(v, "pcr_digest",
		     "2304510eb15046d5c940e957b6ac93bc805e3ffcadb38e0a1b95442e552cb004");
	assert_claim(v, "extra_data",
		     "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9a"
		     "a398f647caa2338748cd0fd9f5f819ef");
	assert_claim(v, "report_data",
		     "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9a"
		     "a398f647caa2338748cd0fd9f5f819ef00000000000000000000000000000000");
	assert_claim(v, "hw_report_data",
		     "cf7cc0731c50f64876804b3943b2bfbd93dba69f5928e3df223e78ff34dd46ee"
		     "0000000000000000000000000000000000000000000000000000000000000000");
	assert_claim(v, "clock", "0x13cb0ee6");
	assert_claim(v, "reset_count", "0x2");
	assert_claim(v, "restart_count", "0x0");
	assert_claim(v, "firmware_version", "0x2020031200120003");
	assert_non_null(claims_find(v->claims, "pcr0"));
	assert_non_null(claims_find(v->claims, "pcr23"));
	assert_non_null(claims_find(v->claims, "measurement"));
	rtls_verdict_free(v);
}

/* The certificates of the AK, by themselves: a CA vouches for it. */
static void test_chain(void **state)
{
	const char *root = "tpm/az_tdx_ak_chain_2026/azure_vtpm_root_2023.pem";
	struct tpm_evidence e = { 0 };
	struct rtls_verdict *v;
	struct packed p;

	(void)state;
	add("az_tdx_ak_chain_2026", "quote.msg", &e.quote);
	add("az_tdx_ak_chain_2026", "quote.sig", &e.signature);
	add("az_tdx_ak_chain_2026", "pcrs_sha256.bin", &e.pcrs);
	add("az_tdx_ak_chain_2026", "ak_chain.pem", &e.ak_chain);
	pack(&e, &p);
	v = run(&verifier_tpm, &p, (const char *const[]){ root, NULL }, 1785000000);
	assert_passes(v);
	assert_non_null(claims_find(v->claims, "ca_sha256"));
	rtls_verdict_free(v);
	v = run(&verifier_tpm, &p, (const char *const[]){ root, NULL }, 1790000000 + 31536000);
	assert_fails(v, RTLS_CHECK_CHAIN, "is valid from");
	rtls_verdict_free(v);
	v = run(&verifier_tpm, &p, (const char *const[]){ NULL }, 1785000000);
	assert_fails(v, RTLS_CHECK_CHAIN, "does not reach a root");
	assert_true(v->undecidable);
	rtls_verdict_free(v);
}

static void pack_azure_tdx(const char *dir, struct packed *p)
{
	struct tpm_evidence e = { 0 };

	add(dir, "quote.msg", &e.quote);
	add(dir, "quote.sig", &e.signature);
	add(dir, "pcrs_sha256.bin", &e.pcrs);
	add(dir, "hcl_report.bin", &e.hcl);
	add(dir, "td_quote.bin", &e.tee);
	add(dir, "ak_pub.pem", &e.ak);
	pack(&e, p);
}

/* All that Intel publishes about the platform at that time. */
#define COLLATERAL_OF(dir)                                                                         \
	"collateral/" dir "/tcb_info.json", "collateral/" dir "/qe_identity.json",                 \
		"collateral/" dir "/tcb_signing_chain.pem", "collateral/" dir "/pck_crl.der",      \
		"collateral/" dir "/pck_crl_issuer_chain.pem",                                     \
		"collateral/" dir "/root_ca_crl.der", NULL

static void test_azure_tdx(void **state)
{
	static const char *const of_2025[] = { COLLATERAL_OF("tdx-00806f050000-20250604") };
	static const char *const of_2026[] = { COLLATERAL_OF("tdx-90c06f000000-20260608") };
	struct rtls_verdict *v;
	struct packed p;

	(void)state;
	pack_azure_tdx("az_tdx_v1", &p);
	v = run(&verifier_az_tdx, &p, of_2025, 1750325734);
	assert_passes(v);
	assert_claim(v, "tcb_status", "OutOfDate");
	assert_claim(v, "extra_data", "6368616c6c656e6765");
	assert_claim(v, "pcr_digest",
		     "6c0e21d918212d57872a752bcf358355d508d1d5b8cb632259b898b15f9f658d");
	rtls_verdict_free(v);
	pack_azure_tdx("az_tdx_ak_chain_2026", &p);
	v = run(&verifier_az_tdx, &p, of_2026, 1782215795);
	assert_passes(v);
	assert_claim(v, "tcb_status", "UpToDate");
	assert_claim(v, "pcr_digest",
		     "262aaef0977c0eda19f5697a776e18afc42230e77788bf73fcbaaf2471d5a703");
	rtls_verdict_free(v);
}

/* Evidence of one machine, quote of another. */
static void test_swapped(void **state)
{
	static const char *const of_2025[] = { COLLATERAL_OF("tdx-00806f050000-20250604") };
	struct tpm_evidence e = { 0 };
	struct rtls_verdict *v;
	struct packed p;

	(void)state;
	add("az_tdx_v1", "quote.msg", &e.quote);
	add("az_tdx_v1", "quote.sig", &e.signature);
	add("az_tdx_v1", "pcrs_sha256.bin", &e.pcrs);
	add("az_tdx_ak_chain_2026", "hcl_report.bin", &e.hcl);
	add("az_tdx_v1", "td_quote.bin", &e.tee);
	pack(&e, &p);
	v = run(&verifier_az_tdx, &p, of_2025, 1750325734);
	assert_fails(v, RTLS_CHECK_BINDING, "runtime data");
	rtls_verdict_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_azure_snp),
		cmocka_unit_test(test_chain),	cmocka_unit_test(test_azure_tdx),
		cmocka_unit_test(test_swapped),
	};

	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
