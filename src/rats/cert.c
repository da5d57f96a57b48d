/*
 * RA-TLS certificates. Interoperable ones hold the envelope in extension 2.23.133.5.4.9, and the
 * claims buffer in it names the certificate's key ("pubkey-hash"). Older ones hold a bare quote
 * whose report data is the hash of the key. The certificate is self-signed: that proves
 * possession of the key, nothing else.
 */
#include "rats/cert.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "rats/cborin.h"
#include "rats/der.h"
#include "rats/pem.h"
#include "rats/x509.h"

static const uint8_t oid_evidence[] = { 0x67, 0x81, 0x05, 0x05, 0x04, 0x09 };
static const uint8_t oid_endorsements[] = { 0x67, 0x81, 0x05, 0x05, 0x04, 0x02 };

/* Bare quotes: rats-tls, Gramine (which encodes that OID twice), the Intel SDK. */
static const uint8_t oid_legacy[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x8a, 0x39, 0x06 };
static const uint8_t oid_gramine[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				       0xf8, 0x4d, 0x8a, 0x39, 0x06 };
static const uint8_t oid_sdk[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

/*
 * openssl s_client writes names in front of the block, editors a mark or blank lines. Quotes have
 * certificates in them, too, but begin with bytes that are no text.
 */
static bool is_text_up_to_pem(struct span file)
{
	static const char begin[] = "-----BEGIN ", mark[] = "\xef\xbb\xbf";
	const uint8_t *p = memmem(file.p, file.n, begin, strlen(begin)), *at = file.p;

	if (file.n > strlen(mark) && memcmp(file.p, mark, strlen(mark)) == 0)
		at += strlen(mark);
	for (; p && at < p; at++)
		if ((*at < ' ' && *at != '\t' && *at != '\r' && *at != '\n') || *at > '~')
			return false;
	return p != NULL;
}

bool cert_find(struct span file, struct evidence *e)
{
	struct span label;
	uint8_t *der;
	size_t n;

	if (file.p[0] == 0x30) {
		e->cert = x509_from_der(file);
	} else if (is_text_up_to_pem(file)) {
		if (pem_next(&file, false, &label, &der, &n) != 0)
			return false;
		if (span_equal(label, SPAN("CERTIFICATE", 11)))
			e->cert = x509_from_der(SPAN(der, n));
		free(der);
	}
	e->is_certificate = e->cert != NULL;
	return e->is_certificate;
}

/* The digest of the certificate's SubjectPublicKeyInfo by an id of the IANA named-information
 * registry. */
static bool spki_digest(X509 *cert, uint64_t alg, uint8_t *out, unsigned *out_n)
{
	const EVP_MD *md = alg == 1   ? EVP_sha256()
			   : alg == 7 ? EVP_sha384()
			   : alg == 8 ? EVP_sha512()
				      : NULL;
	uint8_t *der = NULL;
	int n;
	bool ok;

	if (!md)
		return false;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	ok = n > 0 && EVP_Digest(der, (size_t)n, out, out_n, md, NULL) == 1;
	OPENSSL_free(der);
	return ok;
}

/* "pubkey-hash": bstr of [alg, hash], in a map of text to byte strings. */
static bool pubkey_hash_find(struct span buffer, uint64_t *alg, struct span *hash)
{
	static const char name[] = "pubkey-hash";
	struct cbor_item map, key, it;
	struct span value;
	bool found = false;

	if (!cbor_take(&buffer, &map) || map.major != CBOR_MAP || map.value > buffer.n)
		return false;
	for (uint64_t i = 0; i < map.value; i++) {
		if (!cbor_take(&buffer, &key) || key.major != CBOR_TEXT)
			return false;
		if (!span_equal(key.bytes, SPAN(name, strlen(name)))) {
			if (!cbor_skip(&buffer))
				return false;
			continue;
		}
		if (found || !cbor_take_bytes(&buffer, &value) || !cbor_take(&value, &it) ||
		    it.major != CBOR_ARRAY || it.value != 2 || !cbor_take(&value, &it) ||
		    it.major != CBOR_UINT || !cbor_take_bytes(&value, hash) || value.n != 0)
			return false;
		*alg = it.value;
		found = true;
	}
	return found && buffer.n == 0;
}

static bool check_claims_buffer(const struct evidence *e, struct rtls_verdict *v)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct span hash = { 0 };
	uint64_t alg = 0;
	unsigned n = 0;

	if (!verdict_check(v, RTLS_CHECK_FORMAT,
			   pubkey_hash_find(e->claims_buffer, &alg, &hash) &&
				   spki_digest(e->cert, alg, digest, &n),
			   "pubkey-hash", "is not in the claims buffer, or not understood"))
		return false;
	return verdict_check_equal(v, RTLS_CHECK_BINDING, "pubkey-hash", SPAN(digest, n), hash);
}

/* A bare quote: its report data is the SHA-256 of the key, as SPKI or (rats-tls, RSA) PKCS #1. */
static bool bind_key(struct evidence *e)
{
	uint8_t *spki = NULL, *key = NULL;
	EVP_PKEY *pkey = X509_get0_pubkey(e->cert);
	int n, key_n = 0;
	bool ok;

	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(e->cert), &spki);
	ok = n > 0 && evidence_bind(e, SPAN(spki, (size_t)n));
	if (ok && pkey && EVP_PKEY_is_a(pkey, "RSA"))
		key_n = i2d_PublicKey(pkey, &key);
	if (key_n > 0)
		ok = evidence_bind(e, SPAN(key, (size_t)key_n));
	OPENSSL_free(spki);
	OPENSSL_free(key);
	return ok;
}

static bool legacy_find(X509 *cert, struct span *out)
{
	return der_find_extension(cert, SPAN(oid_legacy, sizeof(oid_legacy)), out) ||
	       der_find_extension(cert, SPAN(oid_gramine, sizeof(oid_gramine)), out) ||
	       der_find_extension(cert, SPAN(oid_sdk, sizeof(oid_sdk)), out);
}

bool cert_open(struct evidence *e, struct rtls_verdict *v)
{
	struct span value;

	if (!verdict_check(v, RTLS_CHECK_FORMAT,
			   asn1_time_parse(X509_get0_notBefore(e->cert), &e->not_before) &&
				   asn1_time_parse(X509_get0_notAfter(e->cert), &e->not_after),
			   "certificate", "has no readable validity") ||
	    !verdict_check(v, RTLS_CHECK_SIGNATURE,
			   X509_verify(e->cert, X509_get0_pubkey(e->cert)) == 1,
			   "certificate signature", "is not by its own key"))
		return false;
	if (der_find_extension(e->cert, SPAN(oid_endorsements, sizeof(oid_endorsements)), &value) &&
	    value.n > 0)
		e->endorsements = value;
	if (der_find_extension(e->cert, SPAN(oid_evidence, sizeof(oid_evidence)), &value))
		return evidence_open(value, e, v) && check_claims_buffer(e, v);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, legacy_find(e->cert, &e->body), "certificate",
			   "has no extension with evidence"))
		return false;
	return verdict_check(v, RTLS_CHECK_FORMAT, bind_key(e), "certificate key",
			     "cannot be encoded");
}
