/*
 * A PKI for forgeries: keys, certificates and CRLs of any content, signed by whoever. For tests in
 * this folder only; every function fails the running test when OpenSSL does.
 */
#ifndef ENG_TEST_RATS_TEE_PKI_H
#define ENG_TEST_RATS_TEE_PKI_H

#include "rats/tee_test.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { PKI_NOW = 1750000000, PKI_YEAR = 365 * 86400 };

struct pki_ext {
	const char *oid;
	const uint8_t *der; /* the value, as it stands inside the OCTET STRING */
	size_t n;
};

struct pki_cert {
	const char *cn;
	EVP_PKEY *key;
	const char *issuer_cn; /* NULL: cn */
	EVP_PKEY *issuer_key;  /* NULL: key */
	bool is_ca, pss;
	long serial;
	int64_t from, to; /* 0: around PKI_NOW */
	const struct pki_ext *exts;
	size_t n_exts;
	const char *eku; /* OID; NULL: none */
};

static inline void pki_sign(EVP_PKEY *key, bool pss, X509 *x, X509_CRL *crl)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	if (pss) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	}
	if (x)
		assert_true(X509_sign_ctx(x, ctx) > 0);
	else
		assert_true(X509_CRL_sign_ctx(crl, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

static inline void pki_name(X509_NAME *name, const char *cn)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn,
						    -1, -1, 0),
			 1);
}

static inline void pki_add_ext(X509 *x, const struct pki_ext *e)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(e->oid, 1);
	ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	assert_int_equal(ASN1_OCTET_STRING_set(v, e->der, (int)e->n), 1);
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, v);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(v);
	ASN1_OBJECT_free(oid);
}

static inline void pki_add_conf(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static inline X509 *pki_make(const struct pki_cert *c)
{
	X509_NAME *name = X509_NAME_new(), *issuer = X509_NAME_new();
	X509 *x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), c->serial);
	ASN1_TIME_set(X509_getm_notBefore(x), c->from ? c->from : PKI_NOW - PKI_YEAR);
	ASN1_TIME_set(X509_getm_notAfter(x), c->to ? c->to : PKI_NOW + PKI_YEAR);
	pki_name(name, c->cn);
	pki_name(issuer, c->issuer_cn ? c->issuer_cn : c->cn);
	X509_set_subject_name(x, name);
	X509_set_issuer_name(x, issuer);
	X509_set_pubkey(x, c->key);
	if (c->is_ca)
		pki_add_conf(x, NID_basic_constraints, "critical,CA:TRUE");
	if (c->eku)
		pki_add_conf(x, NID_ext_key_usage, c->eku);
	for (size_t i = 0; i < c->n_exts; i++)
		pki_add_ext(x, &c->exts[i]);
	pki_sign(c->issuer_key ? c->issuer_key : c->key, c->pss, x, NULL);
	X509_NAME_free(name);
	X509_NAME_free(issuer);
	return x;
}

/* A CRL of this issuer that lists one serial number, or none if it is < 0; a day old at `now`. */
static inline X509_CRL *pki_make_crl_at(X509 *issuer, EVP_PKEY *key, bool pss, long serial,
					int64_t now)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, now - 86400);

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, t);
	if (serial >= 0) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *n = ASN1_INTEGER_new();

		ASN1_INTEGER_set(n, serial);
		X509_REVOKED_set_serialNumber(r, n);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
		ASN1_INTEGER_free(n);
	}
	ASN1_TIME_set(t, now + 86400);
	X509_CRL_set1_nextUpdate(crl, t);
	pki_sign(key, pss, NULL, crl);
	ASN1_TIME_free(t);
	return crl;
}

static inline X509_CRL *pki_make_crl(X509 *issuer, EVP_PKEY *key, bool pss, long serial)
{
	return pki_make_crl_at(issuer, key, pss, serial, PKI_NOW);
}

static inline void bag_add_cert(struct rtls_collateral *bag, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	assert_int_equal(rtls_collateral_add(bag, der, (size_t)n), 0);
	OPENSSL_free(der);
}

static inline void bag_add_crl(struct rtls_collateral *bag, X509_CRL *crl)
{
	uint8_t *der = NULL;
	int n = i2d_X509_CRL(crl, &der);

	assert_int_equal(rtls_collateral_add(bag, der, (size_t)n), 0);
	OPENSSL_free(der);
}

/* The certificates in PEM; the caller OPENSSL_free()s .p. */
static inline struct span pki_pem(X509 *const certs[], size_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	uint8_t *copy;
	long len;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(PEM_write_bio_X509(bio, certs[i]), 1);
	len = BIO_get_mem_data(bio, &p);
	copy = OPENSSL_memdup(p, (size_t)len);
	BIO_free(bio);
	return SPAN(copy, (size_t)len);
}

/* ECDSA over msg as big-endian r and s of `size` bytes each. */
static inline void pki_ecdsa(EVP_PKEY *key, const EVP_MD *md, struct span msg, size_t size,
			     uint8_t *out_r, uint8_t *out_s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[256];
	const uint8_t *p = der;
	size_t n = sizeof(der);
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &n, msg.p, msg.n), 1);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out_r, (int)size), (int)size);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out_s, (int)size), (int)size);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

#endif
