/*
 * The bag of collateral; see collateral.h. Adding recognises an item by its first bytes; sealing
 * finds out who signed what, once, so that an appraisal compares key hashes instead of
 * verifying the same signatures again.
 */
#include "rats/collateral.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rats/cborin.h"
#include "rats/dcap/tcb_info.h"
#include "rats/pem.h"
#include "rats/text.h"
#include "rats/x509.h"

struct blob {
	uint8_t *p;
	size_t n;
};

struct rtls_collateral {
	bool is_sealed;
	size_t n_certs, n_crls, n_docs, n_blobs;
	struct bag_cert *certs;
	struct bag_crl *crls;
	struct bag_doc *docs;
	struct blob *blobs;
	struct rtls_collateral *makers; /* see collateral_makers() */
};

int rtls_collateral_new(struct rtls_collateral **out)
{
	struct rtls_collateral *c = calloc(1, sizeof(*c));

	if (!c)
		return err_new(-ENOMEM);
	*out = c;
	return 0;
}

void rtls_collateral_free(struct rtls_collateral *c)
{
	if (!c)
		return;
	rtls_collateral_free(c->makers);
	for (size_t i = 0; i < c->n_certs; i++) {
		X509_free(c->certs[i].x);
		free(c->certs[i].der);
	}
	for (size_t i = 0; i < c->n_crls; i++)
		X509_CRL_free(c->crls[i].crl);
	for (size_t i = 0; i < c->n_docs; i++) {
		tcb_info_free(c->docs[i].tcb);
		qe_identity_free(c->docs[i].qe);
	}
	for (size_t i = 0; i < c->n_blobs; i++)
		free(c->blobs[i].p);
	free(c->certs);
	free(c->crls);
	free(c->docs);
	free(c->blobs);
	free(c);
}

/* Makes room for one more element at the end of *list; NULL: full, or no memory (*error). */
static void *grow(void **list, size_t *n, size_t element, int *error)
{
	void *p;

	if (*n == COLLATERAL_ITEMS_MAX) {
		*error = err_new(-E2BIG);
		return NULL;
	}
	p = realloc(*list, (*n + 1) * element);
	if (!p) {
		*error = err_new(-ENOMEM);
		return NULL;
	}
	*list = p;
	memset((uint8_t *)p + *n * element, 0, element);
	return (uint8_t *)p + (*n)++ * element;
}

#define GROW(c, list, error) grow((void **)&(c)->list, &(c)->n_##list, sizeof(*(c)->list), (error))

static int add_blob(struct rtls_collateral *c, struct span s)
{
	struct blob *b;
	uint8_t *p;
	int r = 0;

	if (s.n > COLLATERAL_BLOB_MAX)
		return 0; /* nothing that any verifier could use */
	p = malloc(s.n ? s.n : 1);
	if (!p)
		return err_new(-ENOMEM);
	b = GROW(c, blobs, &r);
	if (!b) {
		free(p);
		return err_pass(r);
	}
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*b = (struct blob){ p, s.n };
	return 0;
}

/* Consumes x, which was made of der. */
static int add_cert(struct rtls_collateral *c, X509 *x, struct span der)
{
	struct bag_cert b = { .x = x, .issuer = SIZE_MAX };
	struct bag_cert *slot;
	int r = 0;

	if (!asn1_time_parse(X509_get0_notBefore(x), &b.from) ||
	    !asn1_time_parse(X509_get0_notAfter(x), &b.to) || !x509_key_sha256(x, b.key)) {
		X509_free(x);
		return 0; /* a key or a time that OpenSSL cannot read: of no use */
	}
	b.der = malloc(der.n);
	b.der_n = der.n;
	slot = b.der ? GROW(c, certs, &r) : NULL;
	if (!slot) {
		X509_free(x);
		free(b.der);
		return r < 0 ? err_pass(r) : err_new(-ENOMEM);
	}
	memcpy(b.der, der.p, der.n);
	*slot = b;
	return 0;
}

