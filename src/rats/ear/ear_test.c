/* Real tokens; what is refused is in test/rats/ear_forge.c. */
#include "rats/tee_test.h"

#include "rats/ear/ear_claims.h"

static struct rtls_verdict *run(const char *file, int64_t now)
{
	struct rtls_collateral *bag = bag_of((const char *const[]){ NULL });
	struct span body = vector_read(file);
	struct appraisal a = { .body = body,
			       .collateral = bag,
			       .rules = { .crl_if_present = true },
			       .roots = &roots_production,
			       .now = now };
	struct rtls_verdict *v;

	assert_true(verifier_ear.detect(body));
	v = run_verifier(&verifier_ear, &a);
	vector_free(body);
	rtls_collateral_free(bag);
	return v;
}

/* The claim "ca_sha256" is the key of the vector's CA. */
static void check_ca(const struct rtls_verdict *v, const char *file)
{
	struct span pem = vector_read(file);
	struct chain c = { 0 };
	char hex[65];
	uint8_t key[32];

	assert_true(chain_from_pem(pem, &c));
	assert_true(x509_key_sha256(c.cert[0], key));
	assert_claim(v, "ca_sha256", hex_format(SPAN(key, 32), hex, sizeof(hex)));
	chain_deinit(&c);
	vector_free(pem);
}

static void test_ear(void **state)
{
	struct rtls_verdict *v = run("token/coco_ear_tdx.jwt", 1768895707);

	(void)state;
	assert_passes(v);
	check_ca(v, "token/coco_ear_tdx.ca.pem");
	assert_claim(v, "status", "affirming");
	assert_claim(v, "policy_id", "default");
	assert_claim(v, "trust.cpu0.executables", "3");
	assert_claim(v, "runtime_data_bound", "0x1");
	assert_claim(v, "profile", "tag:github.com,2024:confidential-containers/Trustee");
	assert_claim(v, "report_data",
		     "7795079d92cccb26374fd2e42632d622cd86c14e5995052d95c6203c7015f828"
		     "187d83f1bd1751fbe7409832a8a1610f00000000000000000000000000000000");
	assert_claim(v, "mrtd",
		     "157768a71a6a31f5561978c4cde665809d22976ef5dead29"
		     "52839b7b3ea23b6c2931c9148fe1d117c99faefac18bb73b");
	rtls_verdict_free(v);
}

static void test_simple(void **state)
{
	struct rtls_verdict *v = run("token/coco_simple_tdx.jwt", 1768806366);

	(void)state;
	assert_passes(v);
	check_ca(v, "token/coco_simple_tdx.ca.pem");
	assert_claim(v, "kind", "simple");
	assert_claim(v, "status", "none");
	assert_claim(v, "trust_tier", "none");
	assert_claim(v, "tee", "tdx");
	assert_claim(v, "issuer", "CoCo-Attestation-Service");
	assert_claim(v, "policy_id", "default");
	assert_claim(v, "policy_hash",
		     "f5abdc02716d85a5ab28cf43500201591bbe4e5600751039"
		     "462e5ec2e0ae2698d637c1f487f58bca182244eefdf3b4b1");
	assert_claim(v, "runtime_data_bound", "0x1");
	assert_non_null(claims_find(v->claims, "mrtd"));
	rtls_verdict_free(v);
}

/* The signature is right, and what is wrong is for the policy to say: no CA, and a bad status. */
static void test_self_asserted(void **state)
{
	struct rtls_verdict *v = run("token/coco_ear_tdx_contraindicated.jwt", 1754278481);

	(void)state;
	assert_passes(v);
	assert_null(claims_find(v->claims, "ca_sha256"));
	assert_non_null(claims_find(v->claims, "key_sha256"));
	assert_claim(v, "status", "contraindicated");
	assert_claim(v, "trust.cpu.hardware", "97");
	rtls_verdict_free(v);
}

static void test_lifetime(void **state)
{
	static const struct {
		int64_t now;
		enum rtls_check failed;
	} cases[] = {
		{ 1768895706, RTLS_CHECK_FRESHNESS },
		{ 1768895707, RTLS_CHECK_NONE },
		{ 1768896006, RTLS_CHECK_NONE },
		{ 1768896007, RTLS_CHECK_FRESHNESS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v = run("token/coco_ear_tdx.jwt", cases[i].now);

		assert_int_equal(v->failed, cases[i].failed);
		rtls_verdict_free(v);
	}
}

static void test_tiers(void **state)
{
	(void)state;
	assert_string_equal(ear_tier(0), "none");
	assert_string_equal(ear_tier(2), "affirming");
	assert_string_equal(ear_tier(31), "affirming");
	assert_string_equal(ear_tier(32), "warning");
	assert_string_equal(ear_tier(95), "warning");
	assert_string_equal(ear_tier(96), "contraindicated");
	assert_string_equal(ear_tier(-2), "affirming");
	assert_string_equal(ear_tier(-33), "warning");
	assert_string_equal(ear_tier(-97), "contraindicated");
	assert_string_equal(ear_tier(1000), "contraindicated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ear),	      cmocka_unit_test(test_simple),
		cmocka_unit_test(test_self_asserted), cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_tiers),
	};

	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
