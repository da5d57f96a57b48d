/*
 * Policies over the evidence of snp, tpm, csv and ear: the suggested ones accept what they were
 * made from, --any accepts another machine's too, and every rule that is a default or a pin
 * refuses what it is there to refuse. Roots are the real ones, evidence the vectors.
 */
#include "rats/tee_test.h"

#include "rats/tpm/tpm_evidence.h"

struct sample {
	struct span body;
	struct rtls_collateral *bag;
	int64_t now;
};

static struct sample sample_of(const char *file, const char *cert, int64_t now)
{
	return (struct sample){ vector_read(file), bag_of((const char *const[]){ cert, NULL }),
				now };
}

static void sample_free(struct sample *s)
{
	vector_free(s->body);
	rtls_collateral_free(s->bag);
}

static struct rtls_policy *policy_of(const char *text)
{
	struct rtls_policy *p = NULL;
	char err[256];

	if (rtls_policy_parse(text, strlen(text), &p, err, sizeof(err)) != 0)
		fail_msg("%s in:\n%s", err, text);
	return p;
}

static struct rtls_verdict *appraise_sample(const struct sample *s, const char *policy)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = s->now };
	struct rtls_policy *p = policy_of(policy);
	struct rtls_verdict *v;

	assert_int_equal(rtls_appraise(p, s->bag, s->body.p, s->body.n, &ctx, &v), 0);
	rtls_policy_free(p);
	return v;
}

static void expect(const struct sample *s, const char *policy, enum rtls_check check)
{
	struct rtls_verdict *v = appraise_sample(s, policy);
	enum rtls_result want = check == RTLS_CHECK_NONE ? RTLS_TRUSTED : RTLS_REJECTED;

	if (rtls_verdict_result(v) != want || rtls_verdict_failed(v) != check)
		fail_msg("expected %s, found %s %s: %s\nunder:\n%s", check_name(check),
			 rtls_result_name(rtls_verdict_result(v)),
			 check_name(rtls_verdict_failed(v)), rtls_verdict_why(v), policy);
	rtls_verdict_free(v);
}

static struct rtls_verdict *inspect(const struct sample *s)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = s->now };
	struct rtls_verdict *v;

	assert_int_equal(rtls_inspect(s->bag, s->body.p, s->body.n, &ctx, &v), 0);
	return v;
}

/* The policy that `rats-inspect policy` writes for bare evidence. */
static char *suggest(const struct sample *s, bool any)
{
	struct rtls_verdict *v = inspect(s);
	char *text;

	text = rtls_policy_suggest(v, any);
	assert_non_null(text);
	rtls_verdict_free(v);
	return text;
}

#define IF_PRESENT "collateral:\n  crl: if-present\n"

/* Suggested policies: exact ones accept their evidence only, any ones accept the other's. */
static void check_suggestions(const struct sample *a, const struct sample *b,
			      enum rtls_check differs)
{
	char *exact = suggest(a, false), *any = suggest(a, true), *both;

	assert_true(asprintf(&both, "%s%s", strstr(exact, "collateral:") ? "" : IF_PRESENT, exact) >
		    0);
	expect(a, both, RTLS_CHECK_NONE);
	expect(a, any, RTLS_CHECK_NONE);
	if (b) {
		expect(b, both, differs);
		expect(b, any, RTLS_CHECK_NONE);
	}
	free(exact);
	free(any);
	free(both);
}

static void test_suggestions(void **state)
{
	struct sample new = sample_of("snp/snp3_milan_microsoft.report.bin",
				      "snp/snp3_milan_microsoft.vcek.der", 1780000000);
	struct sample old = sample_of("snp/snp2_milan_trustee.report.bin",
				      "snp/snp2_milan_trustee.vcek.der", 1780000000);
	struct sample csv =
		sample_of("csv/csvrs_report_v1.bin", "csv/csvrs_hsk_cek.cert", 1780000000);

	(void)state;
	check_suggestions(&new, &old, RTLS_CHECK_MEASUREMENT);
	check_suggestions(&csv, NULL, RTLS_CHECK_NONE);
	sample_free(&new);
	sample_free(&old);
	sample_free(&csv);
}

#define SNP IF_PRESENT "one_of:\n  - tee: snp\n"
#define ZEROS48                                                                                    \
	"000000000000000000000000000000000000000000000000"                                         \
	"000000000000000000000000000000000000000000000000"

