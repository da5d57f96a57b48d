/*
 * Whose key signed the quote. A key that merely came along proves nothing: it is stated as a
 * claim, and the policy must pin it (`ak_sha256`) or the root of its certificates (`ca_sha256`).
 *
 * A CA may issue other certificates too, whose keys sign whatever their owners like. So the
 * certificate must say that its key is an attestation key, which a TPM lets sign only what it
 * made itself: extended key usage tcg-kp-AIKCertificate (TCG EK Credential Profile, 3.5.15).
 */
#include "rats/tpm/tpm_ak.h"

#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define OID_AIK_CERTIFICATE "2.23.133.8.3"

enum { AK_SPKI_MAX = 8 * 1024 };

static EVP_PKEY *key_from_pem(struct span pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key;
}

static EVP_PKEY *key_from_spki(struct span spki)
{
	const uint8_t *p = spki.p;
	EVP_PKEY *key;

	if (spki.n > AK_SPKI_MAX)
		return NULL;
	if (spki.n > 0 && spki.p[0] == '-')
		return key_from_pem(spki);
	key = d2i_PUBKEY(NULL, &p, (long)spki.n);
	if (key && p != spki.p + spki.n) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static bool is_ak_certificate(X509 *x)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
	ASN1_OBJECT *want = OBJ_txt2obj(OID_AIK_CERTIFICATE, 1);
	bool found = false;

	for (int i = 0; want && i < sk_ASN1_OBJECT_num(usages); i++)
		found = found || OBJ_cmp(sk_ASN1_OBJECT_value(usages, i), want) == 0;
	ASN1_OBJECT_free(want);
	EXTENDED_KEY_USAGE_free(usages);
	return found;
}

static bool is_self_issued(X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

static X509 *issuer_in(const struct rtls_collateral *bag, X509 *of)
{
	for (size_t i = 0; i < collateral_n_certs(bag); i++) {
		X509 *x = collateral_cert(bag, i);

		if (X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(of)) == 0)
			return x;
	}
	return NULL;
}

/* Issuers that did not come along may be in the collateral: mostly the root. */
static void complete(const struct appraisal *a, struct chain *c)
{
	while (c->n < CHAIN_MAX && !is_self_issued(c->cert[c->n - 1])) {
		X509 *x = issuer_in(a->endorsements, c->cert[c->n - 1]);

		if (!x)
			x = issuer_in(a->collateral, c->cert[c->n - 1]);
		if (!x)
			return;
		X509_up_ref(x);
		c->cert[c->n++] = x;
	}
}

static bool check_chain(const struct appraisal *a, struct chain *c, struct rtls_verdict *v)
{
	const struct rtls_collateral *theirs = a->rules.from_peer ? a->endorsements : NULL;
	uint8_t root[32];

	complete(a, c);
	if (!is_self_issued(c->cert[c->n - 1]))
		return verdict_missing(v, RTLS_CHECK_CHAIN, "AK certificate",
				       "the chain does not reach a root");
	if (!chain_check(c, NULL, 0, "AK certificate", v) ||
	    !chain_check_time(c, a->now, "AK certificate", v) ||
	    !verdict_check(v, RTLS_CHECK_CHAIN, is_ak_certificate(c->cert[0]),
			   "AK certificate usage", "is not for an attestation key") ||
	    !chain_check_revocation(c, a->collateral, theirs, &a->rules, a->now, v))
		return false;
	if (!verdict_check(v, RTLS_CHECK_CHAIN, x509_key_sha256(c->cert[c->n - 1], root), "AK root",
			   "its key cannot be encoded"))
		return false;
	claims_add_bytes(v->claims, "ca_sha256", SPAN(root, sizeof(root)));
	return true;
}

/* The first key that is there; the others must be the same. */
static bool agree(EVP_PKEY *candidates[], size_t n, struct rtls_verdict *v, EVP_PKEY **out)
{
	EVP_PKEY *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!first)
			first = candidates[i];
		if (candidates[i] &&
		    !verdict_check(v, RTLS_CHECK_BINDING, EVP_PKEY_eq(first, candidates[i]) == 1,
				   "AK", "two different keys"))
			return false;
	}
	if (!verdict_check(v, RTLS_CHECK_FORMAT, first != NULL, "AK", "there is none"))
		return false;
	EVP_PKEY_up_ref(first);
	*out = first;
	return true;
}

bool tpm_ak_find(const struct appraisal *a, const struct tpm_evidence *e, EVP_PKEY *vouched,
		 struct rtls_verdict *v, EVP_PKEY **out)
{
	CLEANUP(chain_deinit) struct chain c = { 0 };
	CLEANUP(pkey_freep) EVP_PKEY *spki = NULL;
	EVP_PKEY *candidates[3] = { vouched };
	uint8_t digest[32];

	if (e->ak.n > 0)
		candidates[1] = spki = key_from_spki(e->ak);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, e->ak.n == 0 || spki, "AK",
			   "not a SubjectPublicKeyInfo"))
		return false;
	if (e->ak_chain.n > 0) {
		if (!verdict_check(v, RTLS_CHECK_FORMAT, chain_from_pem(e->ak_chain, &c),
				   "AK certificate", "not a chain in PEM") ||
		    !check_chain(a, &c, v))
			return false;
		candidates[2] = X509_get0_pubkey(c.cert[0]);
	}
	if (!agree(candidates, ARRAY_LEN(candidates), v, out))
		return false;
	if (pkey_sha256(*out, digest))
		claims_add_bytes(v->claims, "ak_sha256", SPAN(digest, sizeof(digest)));
	return true;
}
