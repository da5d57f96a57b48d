/*
 * Forged tokens of attestation services: for each check of the verifier one that only this check
 * catches.
 */
#include "ear_build.h"

static struct rtls_verdict *run(const struct forgery *f)
{
	struct rtls_collateral *bag = collect(f);
	char *token = f->raw ? strdup(f->raw) : make_token(f);
	struct appraisal a = { .body = SPAN(token, strlen(token)),
			       .collateral = bag,
			       .rules = { .crl_if_present = !f->crl_strict },
			       .roots = &roots_production,
			       .now = f->now };
	struct rtls_verdict *v = run_verifier(&verifier_ear, &a);

	free(token);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void no_token(struct forgery *f)
{
	f->raw = "eyJhbGciOiJub25lIn0.e30.";
}
static void four_parts(struct forgery *f)
{
	f->raw = "e30.e30.AAAA.AAAA";
}
static void no_json(struct forgery *f)
{
	f->raw = "AAAA.e30.AAAA";
}
static void crit(struct forgery *f)
{
	f->extra_header = "crit";
}
static void no_appraisal(struct forgery *f)
{
	f->body = "\"submods\":{}";
}
static void no_status(struct forgery *f)
{
	f->body = "\"submods\":{\"cpu0\":{}}";
}
static void odd_vector(struct forgery *f)
{
	f->body = EAR("affirming", "\"2\"");
}
static void other_kind(struct forgery *f)
{
	f->body = "\"sub\":\"me\"";
}
static void twice(struct forgery *f)
{
	f->body = EAR("affirming", "2") "," EAR("affirming", "2");
}
static void alg_none(struct forgery *f)
{
	f->alg = "none";
}
static void alg_hmac(struct forgery *f)
{
	f->alg = "HS256";
}
static void alg_other_type(struct forgery *f)
{
	f->alg = "RS256";
}
static void alg_other_curve(struct forgery *f)
{
	f->alg = "ES384";
}
static void alg_lower_case(struct forgery *f)
{
	f->alg = "es256";
}
static void bad_jwk(struct forgery *f)
{
	f->jwk = pki.other;
	f->with_x5c = false;
}
static void jwk_x5c_differ(struct forgery *f)
{
	f->cert_key = pki.other;
}
static void leaf_of_nobody(struct forgery *f)
{
	f->cert_signer = pki.other;
}
static void no_root(struct forgery *f)
{
	f->leave_root_out = true;
}
static void leaf_expired(struct forgery *f)
{
	f->cert_to = PKI_NOW;
}
static void leaf_revoked(struct forgery *f)
{
	f->revoked = true;
}
static void no_crl(struct forgery *f)
{
	f->crl_strict = true;
}
static void no_key(struct forgery *f)
{
	f->with_jwk = f->with_x5c = false;
}
static void signed_by_other(struct forgery *f)
{
	f->key = pki.other;
}
static void flipped(struct forgery *f)
{
	f->flip_sig = true;
}
static void shortened(struct forgery *f)
{
	f->short_sig = true;
}
static void lengthened(struct forgery *f)
{
	f->long_sig = true;
}
static void no_exp(struct forgery *f)
{
	f->exp = NULL;
}
static void odd_exp(struct forgery *f)
{
	f->exp = "\"1750000300\"";
}
static void odd_nbf(struct forgery *f)
{
	f->nbf = "-1";
}
static void expired(struct forgery *f)
{
	f->now = 1750000300;
}
static void from_the_future(struct forgery *f)
{
	f->now = 1749999999;
}
static void before_iat(struct forgery *f)
{
	f->nbf = "1749999000";
	f->now = 1749999500;
}
static void before_nbf(struct forgery *f)
{
	f->nbf = "1750000200";
}

static const struct {
	void (*forge)(struct forgery *f);
	enum rtls_check check;
	const char *why;
	bool undecidable;
} cases[] = {
	{ no_token, RTLS_CHECK_FORMAT, "token", false },
	{ four_parts, RTLS_CHECK_FORMAT, "token", false },
	{ no_json, RTLS_CHECK_FORMAT, "token", false },
	{ crit, RTLS_CHECK_FORMAT, "token", false },
	{ twice, RTLS_CHECK_FORMAT, "token", false },
	{ no_appraisal, RTLS_CHECK_FORMAT, "payload", false },
	{ no_status, RTLS_CHECK_FORMAT, "payload", false },
	{ odd_vector, RTLS_CHECK_FORMAT, "payload", false },
	{ other_kind, RTLS_CHECK_FORMAT, "payload", false },
	{ alg_none, RTLS_CHECK_SIGNATURE, "algorithm", false },
	{ alg_hmac, RTLS_CHECK_SIGNATURE, "algorithm", false },
	{ alg_other_type, RTLS_CHECK_SIGNATURE, "algorithm", false },
	{ alg_other_curve, RTLS_CHECK_SIGNATURE, "algorithm", false },
	{ alg_lower_case, RTLS_CHECK_SIGNATURE, "algorithm", false },
	{ bad_jwk, RTLS_CHECK_SIGNATURE, "token signature", false },
	{ jwk_x5c_differ, RTLS_CHECK_BINDING, "jwk against x5c", false },
	{ leaf_of_nobody, RTLS_CHECK_CHAIN, "bad signature", false },
	{ no_root, RTLS_CHECK_CHAIN, "does not reach a root", true },
	{ leaf_expired, RTLS_CHECK_CHAIN, "is valid from", false },
	{ leaf_revoked, RTLS_CHECK_REVOKED, "lists serial number", false },
	{ no_crl, RTLS_CHECK_COLLATERAL, "not in the collateral", true },
	{ no_key, RTLS_CHECK_SIGNATURE, "neither in the token", true },
	{ signed_by_other, RTLS_CHECK_SIGNATURE, "token signature", false },
	{ flipped, RTLS_CHECK_SIGNATURE, "token signature", false },
	{ shortened, RTLS_CHECK_SIGNATURE, "token signature", false },
	{ lengthened, RTLS_CHECK_SIGNATURE, "token signature", false },
	{ no_exp, RTLS_CHECK_FORMAT, "lifetime", false },
	{ odd_exp, RTLS_CHECK_FORMAT, "lifetime", false },
	{ odd_nbf, RTLS_CHECK_FORMAT, "lifetime", false },
	{ expired, RTLS_CHECK_FRESHNESS, "lifetime", false },
	{ from_the_future, RTLS_CHECK_FRESHNESS, "lifetime", false },
	{ before_iat, RTLS_CHECK_FRESHNESS, "lifetime", false },
	{ before_nbf, RTLS_CHECK_FRESHNESS, "lifetime", false },
};

static void test_forgeries(void **state)
{
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		honest(&f);
		cases[i].forge(&f);
		v = run(&f);
		assert_fails(v, cases[i].check, cases[i].why);
		assert_int_equal(v->undecidable, cases[i].undecidable);
		rtls_verdict_free(v);
	}
	print_message("%zu forgeries\n", ARRAY_LEN(cases));
}