static void test_snp(void **state)
{
	static const struct {
		const char *rules;
		enum rtls_check check;
	} cases[] = {
		{ "", RTLS_CHECK_NONE },
		{ "    snp_svn_min: 24\n    microcode_svn_min: 219\n", RTLS_CHECK_NONE },
		{ "    snp_svn_min: 25\n", RTLS_CHECK_TCB },
		{ "    microcode_svn_min: 220\n", RTLS_CHECK_TCB },
		{ "    fmc_svn_min: 0\n", RTLS_CHECK_TCB }, /* Milan has none */
		{ "    tcb_committed: true\n", RTLS_CHECK_NONE },
		{ "    single_socket: true\n", RTLS_CHECK_CONFIG },
		{ "    ciphertext_hiding: true\n", RTLS_CHECK_CONFIG },
		{ "    guest_svn_min: 3\n", RTLS_CHECK_CONFIG },
		{ "    author_key_digest: " ZEROS48 "\n", RTLS_CHECK_NONE },
		{ "    id_key_digest: " ZEROS48 "\n", RTLS_CHECK_MEASUREMENT },
		{ "    family_id: 00000000000000000000000000000001\n", RTLS_CHECK_CONFIG },
		{ "    product: [Genoa, Turin]\n", RTLS_CHECK_PLATFORM },
		{ "    signing_key: VLEK\n", RTLS_CHECK_SIGNER },
		{ "    csp_id: x\n", RTLS_CHECK_PLATFORM },
	};
	struct sample s = sample_of("snp/snp3_milan_microsoft.report.bin",
				    "snp/snp3_milan_microsoft.vcek.der", 1780000000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text),
			 SNP "    measurement: any\n    vmpl: 0\n    bootloader_svn_min: 4\n%s",
			 cases[i].rules);
		expect(&s, text, cases[i].check);
	}
	sample_free(&s);
}

static void test_snp_guest(void **state)
{
	struct sample debug = sample_of("snp/snp2_milan_google.report.bin",
					"snp/snp2_milan_google.vcek.der", 1780000000);
	struct sample vmpl_1 = sample_of("snp/snp3_milan_vlek_aws_trustee.report.bin",
					 "snp/snp3_milan_vlek_aws_trustee.vlek.der", 1740000000);

	(void)state;
	expect(&debug, SNP "    measurement: any\n    vmpl: 0\n    snp_svn_min: 0\n",
	       RTLS_CHECK_DEBUG);
	expect(&debug,
	       SNP "    measurement: any\n    vmpl: 0\n    snp_svn_min: 0\n    debug: true\n",
	       RTLS_CHECK_NONE);
	expect(&vmpl_1, SNP "    measurement: any\n    vmpl: 0\n    snp_svn_min: 0\n",
	       RTLS_CHECK_CONFIG);
	expect(&vmpl_1,
	       SNP "    measurement: any\n    vmpl: [0, 1]\n    snp_svn_min: 0\n"
		   "    csp_id: CN=cc-us-east-2.amazonaws.com\n    signing_key: VLEK\n",
	       RTLS_CHECK_NONE);
	sample_free(&debug);
	sample_free(&vmpl_1);
}

#define EAR IF_PRESENT "one_of:\n  - tee: ear\n"

/* The hash of a key that stands in the claims, as a line of a policy. */
static void signer_line(const struct sample *s, const char *claim, char *out, size_t size)
{
	struct rtls_verdict *v = inspect(s);
	struct rtls_claim c;
	char hex[65];

	assert_true(rtls_verdict_find(v, claim, &c));
	snprintf(out, size, "    %s: %s\n", claim,
		 hex_format(SPAN(c.bytes, c.n_bytes), hex, sizeof(hex)));
	rtls_verdict_free(v);
}

static void test_ear(void **state)
{
	static const struct {
		const char *rules;
		enum rtls_check check;
	} cases[] = {
		{ "    policy_ids: [default]\n", RTLS_CHECK_NONE },
		{ "    policy_ids: [other]\n", RTLS_CHECK_MEASUREMENT },
		{ "    policy_ids: any\n    runtime_data_bound: true\n", RTLS_CHECK_NONE },
		{ "    policy_ids: any\n    status: [warning]\n", RTLS_CHECK_TCB },
		{ "    policy_ids: any\n    trust_tiers: [warning]\n", RTLS_CHECK_TCB },
		{ "    policy_ids: any\n    issuer: me\n", RTLS_CHECK_SIGNER },
		{ "    policy_ids: any\n    kind: simple\n", RTLS_CHECK_CONFIG },
		{ "    policy_ids: any\n    mrtd: " ZEROS48 "\n", RTLS_CHECK_MEASUREMENT },
	};
	struct sample s = sample_of("token/coco_ear_tdx.jwt", NULL, 1768895800);
	char ca[128], text[1024];

	(void)state;
	signer_line(&s, "ca_sha256", ca, sizeof(ca));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(text, sizeof(text), EAR "%s%s", ca, cases[i].rules);
		expect(&s, text, cases[i].check);
	}
	ca[strlen(ca) - 2] ^= 1;
	snprintf(text, sizeof(text), EAR "%s    policy_ids: any\n", ca);
	expect(&s, text, RTLS_CHECK_SIGNER);
	sample_free(&s);
}

