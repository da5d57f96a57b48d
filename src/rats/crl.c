/* Revocation: which CRL speaks for an issuer at this time, and whether it lists a certificate. */
#include <openssl/x509v3.h>

#include "rats/text.h"
#include "rats/x509.h"

static bool names_issuer(const struct bag_crl *c, X509 *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(c->crl), X509_get_subject_name(issuer)) == 0;
}

/* Sealing has verified it if the issuer's certificate was in the bag; else it costs a signature. */
static bool is_signed_by(const struct bag_crl *c, const struct rtls_collateral *bag, X509 *issuer)
{
	const struct bag_cert *known = collateral_find_x509(bag, issuer);
	uint8_t key[32];

	if (known)
		memcpy(key, known->key, sizeof(key));
	else if (!x509_key_sha256(issuer, key))
		return false;
	if (c->is_verified && memcmp(c->signer, key, sizeof(key)) == 0)
		return true;
	return X509_CRL_verify(c->crl, X509_get0_pubkey(issuer)) == 1;
}

/* What to prefer: signed and in time, then the newest. */
struct choice {
	const struct bag_crl *crl;
	bool is_signed;
	int rank;
};

static void consider(struct choice *best, const struct rtls_collateral *bag, X509 *issuer,
		     const struct collateral_rules *rules, int64_t now)
{
	const struct bag_crl *c;

	for (size_t i = 0; (c = collateral_bag_crl(bag, i)) != NULL; i++) {
		struct choice this = { .crl = c };

		if (!names_issuer(c, issuer))
			continue;
		this.is_signed = is_signed_by(c, bag, issuer);
		this.rank = 1 + this.is_signed * 2 +
			    collateral_time_ok(rules, c->issued, c->expires, now);
		if (this.rank > best->rank ||
		    (this.rank == best->rank && c->issued > best->crl->issued))
			*best = this;
	}
}

/* A short name for people: the CN of the issuer, or all of it. */
static void crl_title(X509 *issuer, char *out, size_t size)
{
	X509_NAME *subject = X509_get_subject_name(issuer);
	char name[64] = "?";

	if (X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof(name)) < 0)
		X509_NAME_oneline(subject, name, sizeof(name));
	snprintf(out, size, "CRL of %s", name);
}

bool crl_check(X509 *x, X509 *issuer, const struct rtls_collateral *a,
	       const struct rtls_collateral *b, const struct collateral_rules *rules, int64_t now,
	       struct rtls_verdict *v)
{
	struct choice best = { 0 };
	X509_REVOKED *entry = NULL;
	char title[96], serial[64] = "";
	BIGNUM *bn;
	char *hex;

	crl_title(issuer, title, sizeof(title));
	consider(&best, a, issuer, rules, now);
	consider(&best, b, issuer, rules, now);
	if (!best.crl && rules->crl_if_present) {
		verdict_skip(v, RTLS_CHECK_REVOKED, title);
		return true;
	}
	if (!best.crl)
		return verdict_missing(v, RTLS_CHECK_COLLATERAL, title, "not in the collateral");
	if (!verdict_check(v, RTLS_CHECK_COLLATERAL, best.is_signed && best.crl->well_formed, title,
			   "%s",
			   best.is_signed ? "has extensions that are not understood"
					  : "its signature is not the issuer's") ||
	    !collateral_check_time(rules, best.crl->issued, best.crl->expires, now, title, v))
		return false;
	if (X509_CRL_get0_by_cert(best.crl->crl, &entry, x) == 0)
		return verdict_check(v, RTLS_CHECK_REVOKED, true, title, "-");
	bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	hex = bn ? BN_bn2hex(bn) : NULL;
	if (hex)
		snprintf(serial, sizeof(serial), "%s", hex);
	OPENSSL_free(hex);
	BN_free(bn);
	return verdict_check(v, RTLS_CHECK_REVOKED, false, title, "lists serial number %s", serial);
}
