/*
 * Certificates, CRLs and signatures the way attestation uses them: short chains given in order,
 * a root pinned by its key (vendors re-issue roots; the key stays), a time given by the caller,
 * and raw r||s signatures. Every step is recorded in the verdict.
 */
#ifndef ENG_RATS_X509_H
#define ENG_RATS_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/span.h"
#include "rats/collateral.h"
#include "rats/verdict.h"

enum {
	CHAIN_MAX = 8,		  /* certificates: leaf, up to six CAs, root */
	CERT_DER_MAX = 16 * 1024, /* one certificate; real ones are below 3 KiB */
	CHAIN_PEM_MAX = 64 * 1024,
};

/* SHA-256 of the DER SubjectPublicKeyInfo as OpenSSL encodes it. */
struct key_pin {
	const char *name;
	uint8_t sha256[32];
};

/* The roots that appraisal believes; tests pass their own. See roots.c for the real ones. */
struct roots {
	const struct key_pin *intel, *amd, *hygon; /* name: product for AMD ("Milan"); arrays */
	size_t n_intel, n_amd, n_hygon; /* hygon: SHA-256 of x||y as in the certificate */
};

extern const struct roots roots_production;

struct chain {
	X509 *cert[CHAIN_MAX]; /* leaf first; owned */
	size_t n;
	const struct rtls_collateral *bag; /* what it has verified is not verified again; or NULL */
};

void chain_deinit(struct chain *c);

/* One certificate from DER; trailing bytes are refused. NULL if it is none. */
X509 *x509_from_der(struct span der);
/* PEM certificates, leaf first; text around them and NULs at the end are ignored. False: none, too
 * many, or broken. */
bool chain_from_pem(struct span pem, struct chain *out);
/* The same; certificates that are in the bag are not parsed and verified once more. */
bool chain_from_pem_known(struct span pem, const struct rtls_collateral *bag, struct chain *out);

/*
 * Puts a chain in order by the names: the one that issued no other first, each followed by its
 * issuer. A chain for which that is not possible stays as it is; whether the order is right,
 * chain_check() says.
 */
void chain_sort(struct chain *c);

bool x509_key_sha256(X509 *cert, uint8_t out[32]);
bool pkey_sha256(EVP_PKEY *key, uint8_t out[32]);
const struct key_pin *pin_find(const struct key_pin *pins, size_t n, const uint8_t sha256[32]);

/*
 * Checks (RTLS_CHECK_CHAIN) that each certificate signs the one before it, that all but the leaf
 * are CAs, that no unknown critical extension is present, and that the last one's key is
 * pinned. `pins` NULL: the top must be self-signed, and the caller decides on its key
 * (x509_key_sha256). Validity times are chain_check_time()'s. `what` names the chain in the record.
 */
bool chain_check(const struct chain *c, const struct key_pin *pins, size_t n_pins, const char *what,
		 struct rtls_verdict *v);
bool chain_check_time(const struct chain *c, int64_t now, const char *what,
		      struct rtls_verdict *v); /* RTLS_CHECK_CHAIN as well */

/*
 * Revocation of certs[0..n-2] by the CRL of each issuer: the CRL must be in a (or b, which may be
 * NULL), signed by the issuer, valid at `now` under the rules (RTLS_CHECK_COLLATERAL; missing:
 * UNDECIDED or, with crl_if_present, skipped), and must not list the serial (RTLS_CHECK_REVOKED).
 */
bool chain_check_revocation(const struct chain *c, const struct rtls_collateral *a,
			    const struct rtls_collateral *b, const struct collateral_rules *rules,
			    int64_t now, struct rtls_verdict *v);

/* The same for one certificate: x by the CRL of its issuer. */
bool crl_check(X509 *x, X509 *issuer, const struct rtls_collateral *a,
	       const struct rtls_collateral *b, const struct collateral_rules *rules, int64_t now,
	       struct rtls_verdict *v);

/* P-256 public key from x||y, big-endian. NULL: not on the curve, or no memory. Caller frees. */
EVP_PKEY *p256_key(const uint8_t xy[64]);

/* Big-endian r and s of any equal length. False: not a valid signature, or no memory. */
bool ecdsa_verify_raw(EVP_PKEY *key, const EVP_MD *md, struct span msg, struct span r,
		      struct span s);

/* The same over a digest that was made before. */
bool ecdsa_verify_digest(EVP_PKEY *key, struct span digest, struct span r, struct span s);

/* X.509 times as seconds since 1970. False: not a time. */
bool asn1_time_parse(const ASN1_TIME *t, int64_t *out);

static inline void x509_freep(X509 **x)
{
	X509_free(*x);
}

static inline void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

#endif
