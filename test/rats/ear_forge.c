/*
 * Forged tokens of attestation services: for each check of the verifier one that only this check
 * catches.
 */
#include "tee_pki.h"

#include <jansson.h>

static struct {
	EVP_PKEY *ca, *signer, *p384, *rsa, *other;
} pki;

/* Everything that a forgery may change; texts are JSON. */
struct forgery {
	const char *alg, *extra_header, *iat, *nbf, *exp, *body, *raw;
	EVP_PKEY *key, *jwk, *cert_key, *cert_signer;
	bool with_x5c, x5c_url, with_jwk, leave_root_out, root_in_bag, short_sig, long_sig,
		flip_sig;
	bool crl_strict, revoked;
	int64_t now, cert_to;
	const char *kid, *jwks;
};

#define EAR(status, hardware)                                                                      \
	"\"submods\":{\"cpu0\":{\"ear.status\":\"" status                                          \
	"\",\"ear.appraisal-policy-id\":\"default\",\"ear.trustworthiness-vector\":"               \
	"{\"hardware\":" hardware "}}}"

static void honest(struct forgery *f)
{
	*f = (struct forgery){ .alg = "ES256",
			       .iat = "1750000000",
			       .exp = "1750000300",
			       .body = EAR("affirming", "2"),
			       .key = pki.signer,
			       .jwk = pki.signer,
			       .cert_key = pki.signer,
			       .cert_signer = pki.ca,
			       .with_x5c = true,
			       .with_jwk = true,
			       .now = PKI_NOW + 100 };
}

static char *b64(const void *bytes, size_t n, bool url)
{
	char *out = malloc(4 * n / 3 + 8), *p;

	EVP_EncodeBlock((uint8_t *)out, bytes, (int)n);
	for (p = out; url && *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	if (url)
		out[strcspn(out, "=")] = '\0';
	return out;
}

static json_t *b64_json(const void *bytes, size_t n, bool url)
{
	char *text = b64(bytes, n, url);
	json_t *j = json_string(text);

	free(text);
	return j;
}

static json_t *cert_json(X509 *x, bool url)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	json_t *j = b64_json(der, (size_t)n, url);

	OPENSSL_free(der);
	return j;
}

static json_t *bn_json(EVP_PKEY *key, const char *param, int size)
{
	uint8_t bytes[1024];
	BIGNUM *bn = NULL;
	json_t *j;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
	size = size ? size : BN_num_bytes(bn);
	BN_bn2binpad(bn, bytes, size);
	j = b64_json(bytes, (size_t)size, true);
	BN_free(bn);
	return j;
}

static json_t *jwk_of(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA"))
		return json_pack("{s:s,s:o,s:o}", "kty", "RSA", "n", bn_json(key, "n", 0), "e",
				 bn_json(key, "e", 0));
	return json_pack("{s:s,s:s,s:o,s:o}", "kty", "EC", "crv", bits == 384 ? "P-384" : "P-256",
			 "x", bn_json(key, "qx", bits / 8), "y", bn_json(key, "qy", bits / 8));
}

static X509 *make_ca(void)
{
	return pki_make(&(struct pki_cert){ .cn = "AS CA", .key = pki.ca, .is_ca = true });
}

static json_t *header_of(const struct forgery *f)
{
	X509 *ca = make_ca();
	X509 *leaf = pki_make(&(struct pki_cert){ .cn = "AS",
						  .key = f->cert_key,
						  .issuer_cn = "AS CA",
						  .serial = 5,
						  .issuer_key = f->cert_signer,
						  .to = f->cert_to });
	json_t *h = json_pack("{s:s,s:s}", "typ", "JWT", "alg", f->alg), *jwk = NULL, *x5c;

	if (f->with_jwk)
		jwk = jwk_of(f->jwk);
	if (f->with_x5c) {
		x5c = json_pack("[o]", cert_json(leaf, f->x5c_url));
		if (!f->leave_root_out)
			json_array_append_new(x5c, cert_json(ca, f->x5c_url));
		json_object_set_new(jwk ? jwk : h, "x5c", x5c);
	}
	if (jwk)
		json_object_set_new(h, "jwk", jwk);
	if (f->kid)
		json_object_set_new(h, "kid", json_string(f->kid));
	if (f->extra_header)
		json_object_set_new(h, f->extra_header, json_pack("[s]", "b64"));
	X509_free(ca);
	X509_free(leaf);
	return h;
}

static size_t sign(const struct forgery *f, const char *text, uint8_t sig[512])
{
	struct span msg = SPAN(text, strlen(text));
	EVP_MD_CTX *ctx;
	size_t n = 512, size = (size_t)EVP_PKEY_get_bits(f->key) / 8;

	if (EVP_PKEY_is_a(f->key, "EC")) {
		pki_ecdsa(f->key, size == 48 ? EVP_sha384() : EVP_sha256(), msg, size, sig,
			  sig + size);
		return 2 * size;
	}
	ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, f->key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, msg.p, msg.n), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

static char *make_token(const struct forgery *f)
{
	json_t *header = header_of(f);
	char payload[4096], *h_text = json_dumps(header, JSON_COMPACT), *parts[3], *token;
	uint8_t sig[512] = { 0 };
	size_t n;

	snprintf(payload, sizeof(payload), "{%s%s%s%s%s%s%s}", f->iat ? "\"iat\":" : "",
		 f->iat ? f->iat : "", f->iat ? "," : "", f->exp ? "\"exp\":" : "",
		 f->exp ? f->exp : "", f->exp ? "," : "", f->body);
	if (f->nbf)
		snprintf(payload + strlen(payload) - 1, 40, ",\"nbf\":%s}", f->nbf);
	parts[0] = b64(h_text, strlen(h_text), true);
	parts[1] = b64(payload, strlen(payload), true);
	assert_true(asprintf(&token, "%s.%s", parts[0], parts[1]) > 0);
	n = sign(f, token, sig);
	sig[10] ^= f->flip_sig;
	parts[2] = b64(sig, n - f->short_sig + f->long_sig, true);
	token = realloc(token, strlen(token) + strlen(parts[2]) + 3);
	strcat(strcat(token, "."), parts[2]);
	for (size_t i = 0; i < 3; i++)
		free(parts[i]);
	free(h_text);
	json_decref(header);
	return token;
}

static struct rtls_collateral *collect(const struct forgery *f)
{
	struct rtls_collateral *bag;
	X509 *ca = make_ca();

	assert_int_equal(rtls_collateral_new(&bag), 0);
	if (f->root_in_bag)
		bag_add_cert(bag, ca);
	if (f->revoked) {
		X509_CRL *crl = pki_make_crl(ca, pki.ca, false, 5);

		bag_add_crl(bag, crl);
		X509_CRL_free(crl);
	}
	if (f->jwks)
		assert_int_equal(rtls_collateral_add(bag, f->jwks, strlen(f->jwks)), 0);
	assert_int_equal(rtls_collateral_seal(bag), 0);
	X509_free(ca);
	return bag;
}

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

static int make_keys(void **state)
{
	(void)state;
	pki.ca = EVP_EC_gen("P-256");
	pki.signer = EVP_EC_gen("P-256");
	pki.other = EVP_EC_gen("P-256");
	pki.p384 = EVP_EC_gen("P-384");
	pki.rsa = EVP_RSA_gen(2048);
	return pki.rsa ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(pki.ca);
	EVP_PKEY_free(pki.signer);
	EVP_PKEY_free(pki.other);
	EVP_PKEY_free(pki.p384);
	EVP_PKEY_free(pki.rsa);
	return 0;
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
