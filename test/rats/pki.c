/* Keys, certificates and CRLs of a maker that does not exist; see pki.h. */
#include "pki.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(ok)                                                                                   \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #ok);                   \
			ERR_print_errors_fp(stderr);                                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

void pki_init(struct pki *p)
{
	for (int i = 0; i < PKI_N_KEYS; i++)
		MUST(p->key[i] = EVP_EC_gen("P-256"));
	MUST(p->issued = calloc(1, sizeof(*p->issued)));
}

void pki_deinit(struct pki *p)
{
	for (int i = 0; i < PKI_N_KEYS; i++)
		EVP_PKEY_free(p->key[i]);
	for (size_t i = 0; p->issued && i < p->issued->n; i++)
		X509_free(p->issued->cert[i]);
	free(p->issued);
	*p = (struct pki){ 0 };
}

static void set_name(X509_NAME *name, const char *cn)
{
	MUST(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Test", -1, -1,
					0) == 1);
	MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) ==
	     1);
}

static X509_EXTENSION *make_extension(const char *oid, bool critical, struct span value)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *os = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	MUST(obj && os && ASN1_OCTET_STRING_set(os, value.p, (int)value.n) == 1);
	MUST(e = X509_EXTENSION_create_by_OBJ(NULL, obj, critical, os));
	ASN1_OBJECT_free(obj);
	ASN1_OCTET_STRING_free(os);
	return e;
}