static bool crl_is_plain(X509_CRL *crl)
{
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(crl, i);

		if (X509_EXTENSION_get_critical(e) ||
		    OBJ_obj2nid(X509_EXTENSION_get_object(e)) == NID_delta_crl)
			return false;
	}
	return true;
}

/* Consumes crl. */
static int add_crl(struct rtls_collateral *c, X509_CRL *crl)
{
	struct bag_crl *b;
	int r = 0;

	b = GROW(c, crls, &r);
	if (!b) {
		X509_CRL_free(crl);
		return err_pass(r);
	}
	b->crl = crl;
	b->well_formed = crl_is_plain(crl) &&
			 asn1_time_parse(X509_CRL_get0_lastUpdate(crl), &b->issued) &&
			 asn1_time_parse(X509_CRL_get0_nextUpdate(crl), &b->expires);
	return 0;
}

static int add_der(struct rtls_collateral *c, struct span s)
{
	const uint8_t *p = s.p;
	X509_CRL *crl;
	X509 *x = x509_from_der(s);

	if (x)
		return add_cert(c, x, s);
	crl = d2i_X509_CRL(NULL, &p, (long)s.n);
	if (crl && p == s.p + s.n)
		return add_crl(c, crl);
	X509_CRL_free(crl);
	return add_blob(c, s);
}

static int add_pem(struct rtls_collateral *c, struct span s)
{
	struct span label;
	uint8_t *der;
	size_t n;
	int r;

	while ((r = pem_next(&s, false, &label, &der, &n)) == 0) {
		r = add_der(c, SPAN(der, n));
		free(der);
		if (r < 0)
			return err_pass(r);
	}
	return r == PEM_E_BROKEN ? err_new(-EBADMSG) : r < 0 ? err_pass(r) : 0;
}

static int add_json(struct rtls_collateral *c, struct span s)
{
	struct bag_doc d = { 0 };
	struct bag_doc *slot;
	int r;

	r = bag_doc_parse(s, &d);
	if (r < 0)
		return err_pass(r);
	if (r == TCB_E_OTHER)
		return add_blob(c, s);
	if (r > 0)
		return err_new(-EBADMSG);
	slot = GROW(c, docs, &r);
	if (!slot) {
		tcb_info_free(d.tcb);
		qe_identity_free(d.qe);
		return err_pass(r);
	}
	*slot = d;
	return 0;
}

static struct span trim_left(struct span s)
{
	while (s.n > 0 && s.p[0] != 0 && strchr(" \t\r\n", s.p[0]))
		s.p++, s.n--;
	return s;
}

