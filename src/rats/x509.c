/*
 * Chains, revocation and raw signatures; see x509.h. OpenSSL parses and does the arithmetic; the
 * path rules are spelt out here because attestation chains are short, come in order, end in a
 * pinned key, and every step must be nameable in a verdict.
 */
#include "rats/x509.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rats/pem.h"
#include "rats/text.h"

void chain_deinit(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		X509_free(c->cert[i]);
	*c = (struct chain){ 0 };
}

X509 *x509_from_der(struct span der)
{
	const uint8_t *p = der.p;
	X509 *x;

	if (der.n == 0 || der.n > CERT_DER_MAX)
		return NULL;
	x = d2i_X509(NULL, &p, (long)der.n);
	if (x && p != der.p + der.n) {
		X509_free(x);
		return NULL;
	}
	return x;
}

/* From the bag if it is there: most chains share all but their leaf. */
static X509 *cert_make(struct span der, const struct rtls_collateral *bag)
{
	const struct bag_cert *known = collateral_find_der(bag, der);

	if (!known)
		return x509_from_der(der);
	X509_up_ref(known->x);
	return known->x;
}

bool chain_from_pem_known(struct span pem, const struct rtls_collateral *bag, struct chain *out)
{
	CLEANUP(chain_deinit) struct chain c = { .bag = bag };
	struct span label;
	uint8_t *der;
	size_t n;
	int r;

	if (pem.n > CHAIN_PEM_MAX)
		return false;
	while ((r = pem_next(&pem, true, &label, &der, &n)) == 0) {
		bool is_cert = span_equal(label, SPAN("CERTIFICATE", 11));
		X509 *x = is_cert && c.n < CHAIN_MAX ? cert_make(SPAN(der, n), bag) : NULL;

		free(der);
		if (!x)
			return false;
		c.cert[c.n++] = x;
	}
	if (r != PEM_E_END || c.n == 0)
		return false;
	*out = c;
	c.n = 0;
	return true;
}

bool chain_from_pem(struct span pem, struct chain *out)
{
	return chain_from_pem_known(pem, NULL, out);
}

static bool is_issued_in_name(X509 *x, X509 *issuer)
{
	return X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(issuer)) == 0;
}

/* Of cert[from..n): the one that issued x, or with x NULL the one that issued no other; n: none. */
static size_t next_in_chain(const struct chain *c, size_t from, X509 *x)
{
	size_t i = from;

	for (; i < c->n; i++) {
		bool is_issuer = false;

		for (size_t k = from; k < c->n && !x; k++)
			is_issuer |= k != i && is_issued_in_name(c->cert[k], c->cert[i]);
		if (x ? is_issued_in_name(x, c->cert[i]) : !is_issuer)
			break;
	}
	return i;
}

void chain_sort(struct chain *c)
{
	X509 *as_given[CHAIN_MAX];

	memcpy(as_given, c->cert, sizeof(as_given));
	for (size_t at = 0; at < c->n; at++) {
		const size_t i = next_in_chain(c, at, at ? c->cert[at - 1] : NULL);
		X509 *x;

		if (i == c->n) {
			memcpy(c->cert, as_given, sizeof(as_given));
			return;
		}
		x = c->cert[at];
		c->cert[at] = c->cert[i];
		c->cert[i] = x;
	}
}

bool pkey_sha256(EVP_PKEY *key, uint8_t out[32])
{
	uint8_t *der = NULL;
	int n = key ? i2d_PUBKEY(key, &der) : -1;
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

bool x509_key_sha256(X509 *cert, uint8_t out[32])
{
	return pkey_sha256(X509_get0_pubkey(cert), out);
}

const struct key_pin *pin_find(const struct key_pin *pins, size_t n, const uint8_t sha256[32])
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(pins[i].sha256, sha256, 32) == 0)
			return &pins[i];
	return NULL;
}

static const char *subject_of(X509 *x, char out[160])
{
	X509_NAME_oneline(X509_get_subject_name(x), out, 160);
	return out;
}

/*
 * What a certificate must be by itself; i is its place, 0 for the leaf. A pinned root is its key:
 * what its certificate says about path lengths is not heeded (Intel's of 2018 says 0).
 */
static const char *cert_defect(X509 *x, size_t i, bool is_pinned)
{
	uint32_t flags = X509_get_extension_flags(x);

	if (flags & EXFLAG_INVALID)
		return "has malformed extensions";
	if (flags & EXFLAG_CRITICAL)
		return "has an unknown critical extension";
	if (i == 0)
		return NULL;
	if (X509_check_ca(x) != 1)
		return "is not a CA";
	if (!is_pinned && X509_get_pathlen(x) >= 0 && X509_get_pathlen(x) < (long)i - 1)
		return "has more certificates below it than its path length allows";
	return NULL;
}

/* Whether `issuer` issued x: names and key identifiers, key usage, signature. */
static const char *issue_defect(X509 *x, X509 *issuer, const struct rtls_collateral *bag)
{
	if (X509_check_issued(issuer, x) != X509_V_OK)
		return "is not issued by the next one";
	if (!collateral_knows_issue(bag, x, issuer) &&
	    X509_verify(x, X509_get0_pubkey(issuer)) != 1)
		return "has a bad signature";
	return NULL;
}