static void add_raw(X509 *x, const char *oid, bool critical, struct span value)
{
	X509_EXTENSION *e = make_extension(oid, critical, value);

	MUST(X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void add_text(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	MUST(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void flip_signature(X509 *x)
{
	const ASN1_BIT_STRING *sig;

	X509_get0_signature(&sig, NULL, x);
	sig->data[sig->length - 1] ^= 1;
}

/* The certificate that was issued with these contents; consumes x, the new one. */
static X509 *issue_once(struct pki_issued *issued, X509 *x)
{
	uint8_t *tbs = NULL, *other = NULL;
	int n = i2d_re_X509_tbs(x, &tbs);
	X509 *found = NULL;

	MUST(n > 0);
	for (size_t i = 0; i < issued->n && !found; i++) {
		if (i2d_re_X509_tbs(issued->cert[i], &other) == n &&
		    memcmp(tbs, other, (size_t)n) == 0)
			found = issued->cert[i];
		OPENSSL_free(other);
		other = NULL;
	}
	OPENSSL_free(tbs);
	if (found) {
		X509_free(x);
		x = found;
	} else if (issued->n < PKI_CERTS_MAX) {
		issued->cert[issued->n++] = x;
	} else {
		return x;
	}
	X509_up_ref(x);
	return x;
}

X509 *pki_cert_make(const struct pki *p, const struct pki_cert *s)
{
	static const uint8_t odd[] = { 0x05, 0x00 };
	char constraints[64];
	X509 *x = X509_new();

	MUST(x && X509_set_version(x, X509_VERSION_3) == 1);
	MUST(ASN1_INTEGER_set(X509_get_serialNumber(x), s->serial) == 1);
	set_name(X509_get_subject_name(x), s->cn);
	set_name(X509_get_issuer_name(x), s->issuer_cn);
	MUST(ASN1_TIME_set(X509_getm_notBefore(x), s->from) &&
	     ASN1_TIME_set(X509_getm_notAfter(x), s->to));
	MUST(X509_set_pubkey(x, p->key[s->key]) == 1);
	snprintf(constraints, sizeof(constraints), "critical,CA:%s", s->is_ca ? "TRUE" : "FALSE");
	if (s->is_ca && s->pathlen >= 0)
		snprintf(constraints, sizeof(constraints), "critical,CA:TRUE,pathlen:%d",
			 s->pathlen);
	add_text(x, NID_basic_constraints, constraints);
	add_text(x, NID_key_usage,
		 s->is_ca || s->may_sign ? "critical,keyCertSign,cRLSign"
					 : "critical,digitalSignature");
	if (s->extension.n > 0)
		add_raw(x, s->extension_oid ? s->extension_oid : "1.2.840.113741.1.13.1", false,
			s->extension);
	if (s->endorsements)
		add_raw(x, "2.23.133.5.4.2", false, *s->endorsements);
	if (s->is_odd)
		add_raw(x, "1.3.6.1.4.1.99999.1", true, SPAN(odd, sizeof(odd)));
	MUST(X509_sign(x, p->key[s->signer], EVP_sha256()) > 0);
	if (!s->is_broken)
		return issue_once(p->issued, x);
	flip_signature(x);
	return x;
}

struct span pki_cert_der(const struct pki *p, const struct pki_cert *s)
{
	X509 *x = pki_cert_make(p, s);
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	MUST(n > 0);
	X509_free(x);
	return SPAN(der, (size_t)n);
}

void pki_cert_pem(const struct pki *p, const struct pki_cert *s, struct wspan *w)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n",
			  end[] = "-----END CERTIFICATE-----\n";
	struct span der = pki_cert_der(p, s), rest = der, part;
	uint8_t line[65];

	wspan_put(w, begin, strlen(begin));
	while (rest.n > 0) {
		MUST(span_take(&rest, rest.n < 48 ? rest.n : 48, &part));
		wspan_put(w, line, (size_t)EVP_EncodeBlock(line, part.p, (int)part.n));
		wspan_u8(w, '\n');
	}
	wspan_put(w, end, strlen(end));
	OPENSSL_free((void *)der.p);
}

struct span pki_crl_der(const struct pki *p, const struct pki_crl *s)
{
	static const uint8_t odd[] = { 0x05, 0x00 };
	X509_NAME *name = X509_NAME_new();
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	uint8_t *der = NULL;
	int n;

	MUST(crl && t && name && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	set_name(name, s->issuer_cn);
	MUST(X509_CRL_set_issuer_name(crl, name) == 1);
	MUST(ASN1_TIME_set(t, s->from) && X509_CRL_set1_lastUpdate(crl, t) == 1);
	if (s->revoked) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();

		MUST(r && serial && ASN1_INTEGER_set(serial, s->revoked) == 1);
		MUST(X509_REVOKED_set_serialNumber(r, serial) == 1 &&
		     X509_REVOKED_set_revocationDate(r, t) == 1 && X509_CRL_add0_revoked(crl, r));
		ASN1_INTEGER_free(serial);
	}
	MUST(ASN1_TIME_set(t, s->to) && X509_CRL_set1_nextUpdate(crl, t) == 1);
	if (s->is_odd) {
		X509_EXTENSION *e =
			make_extension("1.3.6.1.4.1.99999.1", true, SPAN(odd, sizeof(odd)));

		MUST(X509_CRL_add_ext(crl, e, -1) == 1);
		X509_EXTENSION_free(e);
	}
	MUST(X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, p->key[s->signer], EVP_sha256()) > 0);
	n = i2d_X509_CRL(crl, &der);
	MUST(n > 0);
	X509_CRL_free(crl);
	X509_NAME_free(name);
	ASN1_TIME_free(t);
	return SPAN(der, (size_t)n);
}

void pki_sign(const struct pki *p, enum pki_key key, struct span msg, uint8_t out[64])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *in = der;
	size_t n = sizeof(der);
	ECDSA_SIG *sig;

	MUST(ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, p->key[key]) == 1);
	MUST(EVP_DigestSign(ctx, der, &n, msg.p, msg.n) == 1);
	MUST(sig = d2i_ECDSA_SIG(NULL, &in, (long)n));
	MUST(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
	     BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

void pki_point(const struct pki *p, enum pki_key key, uint8_t out[64])
{
	uint8_t point[65];
	size_t n = 0;

	MUST(EVP_PKEY_get_octet_string_param(p->key[key], OSSL_PKEY_PARAM_PUB_KEY, point,
					     sizeof(point), &n) == 1 &&
	     n == sizeof(point));
	memcpy(out, point + 1, 64);
}

struct key_pin pki_pin(const struct pki *p)
{
	struct key_pin pin = { .name = "test" };

	MUST(pkey_sha256(p->key[PKI_ROOT], pin.sha256));
	return pin;
}

void der_put(struct wspan *w, uint8_t tag, struct span c)
{
	wspan_u8(w, tag);
	if (c.n >= 0x100) {
		wspan_u8(w, 0x82);
		wspan_be16(w, (uint16_t)c.n);
	} else if (c.n >= 0x80) {
		wspan_u8(w, 0x81);
		wspan_u8(w, (uint8_t)c.n);
	} else {
		wspan_u8(w, (uint8_t)c.n);
	}
	wspan_put(w, c.p, c.n);
}
