/* A builder of attestation services' tokens and the PKI behind them, honest or with anything
 * changed. */
#ifndef ENG_TEST_RATS_EAR_BUILD_H
#define ENG_TEST_RATS_EAR_BUILD_H

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

static inline void honest(struct forgery *f)
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

static inline char *b64(const void *bytes, size_t n, bool url)
{
	char *out = malloc(4 * n / 3 + 8), *p;

	EVP_EncodeBlock((uint8_t *)out, bytes, (int)n);
	for (p = out; url && *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	if (url)
		out[strcspn(out, "=")] = '\0';
	return out;
}

static inline json_t *b64_json(const void *bytes, size_t n, bool url)
{
	char *text = b64(bytes, n, url);
	json_t *j = json_string(text);

	free(text);
	return j;
}

static inline json_t *cert_json(X509 *x, bool url)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	json_t *j = b64_json(der, (size_t)n, url);

	OPENSSL_free(der);
	return j;
}

static inline json_t *bn_json(EVP_PKEY *key, const char *param, int size)
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

static inline json_t *jwk_of(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA"))
		return json_pack("{s:s,s:o,s:o}", "kty", "RSA", "n", bn_json(key, "n", 0), "e",
				 bn_json(key, "e", 0));
	return json_pack("{s:s,s:s,s:o,s:o}", "kty", "EC", "crv", bits == 384 ? "P-384" : "P-256",
			 "x", bn_json(key, "qx", bits / 8), "y", bn_json(key, "qy", bits / 8));
}

static inline X509 *make_ca(void)
{
	return pki_make(&(struct pki_cert){ .cn = "AS CA", .key = pki.ca, .is_ca = true });
}

static inline json_t *header_of(const struct forgery *f)
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

static inline size_t sign(const struct forgery *f, const char *text, uint8_t sig[512])
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

static inline char *make_token(const struct forgery *f)
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

static inline struct rtls_collateral *collect(const struct forgery *f)
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

static inline int make_keys(void **state)
{
	(void)state;
	pki.ca = EVP_EC_gen("P-256");
	pki.signer = EVP_EC_gen("P-256");
	pki.other = EVP_EC_gen("P-256");
	pki.p384 = EVP_EC_gen("P-384");
	pki.rsa = EVP_RSA_gen(2048);
	return pki.rsa ? 0 : -1;
}

static inline int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(pki.ca);
	EVP_PKEY_free(pki.signer);
	EVP_PKEY_free(pki.other);
	EVP_PKEY_free(pki.p384);
	EVP_PKEY_free(pki.rsa);
	return 0;
}

#endif
