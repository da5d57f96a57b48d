/*
 * Compact JWS; see jws.h. The signature covers the text as it came, never a re-encoding. Header
 * parameters that must be understood ("crit") are not, so that a token with any is refused; among
 * them is "b64", which changes what is signed.
 */
#include "rats/ear/jws.h"

#include <openssl/rsa.h>
#include <stdlib.h>

#include "rats/json.h"
#include "rats/text.h"
#include "rats/x509.h"

struct jws_alg {
	const char *name;
	const char *key; /* "RSA", or the group of an EC key as OpenSSL names it */
	const EVP_MD *(*md)(void);
	int padding;	 /* RSA */
	size_t int_size; /* EC: bytes of r and of s */
};

/* RFC 7518, 3.1, without "none" and the MACs. */
static const struct jws_alg algs[] = {
	{ "RS256", "RSA", EVP_sha256, RSA_PKCS1_PADDING, 0 },
	{ "RS384", "RSA", EVP_sha384, RSA_PKCS1_PADDING, 0 },
	{ "RS512", "RSA", EVP_sha512, RSA_PKCS1_PADDING, 0 },
	{ "PS256", "RSA", EVP_sha256, RSA_PKCS1_PSS_PADDING, 0 },
	{ "PS384", "RSA", EVP_sha384, RSA_PKCS1_PSS_PADDING, 0 },
	{ "PS512", "RSA", EVP_sha512, RSA_PKCS1_PSS_PADDING, 0 },
	{ "ES256", "prime256v1", EVP_sha256, 0, 32 },
	{ "ES384", "secp384r1", EVP_sha384, 0, 48 },
	{ "ES512", "secp521r1", EVP_sha512, 0, 66 },
};

static bool is_base64url(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* Files end in a newline as often as not. */
static struct span trim(struct span s)
{
	while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == ' '))
		s.n--;
	return s;
}

/* Up to the next dot, or all that is left. */
static bool take_part(struct span *s, struct span *out)
{
	size_t n = 0;

	while (n < s->n && is_base64url(s->p[n]))
		n++;
	if (n == 0 || (n < s->n && s->p[n] != '.') || !span_take(s, n, out))
		return false;
	return s->n == 0 || span_skip(s, 1);
}

static bool split(struct span text, struct span parts[3], struct span *out_signed)
{
	struct span s = trim(text);

	if (s.n > JWS_MAX)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!take_part(&s, &parts[i]))
			return false;
	*out_signed = SPAN(parts[0].p, parts[0].n + 1 + parts[1].n);
	return s.n == 0 && parts[2].p + parts[2].n == text.p + trim(text).n;
}

bool jws_looks_like(struct span text)
{
	struct span parts[3], signed_part;

	return split(text, parts, &signed_part) && parts[0].n > 3 &&
	       memcmp(parts[0].p, "eyJ", 3) == 0;
}

json_t *jws_json(struct span text)
{
	return json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
			  NULL);
}

static json_t *decode_object(struct span part, size_t max)
{
	size_t size = part.n, n;
	uint8_t *bytes;
	json_t *j = NULL;

	if (size > max)
		return NULL;
	bytes = malloc(size);
	if (bytes && base64_parse(part, bytes, size, &n))
		j = jws_json(SPAN(bytes, n));
	free(bytes);
	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

bool jws_parse(struct span text, struct jws *out)
{
	struct span parts[3];

	*out = (struct jws){ 0 };
	if (!split(text, parts, &out->signed_part) ||
	    !base64_parse(parts[2], out->sig, sizeof(out->sig), &out->sig_n))
		return false;
	out->header = decode_object(parts[0], JWS_HEADER_MAX);
	out->payload = out->header ? decode_object(parts[1], JWS_MAX) : NULL;
	return out->payload && !json_object_get(out->header, "crit");
}

void jws_deinit(struct jws *t)
{
	json_decref(t->header);
	json_decref(t->payload);
	t->header = t->payload = NULL;
}

static bool key_is(EVP_PKEY *key, const char *want)
{
	char group[32];
	size_t n;

	if (EVP_PKEY_is_a(key, "RSA"))
		return strcmp(want, "RSA") == 0;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
	       strcmp(want, group) == 0;
}

const struct jws_alg *jws_alg_for(const struct jws *t, EVP_PKEY *key)
{
	struct span name;

	if (!json_text(t->header, "alg", &name))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(algs); i++)
		if (span_equal(name, SPAN(algs[i].name, strlen(algs[i].name))))
			return key_is(key, algs[i].key) ? &algs[i] : NULL;
	return NULL;
}

static bool verify_rsa(const struct jws *t, const struct jws_alg *alg, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* ctx's */
	bool ok = ctx && EVP_DigestVerifyInit(ctx, &pctx, alg->md(), NULL, key) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(pctx, alg->padding) == 1;

	if (ok && alg->padding == RSA_PKCS1_PSS_PADDING) /* RFC 7518, 3.5: as long as the digest */
		ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	if (ok)
		ok = EVP_DigestVerify(ctx, t->sig, t->sig_n, t->signed_part.p, t->signed_part.n) ==
		     1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

bool jws_verify(const struct jws *t, const struct jws_alg *alg, EVP_PKEY *key)
{
	if (alg->int_size == 0)
		return verify_rsa(t, alg, key);
	return t->sig_n == 2 * alg->int_size &&
	       ecdsa_verify_raw(key, alg->md(), t->signed_part, SPAN(t->sig, alg->int_size),
				SPAN(t->sig + alg->int_size, alg->int_size));
}
