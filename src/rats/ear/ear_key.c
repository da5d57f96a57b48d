/*
 * Whose key signed a token. The header may carry the key itself ("jwk") and certificates for it
 * ("x5c", in the header or in the jwk). Both come from the token and prove nothing by themselves:
 * they are stated as claims, and the policy must pin the key or the root. A pinned CA should
 * issue certificates for nothing but tokens: there is no usage in them to tell.
 *
 * "x5c" is base64 (RFC 7515, 4.1.6); Trustee writes base64url. Both are read.
 */
#include "rats/ear/ear_key.h"

#include "rats/ear/jwk.h"
#include "rats/json.h"
#include "rats/text.h"

static X509 *cert_at(const json_t *x5c, size_t i)
{
	const json_t *text = json_array_get(x5c, i);
	uint8_t der[CERT_DER_MAX];
	size_t n;

	if (!json_is_string(text) ||
	    !base64_parse(SPAN(json_string_value(text), json_string_length(text)), der, sizeof(der),
			  &n))
		return NULL;
	return x509_from_der(SPAN(der, n));
}

static bool read_chain(const json_t *x5c, struct chain *c)
{
	size_t n = json_array_size(x5c);

	if (n == 0 || n > CHAIN_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		X509 *x = cert_at(x5c, i);

		if (!x)
			return false;
		c->cert[c->n++] = x;
	}
	return true;
}

static bool is_self_issued(X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* The root need not be in the token (RFC 7515 lets it be left out), then in the collateral. */
static void complete(const struct appraisal *a, struct chain *c)
{
	for (size_t i = 0; i < collateral_n_certs(a->collateral); i++) {
		X509 *x = collateral_cert(a->collateral, i), *last = c->cert[c->n - 1];

		if (c->n == CHAIN_MAX || is_self_issued(last))
			return;
		if (!is_self_issued(x) ||
		    X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(last)) != 0)
			continue;
		X509_up_ref(x);
		c->cert[c->n++] = x;
	}
}

static bool check_chain(const struct appraisal *a, struct chain *c, struct rtls_verdict *v)
{
	uint8_t root[32];

	complete(a, c);
	if (!is_self_issued(c->cert[c->n - 1]))
		return verdict_missing(v, RTLS_CHECK_CHAIN, "signer's certificate",
				       "the chain does not reach a root");
	if (!chain_check(c, NULL, 0, "signer's certificate", v) ||
	    !verdict_check(v, RTLS_CHECK_CHAIN, x509_key_sha256(c->cert[c->n - 1], root),
			   "signer's root", "its key cannot be encoded"))
		return false;
	claims_add_bytes(v->claims, "ca_sha256", SPAN(root, sizeof(root)));
	return chain_check_time(c, a->now, "signer's certificate", v) &&
	       chain_check_revocation(c, a->collateral, NULL, &a->rules, a->now, v);
}

/* A key of this id in one JWK set (RFC 7517, 5). */
static EVP_PKEY *key_in_set(struct span text, struct span kid)
{
	JSON_AUTO set = json_parse_strict(text);
	const json_t *keys = json_object_get(set, "keys"), *jwk;
	struct span id;
	size_t i;

	for (i = 0; i < json_array_size(keys); i++) {
		jwk = json_array_get(keys, i);
		if (json_text(jwk, "kid", &id) && span_equal(id, kid))
			return jwk_to_key(jwk);
	}
	return NULL;
}

static EVP_PKEY *key_by_id(const struct appraisal *a, const struct jws *t)
{
	EVP_PKEY *key = NULL;
	struct span kid;

	if (!json_text(t->header, "kid", &kid))
		return NULL;
	for (size_t i = 0; !key && i < collateral_n_blobs(a->collateral); i++)
		key = key_in_set(collateral_blob(a->collateral, i), kid);
	return key;
}

static bool find(const struct appraisal *a, const struct jws *t, const struct chain *c,
		 struct rtls_verdict *v, EVP_PKEY **out)
{
	const json_t *jwk = json_object_get(t->header, "jwk");
	EVP_PKEY *certified = c->n > 0 ? X509_get0_pubkey(c->cert[0]) : NULL;
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;

	if (jwk)
		key = jwk_to_key(jwk);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, !jwk || key, "jwk", "no usable public key"))
		return false;
	if (jwk && certified &&
	    !verdict_check(v, RTLS_CHECK_BINDING, EVP_PKEY_eq(key, certified) == 1,
			   "jwk against x5c", "they hold different keys"))
		return false;
	if (!key && certified) {
		EVP_PKEY_up_ref(certified);
		key = certified;
	}
	if (!key)
		key = key_by_id(a, t);
	if (!key)
		return verdict_missing(v, RTLS_CHECK_SIGNATURE, "token's key",
				       "neither in the token nor in the collateral");
	*out = TAKE(key);
	return true;
}

bool ear_key_find(const struct appraisal *a, const struct jws *t, struct rtls_verdict *v,
		  EVP_PKEY **out)
{
	const json_t *x5c = json_object_get(json_object_get(t->header, "jwk"), "x5c");
	CLEANUP(chain_deinit) struct chain c = { 0 };
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;
	uint8_t digest[32];

	if (!x5c)
		x5c = json_object_get(t->header, "x5c");
	if (x5c && !verdict_check(v, RTLS_CHECK_FORMAT, read_chain(x5c, &c), "x5c",
				  "not a list of certificates"))
		return false;
	if (!find(a, t, &c, v, &key))
		return false;
	if (!verdict_check(v, RTLS_CHECK_FORMAT, pkey_sha256(key, digest), "token's key",
			   "cannot be encoded"))
		return false;
	claims_add_bytes(v->claims, "key_sha256", SPAN(digest, sizeof(digest)));
	if (x5c && !check_chain(a, &c, v))
		return false;
	*out = TAKE(key);
	return true;
}
