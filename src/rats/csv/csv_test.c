/* The real report and its certificates; what is refused is in test/rats/csv_forge.c. */
#include "rats/tee_test.h"

static struct rtls_verdict *appraise_body(struct span body, const char *const certs[])
{
	struct rtls_collateral *bag = bag_of(certs);
	struct appraisal a = {
		.body = body, .collateral = bag, .roots = &roots_production, .now = 1700000000
	};
	struct rtls_verdict *v = run_verifier(&verifier_csv, &a);

	rtls_collateral_free(bag);
	return v;
}

static void check_claims(const struct rtls_verdict *v)
{
	assert_claim(v, "report_data",
		     "7573657220646174610000000000000000000000000000000000000000000000"
		     "0000000000000000000000000000000000000000000000000000000000000000");
	assert_claim(v, "mnonce", "67c6697351ff4aec29cdbaabf2fbe346");
	assert_claim(v, "measure",
		     "1178dadbf826ec7a07444ba358376d81c312cb53d703f9da83b26c1eee2ea052");
	assert_claim(v, "policy", "01000040");
	assert_claim(v, "debug", "0x0");
	assert_claim(v, "sig_usage", "0x1002");
	assert_claim(v, "sig_algo", "0x4");
	assert_claim(v, "chip_sn", "NZA9T14052605");
	assert_claim(v, "anonce", "9b429112");
}

static void test_report(void **state)
{
	static const char *const bags[][4] = {
		{ "csv/csvrs_hsk_cek.cert" }, /* as the key server answers */
		{ "csv/csvrs_cek.cert", "csv/csvrs_hsk.cert", "csv/csvrs_hrk.cert" },
	};
	struct span body = vector_read("csv/csvrs_report_v1.bin");

	(void)state;
	assert_true(verifier_csv.detect(body));
	for (size_t i = 0; i < ARRAY_LEN(bags); i++) {
		struct rtls_verdict *v = appraise_body(body, bags[i]);

		assert_passes(v);
		check_claims(v);
		rtls_verdict_free(v);
	}
	vector_free(body);
}

/* Padded to a page, and with the certificates behind it, as librats sends it. */
static void test_what_follows(void **state)
{
	struct span report = vector_read("csv/csvrs_report_v1.bin");
	struct span certs = vector_read("csv/csvrs_hsk_cek.cert");
	uint8_t page[8192] = { 0 };
	struct rtls_verdict *v;

	(void)state;
	memcpy(page, report.p, report.n);
	memcpy(page + 4096, certs.p, certs.n);
	v = appraise_body(SPAN(page, 4096 + certs.n), (const char *const[]){ NULL });
	assert_passes(v);
	rtls_verdict_free(v);
	v = appraise_body(SPAN(page, 4096 + certs.n - 1), (const char *const[]){ NULL });
	assert_fails(v, RTLS_CHECK_FORMAT, "after the report");
	rtls_verdict_free(v);
	v = appraise_body(report, (const char *const[]){ NULL });
	assert_fails(v, RTLS_CHECK_CHAIN, "CEK");
	assert_true(v->undecidable);
	rtls_verdict_free(v);
	vector_free(report);
	vector_free(certs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_what_follows),
	};

	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
