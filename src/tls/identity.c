/*
 * Identities: a P-256 key and a self-signed certificate. The certificate names nobody; a peer
 * believes in its key because evidence is about it: evidence that a session asks for, or evidence
 * inside the certificate (interoperable RA-TLS), which then also holds the hash of the key.
 */
#include "tls/identity.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/cborin.h"
#include "rats/evidence.h"
#include "rats/x509.h"
#include "tls/handshake.h"

enum {
	SERIAL_BYTES = 16,
	DAY_S = 24 * 60 * 60,
	NOT_BEFORE_S = -DAY_S,	    /* clocks differ */
	NOT_AFTER_S = 3650 * DAY_S, /* what may expire is the evidence */
	HASH_SHA256 = 1,	    /* IANA named-information registry, as "pubkey-hash" has it */
	ENVELOPE_OVERHEAD = 64,	    /* heads, and our claims buffer is counted apart */
};

static bool digest_key(EVP_PKEY *key, const EVP_MD *md, uint8_t *out)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	bool ok = n > 0 && EVP_Digest(der, (size_t)n, out, NULL, md, NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

bool spki_digest(EVP_PKEY *key, uint8_t out[SPKI_DIGEST])
{
	return digest_key(key, EVP_sha384(), out);
}

/* {"pubkey-hash": bstr([1, SHA-256 of the key])} */
static bool make_claims(struct rtls_identity *id)
{
	static const char name[] = "pubkey-hash";
	uint8_t hash[32], value[48];
	struct wspan v = WSPAN(value, sizeof(value)), w = WSPAN(id->claims, sizeof(id->claims));

	if (!digest_key(id->key, EVP_sha256(), hash))
		return false;
	cbor_put_head(&v, CBOR_ARRAY, 2);
	cbor_put_head(&v, CBOR_UINT, HASH_SHA256);
	cbor_put_bytes(&v, SPAN(hash, sizeof(hash)));
	cbor_put_head(&w, CBOR_MAP, 1);
	cbor_put_head(&w, CBOR_TEXT, strlen(name));
	wspan_put(&w, name, strlen(name));
	cbor_put_bytes(&w, SPAN(value, v.n));
	id->n_claims = w.n;
	return !v.overflow && !w.overflow;
}

static bool add_extension(X509 *cert, const char *oid, struct span value)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext = NULL;
	bool ok;

	ok = obj && octets && ASN1_OCTET_STRING_set(octets, value.p, (int)value.n) == 1 &&
	     (ext = X509_EXTENSION_create_by_OBJ(NULL, obj, 0, octets)) &&
	     X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(obj);
	return ok;
}

static bool set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *n = NULL;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
	ok = (n = BN_bin2bn(bytes, sizeof(bytes), NULL)) &&
	     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

static bool set_name(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"ENG", -1, -1,
					  0) == 1 &&
	       X509_set_issuer_name(cert, name) == 1;
}

/* Empty spans: without those extensions. NULL: no memory. */
static X509 *make_certificate(EVP_PKEY *key, struct span envelope, struct span endorsements)
{
	CLEANUP(x509_freep) X509 *cert = X509_new();

	if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
	    !set_name(cert) || X509_set_pubkey(cert, key) != 1 ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), NOT_BEFORE_S) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), NOT_AFTER_S))
		return NULL;
	if (envelope.n > 0 && !add_extension(cert, "2.23.133.5.4.9", envelope))
		return NULL;
	if (endorsements.n > 0 && !add_extension(cert, "2.23.133.5.4.2", endorsements))
		return NULL;
	return X509_sign(cert, key, EVP_sha256()) > 0 ? TAKE(cert) : NULL;
}

int rtls_identity_new(struct rtls_identity **out)
{
	CLEANUP(x509_freep) X509 *cert = NULL;
	struct rtls_identity *id;

	if (!out)
		return err_new(-EINVAL);
	id = calloc(1, sizeof(*id));
	if (!id)
		return err_new(-ENOMEM);
	id->key = EVP_EC_gen("P-256");
	if (id->key && spki_digest(id->key, id->spki) && make_claims(id))
		cert = make_certificate(id->key, SPAN(NULL, 0), SPAN(NULL, 0));
	if (cert)
		id->tls = handshake_context_new(cert, id->key);
	if (!id->tls) {
		rtls_identity_free(id);
		return err_new(-ENOMEM);
	}
	*out = id;
	return 0;
}

void rtls_identity_free(struct rtls_identity *id)
{
	if (!id)
		return;
	SSL_CTX_free(id->tls);
	EVP_PKEY_free(id->key);
	free(id);
}

int rtls_identity_report_data(const struct rtls_identity *id, uint8_t out[64])
{
	uint8_t digest[32];

	if (!id || !out)
		return err_new(-EINVAL);
	if (EVP_Digest(id->claims, id->n_claims, digest, NULL, EVP_sha256(), NULL) != 1)
		return err_new(-ENOMEM);
	memset(out, 0, REPORT_DATA_SIZE);
	memcpy(out, digest, sizeof(digest));
	return 0;
}

int rtls_identity_set_evidence(struct rtls_identity *id, const void *evidence, size_t n,
			       const void *endorsements, size_t n_endorsements)
{
	CLEANUP(x509_freep) X509 *cert = NULL;
	struct span body, nothing;
	struct wspan w;
	uint64_t tag;

	if (!id || !evidence || (n_endorsements > 0 && !endorsements) ||
	    n > IDENTITY_EVIDENCE_MAX || n_endorsements > IDENTITY_EVIDENCE_MAX - n ||
	    !envelope_parse(SPAN(evidence, n), &tag, &body, &nothing))
		return err_new(-EINVAL);
	w = WSPAN(malloc(n + sizeof(id->claims) + ENVELOPE_OVERHEAD),
		  n + sizeof(id->claims) + ENVELOPE_OVERHEAD);
	if (!w.p)
		return err_new(-ENOMEM);
	envelope_write(&w, tag, body, SPAN(id->claims, id->n_claims));
	if (!w.overflow)
		cert = make_certificate(id->key, SPAN(w.p, w.n),
					SPAN(endorsements, n_endorsements));
	free(w.p);
	if (!cert || SSL_CTX_use_certificate(id->tls, cert) != 1)
		return err_new(-ENOMEM);
	return 0;
}