/* x509_key_sha256(), which the bag may know. */
static bool key_of(const struct rtls_collateral *bag, X509 *x, uint8_t out[32])
{
	const struct bag_cert *known = collateral_find_x509(bag, x);

	if (!known)
		return x509_key_sha256(x, out);
	memcpy(out, known->key, 32);
	return true;
}

bool chain_check(const struct chain *c, const struct key_pin *pins, size_t n_pins, const char *what,
		 struct rtls_verdict *v)
{
	X509 *top = c->n ? c->cert[c->n - 1] : NULL;
	const char *defect = NULL;
	uint8_t hash[32];
	char name[160];
	size_t i;

	if (!verdict_check(v, RTLS_CHECK_CHAIN, top != NULL, what, "there is no certificate"))
		return false;
	for (i = 0; i < c->n && !defect; i++) {
		X509 *issuer = i + 1 < c->n ? c->cert[i + 1] : top;

		defect = cert_defect(c->cert[i], i, pins && issuer == c->cert[i]);
		if (!defect)
			defect = issue_defect(c->cert[i], issuer, c->bag);
	}
	if (defect)
		return verdict_check(v, RTLS_CHECK_CHAIN, false, what, "certificate %zu, %s, %s", i,
				     subject_of(c->cert[i - 1], name), defect);
	if (!pins)
		return true;
	return verdict_check(v, RTLS_CHECK_CHAIN,
			     key_of(c->bag, top, hash) && pin_find(pins, n_pins, hash), what,
			     "the key of its root, %s, is not one of the pinned keys",
			     subject_of(top, name));
}

bool asn1_time_parse(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

bool chain_check_time(const struct chain *c, int64_t now, const char *what, struct rtls_verdict *v)
{
	char name[160], from_text[TIME_TEXT_MAX], to_text[TIME_TEXT_MAX], now_text[TIME_TEXT_MAX];
	int64_t from = 0, to = 0;

	for (size_t i = 0; i < c->n; i++) {
		bool ok = asn1_time_parse(X509_get0_notBefore(c->cert[i]), &from) &&
			  asn1_time_parse(X509_get0_notAfter(c->cert[i]), &to) && now >= from &&
			  now <= to;

		if (!ok)
			return verdict_check(v, RTLS_CHECK_CHAIN, false, what,
					     "%s is valid from %s to %s, the time is %s",
					     subject_of(c->cert[i], name),
					     time_format(from, from_text), time_format(to, to_text),
					     time_format(now, now_text));
	}
	return verdict_check(v, RTLS_CHECK_CHAIN, c->n > 0, what, "there is no certificate");
}

bool chain_check_revocation(const struct chain *c, const struct rtls_collateral *a,
			    const struct rtls_collateral *b, const struct collateral_rules *rules,
			    int64_t now, struct rtls_verdict *v)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (!crl_check(c->cert[i], c->cert[i + 1], a, b, rules, now, v))
			return false;
	return true;
}

EVP_PKEY *p256_key(const uint8_t xy[64])
{
	uint8_t point[65] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[] = SN_X9_62_prime256v1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	memcpy(point + 1, xy, 64);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* DER of SEQUENCE { r INTEGER, s INTEGER }; NULL when memory is short. */
static uint8_t *signature_to_der(struct span r, struct span s, int *out_n)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *br = BN_bin2bn(r.p, (int)r.n, NULL), *bs = BN_bin2bn(s.p, (int)s.n, NULL);
	uint8_t *der = NULL;

	if (sig && br && bs && ECDSA_SIG_set0(sig, br, bs) == 1) {
		br = bs = NULL; /* now sig's */
		*out_n = i2d_ECDSA_SIG(sig, &der);
	}
	BN_free(br);
	BN_free(bs);
	ECDSA_SIG_free(sig);
	return der;
}

bool ecdsa_verify_digest(EVP_PKEY *key, struct span digest, struct span r, struct span s)
{
	enum { INTEGER_MAX = 66 /* P-521 */ };
	EVP_PKEY_CTX *ctx = NULL;
	uint8_t *der = NULL;
	bool ok = false;
	int n = 0;

	if (!key || !EVP_PKEY_is_a(key, "EC") || r.n > INTEGER_MAX || s.n > INTEGER_MAX)
		return false;
	der = signature_to_der(r, s, &n);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (der && n > 0 && ctx && EVP_PKEY_verify_init(ctx) == 1)
		ok = EVP_PKEY_verify(ctx, der, (size_t)n, digest.p, digest.n) == 1;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(der);
	return ok;
}

bool ecdsa_verify_raw(EVP_PKEY *key, const EVP_MD *md, struct span msg, struct span r,
		      struct span s)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return EVP_Digest(msg.p, msg.n, digest, &n, md, NULL) == 1 &&
	       ecdsa_verify_digest(key, SPAN(digest, n), r, s);
}