static void honest_url(struct forgery *f)
{
	f->x5c_url = true;
}
static void honest_x5c_alone(struct forgery *f)
{
	f->with_jwk = false;
}
static void honest_jwk_alone(struct forgery *f)
{
	f->with_x5c = false;
}
static void honest_root_in_bag(struct forgery *f)
{
	f->leave_root_out = f->root_in_bag = true;
}
static void honest_p384(struct forgery *f)
{
	f->alg = "ES384", f->key = f->jwk = f->cert_key = pki.p384;
}
static void honest_rsa(struct forgery *f)
{
	f->alg = "RS384", f->key = f->jwk = f->cert_key = pki.rsa;
}
static void honest_simple(struct forgery *f)
{
	f->body = "\"tcb-status\":\"{}\",\"evaluation-reports\":[{\"policy-id\":\"default\"}]";
}

static void test_honest(void **state)
{
	static void (*const makers[])(struct forgery *) = {
		honest_url,  honest_x5c_alone, honest_jwk_alone, honest_root_in_bag,
		honest_p384, honest_rsa,       honest_simple,
	};
	struct rtls_verdict *v;
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		honest(&f);
		makers[i](&f);
		v = run(&f);
		assert_passes(v);
		rtls_verdict_free(v);
	}
}

/* A key that the operator has, found by its id; and one of another id. */
static void test_key_set(void **state)
{
	json_t *jwk = jwk_of(pki.signer), *set;
	struct rtls_verdict *v;
	struct forgery f;
	char *text;

	(void)state;
	json_object_set_new(jwk, "kid", json_string("k1"));
	set = json_pack("{s:[o]}", "keys", jwk);
	text = json_dumps(set, 0);
	honest(&f);
	f.with_jwk = f.with_x5c = false;
	f.jwks = text;
	f.kid = "k1";
	v = run(&f);
	assert_passes(v);
	rtls_verdict_free(v);
	f.kid = "k2";
	v = run(&f);
	assert_fails(v, RTLS_CHECK_SIGNATURE, "neither in the token");
	rtls_verdict_free(v);
	free(text);
	json_decref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_key_set),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
