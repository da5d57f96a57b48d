/*
 * Collateral: a bag of signed things that makers of hardware publish, recognised by content:
 * X.509 certificates and CRLs (DER or PEM, any number in one file), Intel's TCB info and QE
 * identity (JSON bodies of the PCS), and blobs (Hygon's certificates). A bundle is a CBOR array
 * of such byte strings, which includes the endorsements of interoperable RA-TLS.
 *
 * Signatures of what Intel signs are verified when the bag is sealed, once; times are checked
 * at every appraisal, because "now" is an argument. A sealed bag is never changed.
 */
#ifndef ENG_RATS_COLLATERAL_H
#define ENG_RATS_COLLATERAL_H

#include <openssl/x509.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/span.h"
#include "rats_tls.h"

enum {
	COLLATERAL_ITEM_MAX = 4 * 1024 * 1024, /* bytes of a file; Intel's largest CRL is 1 MiB */
	COLLATERAL_ITEMS_MAX = 1024,	       /* of each kind: a cache for a fleet */
	COLLATERAL_BLOB_MAX = 64 * 1024,
};

/* How a policy restricts collateral; all zero is the strictest. */
struct collateral_rules {
	int64_t max_age_s;   /* since it was issued; 0: as long as the issuer says */
	int64_t grace_s;     /* accepted after its expiry */
	bool crl_if_present; /* "crl: if-present": a missing CRL is skipped, not UNDECIDED */
	bool from_peer;	     /* CRLs and TCB info that the peer sent along may be used */
};

size_t collateral_n_certs(const struct rtls_collateral *c);	  /* c may be NULL: 0 */
X509 *collateral_cert(const struct rtls_collateral *c, size_t i); /* borrowed */
size_t collateral_n_crls(const struct rtls_collateral *c);
X509_CRL *collateral_crl(const struct rtls_collateral *c, size_t i); /* borrowed */
size_t collateral_n_blobs(const struct rtls_collateral *c);
struct span collateral_blob(const struct rtls_collateral *c, size_t i); /* unrecognised items */

struct tcb_info;
struct qe_identity;
struct rtls_verdict;

/* A certificate of the bag and what sealing found out about it. */
struct bag_cert {
	X509 *x;
	uint8_t *der; /* as it was added */
	size_t der_n;
	int64_t from, to; /* its validity */
	uint8_t key[32];  /* SHA-256 of its SubjectPublicKeyInfo */
	size_t issuer;	  /* index of a certificate of the bag that signed it; SIZE_MAX: none */
};

struct bag_crl {
	X509_CRL *crl;
	int64_t issued, expires;
	bool well_formed;   /* has both times, no critical extension, and is no delta */
	bool is_verified;   /* a certificate of the bag signed it... */
	uint8_t signer[32]; /* ...with this key */
};

/* A document that Intel signed; exactly one of tcb and qe. */
struct bag_doc {
	struct tcb_info *tcb;
	struct qe_identity *qe;
	int64_t issued, expires;
	uint64_t eval;	    /* tcbEvaluationDataNumber */
	bool is_verified;   /* the key of a certificate of the bag signed it... */
	uint8_t signer[32]; /* ...this one */
	uint8_t digest[32], signature[64];
};

/* The certificate with these bytes, or the one that x is (the same object); NULL: none. */
const struct bag_cert *collateral_find_der(const struct rtls_collateral *c, struct span der);
const struct bag_cert *collateral_find_x509(const struct rtls_collateral *c, const X509 *x);
/* Whether sealing has verified that the key of `issuer` signed x; both are the bag's objects. */
bool collateral_knows_issue(const struct rtls_collateral *c, const X509 *x, const X509 *issuer);

/*
 * rtls_collateral_seal() also puts the makers' own certificates that the library carries (AMD's)
 * into a bag inside the bag, parsed and verified like the rest; they are found by the functions
 * above, but are no items. This seals without them: what a peer sent is used once, and they would
 * cost more than they save.
 */
int collateral_seal_plain(struct rtls_collateral *c) MUST_USE;
int collateral_makers_new(struct rtls_collateral **out) MUST_USE;
/* That inner bag, borrowed; NULL: there is none. c may be NULL. */
const struct rtls_collateral *collateral_makers(const struct rtls_collateral *c);

bool collateral_is_sealed(const struct rtls_collateral *c);
const struct bag_cert *collateral_bag_cert(const struct rtls_collateral *c, size_t i);
const struct bag_crl *collateral_bag_crl(const struct rtls_collateral *c, size_t i);
const struct bag_doc *collateral_doc(const struct rtls_collateral *c, size_t i); /* NULL: the end */

/* issued <= now <= expires + grace, and not older than the policy allows: RTLS_CHECK_COLLATERAL. */
bool collateral_time_ok(const struct collateral_rules *rules, int64_t issued, int64_t expires,
			int64_t now);
bool collateral_check_time(const struct collateral_rules *rules, int64_t issued, int64_t expires,
			   int64_t now, const char *what, struct rtls_verdict *v);

DEFINE_FREEP(struct rtls_collateral *, rtls_collateral_free)

#endif