/* Texts out of Intel's quote provider end in a NUL. */
static struct span trim_right(struct span s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool is_hex_der(struct span text)
{
	return text.n > 4 && memcmp(text.p, "308", 3) == 0;
}

/* DER in hex, as the PCS sends CRLs when it is not asked for another encoding. */
static int add_hex(struct rtls_collateral *c, struct span text)
{
	uint8_t *der;
	int r;

	text = trim_right(text);
	der = malloc(text.n / 2 + 1);
	if (!der)
		return err_new(-ENOMEM);
	r = hex_parse(text, der, text.n / 2) ? add_der(c, SPAN(der, text.n / 2))
					     : add_blob(c, text);
	free(der);
	return err_pass(r);
}

static int add_bundled(struct rtls_collateral *c, struct span s)
{
	if (s.p[0] == '{')
		return add_json(c, trim_right(s));
	if (s.p[0] == '-')
		return add_pem(c, s);
	return is_hex_der(s) ? add_hex(c, s) : add_der(c, s);
}

/*
 * A bundle: an array, perhaps tagged, of byte or text strings; numbers in it, and tags of its
 * elements (dates), are passed over. rats-tls writes the number as four bytes, whatever it is.
 */
static int add_bundle(struct rtls_collateral *c, struct span s, bool *is_bundle)
{
	struct cbor_item it;
	struct span rest;
	uint64_t n;
	int r;

	*is_bundle = false;
	if (!cbor_take(&s, &it) || (it.major == CBOR_TAG && !cbor_take(&s, &it)) ||
	    it.major != CBOR_ARRAY || it.value > COLLATERAL_ITEMS_MAX)
		return 0;
	rest = s;
	for (n = it.value; n > 0; n -= it.major != CBOR_TAG)
		if (!cbor_take_lax(&rest, &it) ||
		    (it.major != CBOR_UINT && it.major != CBOR_BYTES && it.major != CBOR_TEXT &&
		     it.major != CBOR_TAG))
			return 0;
	if (rest.n != 0)
		return 0;
	*is_bundle = true;
	while (s.n > 0 && cbor_take_lax(&s, &it)) {
		r = it.bytes.n > 0 ? add_bundled(c, it.bytes) : 0;
		if (r < 0)
			return err_pass(r);
	}
	return 0;
}

static int add_any(struct rtls_collateral *c, struct span s)
{
	struct span text = trim_left(s);
	bool is_bundle;
	int r;

	if (text.n > 0 && text.p[0] == '{')
		return add_json(c, text);
	if (s.n > 0 && s.p[0] == 0x30)
		return add_der(c, s);
	r = add_bundle(c, s, &is_bundle); /* before PEM, which may stand inside a bundle */
	if (r < 0 || is_bundle)
		return err_pass(r);
	if (s.n > 0 && memmem(s.p, s.n, "-----BEGIN ", 11))
		return add_pem(c, s);
	if (is_hex_der(text))
		return add_hex(c, text);
	return add_blob(c, s);
}

int rtls_collateral_add(struct rtls_collateral *c, const void *bytes, size_t n)
{
	int r;

	if (c->is_sealed)
		return err_new(-EINVAL);
	if (n > COLLATERAL_ITEM_MAX)
		return err_new(-E2BIG);
	ERR_set_mark(); /* trying what something is makes OpenSSL complain */
	r = add_any(c, SPAN(bytes, n));
	ERR_pop_to_mark();
	return err_pass(r);
}

static void seal_cert(struct rtls_collateral *c, struct bag_cert *b)
{
	for (size_t i = 0; i < c->n_certs && b->issuer == SIZE_MAX; i++)
		if (X509_check_issued(c->certs[i].x, b->x) == X509_V_OK &&
		    X509_verify(b->x, X509_get0_pubkey(c->certs[i].x)) == 1)
			b->issuer = i;
}

static void seal_crl(struct rtls_collateral *c, struct bag_crl *b)
{
	for (size_t i = 0; i < c->n_certs && !b->is_verified; i++) {
		X509 *x = c->certs[i].x;

		if (X509_NAME_cmp(X509_CRL_get_issuer(b->crl), X509_get_subject_name(x)) != 0 ||
		    X509_CRL_verify(b->crl, X509_get0_pubkey(x)) != 1)
			continue;
		b->is_verified = true;
		memcpy(b->signer, c->certs[i].key, sizeof(b->signer));
	}
}

static void seal_doc(struct rtls_collateral *c, struct bag_doc *d)
{
	for (size_t i = 0; i < c->n_certs && !d->is_verified; i++) {
		if (!bag_doc_is_signed_by(d, X509_get0_pubkey(c->certs[i].x)))
			continue;
		d->is_verified = true;
		memcpy(d->signer, c->certs[i].key, sizeof(d->signer));
	}
}

int collateral_seal_plain(struct rtls_collateral *c)
{
	if (c->is_sealed)
		return err_new(-EINVAL);
	ERR_set_mark();
	for (size_t i = 0; i < c->n_certs; i++)
		seal_cert(c, &c->certs[i]);
	for (size_t i = 0; i < c->n_crls; i++)
		seal_crl(c, &c->crls[i]);
	for (size_t i = 0; i < c->n_docs; i++)
		seal_doc(c, &c->docs[i]);
	ERR_pop_to_mark();
	c->is_sealed = true;
	return 0;
}

int rtls_collateral_seal(struct rtls_collateral *c)
{
	int r;

	if (c->is_sealed)
		return err_new(-EINVAL);
	r = collateral_makers_new(&c->makers);
	return r < 0 ? err_pass(r) : collateral_seal_plain(c);
}

const struct rtls_collateral *collateral_makers(const struct rtls_collateral *c)
{
	return c ? c->makers : NULL;
}

const struct bag_cert *collateral_find_der(const struct rtls_collateral *c, struct span der)
{
	for (; c; c = c->makers)
		for (size_t i = 0; i < c->n_certs; i++)
			if (span_equal(SPAN(c->certs[i].der, c->certs[i].der_n), der))
				return &c->certs[i];
	return NULL;
}

const struct bag_cert *collateral_find_x509(const struct rtls_collateral *c, const X509 *x)
{
	for (; c; c = c->makers)
		for (size_t i = 0; i < c->n_certs; i++)
			if (c->certs[i].x == x)
				return &c->certs[i];
	return NULL;
}

static const struct bag_cert *verified_issuer(const struct rtls_collateral *c, const X509 *x)
{
	for (; c; c = c->makers)
		for (size_t i = 0; i < c->n_certs; i++)
			if (c->certs[i].x == x && c->certs[i].issuer != SIZE_MAX)
				return &c->certs[c->certs[i].issuer];
	return NULL;
}

bool collateral_knows_issue(const struct rtls_collateral *c, const X509 *x, const X509 *issuer)
{
	const struct bag_cert *by = verified_issuer(c, x), *i = collateral_find_x509(c, issuer);

	return by && i && memcmp(by->key, i->key, sizeof(i->key)) == 0;
}

bool collateral_is_sealed(const struct rtls_collateral *c)
{
	return c->is_sealed;
}

size_t collateral_n_certs(const struct rtls_collateral *c)
{
	return c ? c->n_certs : 0;
}

X509 *collateral_cert(const struct rtls_collateral *c, size_t i)
{
	return c->certs[i].x;
}

size_t collateral_n_crls(const struct rtls_collateral *c)
{
	return c ? c->n_crls : 0;
}

X509_CRL *collateral_crl(const struct rtls_collateral *c, size_t i)
{
	return c->crls[i].crl;
}

size_t collateral_n_blobs(const struct rtls_collateral *c)
{
	return c ? c->n_blobs : 0;
}

struct span collateral_blob(const struct rtls_collateral *c, size_t i)
{
	return SPAN(c->blobs[i].p, c->blobs[i].n);
}

const struct bag_cert *collateral_bag_cert(const struct rtls_collateral *c, size_t i)
{
	return c && i < c->n_certs ? &c->certs[i] : NULL;
}

const struct bag_crl *collateral_bag_crl(const struct rtls_collateral *c, size_t i)
{
	return c && i < c->n_crls ? &c->crls[i] : NULL;
}

const struct bag_doc *collateral_doc(const struct rtls_collateral *c, size_t i)
{
	return c && i < c->n_docs ? &c->docs[i] : NULL;
}

bool collateral_time_ok(const struct collateral_rules *rules, int64_t issued, int64_t expires,
			int64_t now)
{
	return now >= issued && now <= expires + rules->grace_s &&
	       (rules->max_age_s == 0 || now - issued <= rules->max_age_s);
}

bool collateral_check_time(const struct collateral_rules *rules, int64_t issued, int64_t expires,
			   int64_t now, const char *what, struct rtls_verdict *v)
{
	char a[TIME_TEXT_MAX], b[TIME_TEXT_MAX], t[TIME_TEXT_MAX];

	return verdict_check(
		v, RTLS_CHECK_COLLATERAL, collateral_time_ok(rules, issued, expires, now), what,
		"issued %s, to be renewed by %s, the time is %s (max_age %llds, grace %llds)",
		time_format(issued, a), time_format(expires, b), time_format(now, t),
		(long long)rules->max_age_s, (long long)rules->grace_s);
}
