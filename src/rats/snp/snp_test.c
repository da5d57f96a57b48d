/* Real reports and their certificates; what is refused is in test/rats/snp_forge.c. */
#include "rats/tee_test.h"

#include <jansson.h>

#include "rats/snp/snp_cert.h"

static json_t *manifest;

static int read_manifest(void **state)
{
	struct span s = vector_read("manifest.json");

	(void)state;
	manifest = json_loadb((const char *)s.p, s.n, 0, NULL);
	vector_free(s);
	return manifest ? 0 : -1;
}

static int free_manifest(void **state)
{
	(void)state;
	json_decref(manifest);
	return 0;
}

/* The middle of the window in which the manifest says that the vector is valid. */
static int64_t time_in(const json_t *vector)
{
	const json_t *window = json_object_get(vector, "window");
	int64_t t[2];

	for (size_t i = 0; i < 2; i++) {
		const char *text = json_string_value(json_array_get(window, i));

		assert_non_null(text);
		assert_true(time_parse(SPAN(text, strlen(text)), &t[i]));
	}
	return t[0] + (t[1] - t[0]) / 2;
}

static void compare_claims(const struct rtls_verdict *v, const json_t *claims)
{
	const char *name;
	json_t *value;
	char text[32];

	json_object_foreach((json_t *)claims, name, value)
	{
		if (json_is_string(value)) {
			assert_claim(v, name, json_string_value(value));
			continue;
		}
		snprintf(text, sizeof(text), "0x%llx",
			 (unsigned long long)json_integer_value(value));
		assert_claim(v, name, text);
	}
}

static struct rtls_verdict *appraise_file(const char *file, const char *cert, int64_t now)
{
	struct rtls_collateral *bag = bag_of((const char *const[]){ cert, NULL });
	struct span body = vector_read(file);
	struct appraisal a = {
		.body = body,
		.collateral = bag,
		.rules = { .crl_if_present = true },
		.roots = &roots_production,
		.now = now,
	};
	struct rtls_verdict *v;

	assert_true(verifier_snp.detect(body));
	v = run_verifier(&verifier_snp, &a);
	vector_free(body);
	rtls_collateral_free(bag);
	return v;
}

static void test_reports(void **state)
{
	const json_t *vector;
	size_t i, n = 0;

	(void)state;
	json_array_foreach(manifest, i, vector)
	{
		const char *file = json_string_value(json_object_get(vector, "file"));
		const char *cert = json_string_value(json_object_get(vector, "cert"));
		struct rtls_verdict *v;

		if (!cert || strncmp(file, "snp/", 4) != 0)
			continue;
		v = appraise_file(file, cert, time_in(vector));
		print_message("%s\n", file);
		assert_passes(v);
		compare_claims(v, json_object_get(vector, "claims"));
		rtls_verdict_free(v);
		n++;
	}
	assert_true(n >= 8);
}

static void test_window(void **state)
{
	const char *report = "snp/snp5_turin_microsoft.report.bin";
	const char *cert = "snp/snp5_turin_microsoft.vcek.der";
	struct rtls_verdict *v;

	(void)state;
	v = appraise_file(report, cert, 1770253473 - 1);
	assert_fails(v, RTLS_CHECK_CHAIN, "is valid from");
	rtls_verdict_free(v);
	v = appraise_file(report, cert, 1770253473);
	assert_passes(v);
	rtls_verdict_free(v);
}

static void test_foreign_certificate(void **state)
{
	struct rtls_verdict *v;

	(void)state;
	v = appraise_file("negative/snp2_azure_no_cert.report.bin",
			  "snp/snp2_milan_azure_trustee.vcek.der", 1750000000);
	assert_fails(v, RTLS_CHECK_BINDING, "HWID");
	rtls_verdict_free(v);
	v = appraise_file("snp/snp2_milan_google.report.bin", NULL, 1750000000);
	assert_fails(v, RTLS_CHECK_CHAIN, "no VCEK certificate");
	assert_true(v->undecidable);
	rtls_verdict_free(v);
}

static void test_forged_certificates(void **state)
{
	static const struct {
		const char *file, *why;
	} cases[] = {
		{ "negative/snp_vcek_invalid_legacy.der", "signature" },
		{ "negative/snp_vcek_invalid_new.der", "HWID extension" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v = appraise_file("snp/snp2_milan_google.report.bin",
						       cases[i].file, 1700000000);

		assert_fails(v, RTLS_CHECK_CHAIN, cases[i].why);
		rtls_verdict_free(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_foreign_certificate),
		cmocka_unit_test(test_forged_certificates),
	};

	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, read_manifest, free_manifest);
}
