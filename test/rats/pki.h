/*
 * A stand-in for hardware: keys, certificates and CRLs like those of a maker of TEEs, under a root
 * of its own. Appraisals believe it only where a test passes its root. Everything can be
 * made wrong in one place while the rest stays properly signed: that is what forgeries are.
 *
 * It aborts when OpenSSL fails: it runs in tests only.
 */
#ifndef ENG_TEST_RATS_PKI_H
#define ENG_TEST_RATS_PKI_H

#include <openssl/x509.h>
#include <stdint.h>

#include "base/span.h"
#include "rats/x509.h"

enum pki_key {
	PKI_ROOT,
	PKI_CA,	   /* "Intel SGX PCK Platform CA" */
	PKI_PCK,   /* of the platform's certification enclave */
	PKI_TCB,   /* signs TCB info and QE identity */
	PKI_ATT,   /* attestation key, in the quoting enclave */
	PKI_ROGUE, /* the attacker's */
	PKI_N_KEYS,
};

enum { PKI_CERTS_MAX = 32 };

struct pki {
	EVP_PKEY *key[PKI_N_KEYS]; /* P-256 */
	/*
	 * What was issued. ECDSA signs differently each time, but a maker issues a certificate
	 * once: the same contents give the same bytes.
	 */
	struct pki_issued {
		size_t n;
		X509 *cert[PKI_CERTS_MAX];
	} * issued;
};

/* Fresh keys. */
void pki_init(struct pki *p);
void pki_deinit(struct pki *p);

struct pki_cert {
	const char *cn, *issuer_cn;
	enum pki_key key, signer;
	long serial;
	int64_t from, to;
	bool is_ca, may_sign, is_odd; /* may_sign: its key usage says so; odd: a critical extension
					 that nobody knows */
	int pathlen;		      /* -1: none */
	struct span extension;	      /* value of one more extension; empty: none */
	const char *extension_oid;    /* NULL: the Intel extension of PCK certificates */
	const struct span *endorsements; /* value of extension 2.23.133.5.4.2; NULL: none */
	bool is_broken;			 /* one bit of the signature is flipped */
};

struct pki_crl {
	bool is_absent;
	const char *issuer_cn;
	enum pki_key signer;
	int64_t from, to;
	long revoked; /* a serial number; 0: the list is empty */
	bool is_odd;  /* a critical extension that nobody knows */
};

X509 *pki_cert_make(const struct pki *p, const struct pki_cert *spec);
/* DER; the caller frees it with OPENSSL_free(). */
struct span pki_cert_der(const struct pki *p, const struct pki_cert *spec);
struct span pki_crl_der(const struct pki *p, const struct pki_crl *spec);
/* PEM into w. */
void pki_cert_pem(const struct pki *p, const struct pki_cert *spec, struct wspan *w);

/* ECDSA P-256 with SHA-256 as raw r || s. */
void pki_sign(const struct pki *p, enum pki_key key, struct span msg, uint8_t out[64]);
/* The public point x || y. */
void pki_point(const struct pki *p, enum pki_key key, uint8_t out[64]);
/* A pin for the root, to be believed instead of a maker's. */
struct key_pin pki_pin(const struct pki *p);

/* DER: tag, length and contents into w. */
void der_put(struct wspan *w, uint8_t tag, struct span contents);

#endif