/* A token with its own key: only a pin of the key helps, and contraindicated must be listed. */
static void test_ear_self_asserted(void **state)
{
	struct sample s = sample_of("token/coco_ear_tdx_contraindicated.jwt", NULL, 1754278500);
	struct sample other = sample_of("token/coco_ear_tdx.jwt", NULL, 1768895800);
	char key[128], ca[128], text[1024];

	(void)state;
	signer_line(&s, "key_sha256", key, sizeof(key));
	signer_line(&other, "ca_sha256", ca, sizeof(ca));
	snprintf(text, sizeof(text), EAR "%s    policy_ids: any\n", ca);
	expect(&s, text, RTLS_CHECK_SIGNER);
	snprintf(text, sizeof(text), EAR "%s    policy_ids: any\n", key);
	expect(&s, text, RTLS_CHECK_TCB);
	snprintf(text, sizeof(text),
		 EAR "%s    policy_ids: any\n    status: any\n    trust_tiers: any\n", key);
	expect(&s, text, RTLS_CHECK_TCB);
	snprintf(text, sizeof(text),
		 EAR "%s    policy_ids: any\n    status: contraindicated\n"
		     "    trust_tiers: [affirming, warning, contraindicated]\n",
		 key);
	expect(&s, text, RTLS_CHECK_NONE);
	sample_free(&s);
	sample_free(&other);
}

#define TPM "one_of:\n  - tee: tpm\n"

static void test_tpm(void **state)
{
	struct tpm_evidence e = { .quote = vector_read("tpm/trustee_tpm/quote.msg"),
				  .signature = vector_read("tpm/trustee_tpm/quote.tpmt_signature"),
				  .pcrs = vector_read("tpm/trustee_tpm/pcrs_sha256.bin"),
				  .ak = vector_read("tpm/trustee_tpm/ak_pub.der") };
	struct span *const all[] = { &e.quote, &e.signature, &e.pcrs, &e.ak };
	static uint8_t packed[8192];
	struct wspan w = WSPAN(packed, sizeof(packed));
	struct sample s = { .bag = bag_of((const char *const[]){ NULL }), .now = 1700000000 };
	char ak[128], text[1024];

	(void)state;
	tpm_evidence_write(&w, &e);
	s.body = SPAN(packed, w.n);
	signer_line(&s, "ak_sha256", ak, sizeof(ak));
	check_suggestions(&s, NULL, RTLS_CHECK_NONE);
	snprintf(text, sizeof(text), TPM "%s    pcrs: any\n", ak);
	expect(&s, text, RTLS_CHECK_NONE);
	snprintf(text, sizeof(text), TPM "%s    pcrs:\n      23: %s\n", ak,
		 "0000000000000000000000000000000000000000000000000000000000000001");
	expect(&s, text, RTLS_CHECK_MEASUREMENT);
	snprintf(text, sizeof(text), TPM "%s    pcrs_sha384: any\n    firmware_version_min: 1\n",
		 ak);
	expect(&s, text, RTLS_CHECK_NONE);
	snprintf(text, sizeof(text), TPM "    pcrs: any\n    ca_sha256: %.64s\n",
		 strchr(ak, ':') + 2);
	expect(&s, text, RTLS_CHECK_SIGNER);
	ak[strlen(ak) - 2] ^= 1;
	snprintf(text, sizeof(text), TPM "%s    pcrs: any\n", ak);
	expect(&s, text, RTLS_CHECK_SIGNER);
	rtls_collateral_free(s.bag);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		vector_free(*all[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suggestions),	  cmocka_unit_test(test_snp),
		cmocka_unit_test(test_snp_guest),	  cmocka_unit_test(test_ear),
		cmocka_unit_test(test_ear_self_asserted), cmocka_unit_test(test_tpm),
	};

	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
