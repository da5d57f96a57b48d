/*
 * From a report to Hygon's root. Certificates are recognised by their size and form: a file is a
 * run of them (the key server's hsk_cek is an HSK and a CEK). They name their issuers only by an
 * identifier that nothing checks, so the issuer is the one whose key verifies; when none does,
 * that is a failure and not a gap, except when there was none to try.
 *
 * Hygon's certificates have no validity and there are no revocation lists.
 */
#include "rats/csv/csv_chain.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/csv/csv_sm2.h"

enum {
	CAS_MAX = 32,	/* HRKs and HSKs; there are a handful */
	CEKS_MAX = 256, /* chips in the collateral: each costs a signature to try */
};

struct bag {
	struct csv_ca ca[CAS_MAX];
	struct csv_cert cek[CEKS_MAX];
	size_t n_cas, n_ceks;
};

/* The root key, from csv-rs src/certs/builtin/hrk.cert; used when the collateral has none. It is
 * believed because it is pinned (roots.c), as a supplied one would be. */
static const uint8_t hrk_x[CSV_INT_USED] = { 0x2d, 0xf6, 0xc2, 0x92, 0x1d, 0xf2, 0xf5, 0x2a,
					     0x50, 0x1f, 0xcd, 0x85, 0xe7, 0x35, 0x09, 0xc8,
					     0x75, 0x3a, 0x56, 0x09, 0xdb, 0x02, 0xd7, 0xf3,
					     0x4c, 0xf1, 0xa4, 0x62, 0x4d, 0xe1, 0x62, 0xbe };
static const uint8_t hrk_y[CSV_INT_USED] = { 0x46, 0xb9, 0x1e, 0xb4, 0x68, 0x4d, 0x74, 0x38,
					     0x47, 0x88, 0xbe, 0xb9, 0x10, 0x0c, 0x64, 0x4a,
					     0x38, 0x95, 0x4e, 0x16, 0x97, 0x8b, 0x4f, 0x58,
					     0x15, 0x70, 0xbb, 0x57, 0x3a, 0x12, 0xab, 0x3b };
static const char hrk_uid[] = "HYGON-SSD-HRK";

static void bag_add(struct bag *b, struct span s)
{
	for (;;) {
		struct span rest = s, item;

		if (b->n_cas < CAS_MAX && span_take(&rest, CSV_CA_SIZE, &item) &&
		    csv_ca_parse(item, &b->ca[b->n_cas])) {
			b->n_cas++;
			s = rest;
			continue;
		}
		rest = s;
		if (b->n_ceks == CEKS_MAX || !span_take(&rest, CSV_CERT_SIZE, &item) ||
		    !csv_cert_parse(item, &b->cek[b->n_ceks]))
			return;
		if (b->cek[b->n_ceks].usage == CSV_USAGE_CEK)
			b->n_ceks++;
		s = rest;
	}
}

static void bag_fill(struct bag *b, struct span tail, const struct appraisal *a)
{
	bag_add(b, tail);
	for (size_t i = 0; i < collateral_n_blobs(a->endorsements); i++)
		bag_add(b, collateral_blob(a->endorsements, i));
	for (size_t i = 0; i < collateral_n_blobs(a->collateral); i++)
		bag_add(b, collateral_blob(a->collateral, i));
}

/* The signature that a key of this usage put on a certificate; NULL: none. */
static const struct csv_sig *sig_by(const struct csv_cert *c, enum csv_usage signer)
{
	for (size_t i = 0; i < ARRAY_LEN(c->sig); i++)
		if (c->sig_usage[i] == signer)
			return &c->sig[i];
	return NULL;
}

static bool verify_cert(const struct csv_cert *c, const struct csv_key *by, enum csv_usage signer)
{
	const struct csv_sig *sig = sig_by(c, signer);

	return sig && csv_sm2_verify(by, c->signed_part, sig);
}

static const struct csv_cert *find_cek(const struct bag *b, const struct csv_cert *pek)
{
	for (size_t i = 0; i < b->n_ceks; i++)
		if (verify_cert(pek, &b->cek[i].key, CSV_USAGE_CEK))
			return &b->cek[i];
	return NULL;
}

static const struct csv_ca *find_hsk(const struct bag *b, const struct csv_cert *cek)
{
	for (size_t i = 0; i < b->n_cas; i++)
		if (b->ca[i].usage == CSV_USAGE_HSK &&
		    verify_cert(cek, &b->ca[i].key, CSV_USAGE_HSK))
			return &b->ca[i];
	return NULL;
}

static bool is_pinned(const struct roots *roots, struct span xy)
{
	uint8_t digest[32];

	SHA256(xy.p, xy.n, digest);
	return pin_find(roots->hygon, roots->n_hygon, digest) != NULL;
}

/* An HRK that came along must be whole; without one, the built-in key, if it is the pinned one. */
static bool find_hrk(const struct bag *b, const struct roots *roots, struct csv_key *out,
		     struct rtls_verdict *v)
{
	uint8_t xy[2 * CSV_INT_SIZE] = { 0 };

	for (size_t i = 0; i < b->n_cas; i++) {
		const struct csv_ca *ca = &b->ca[i];

		if (ca->usage != CSV_USAGE_HRK || !is_pinned(roots, ca->xy))
			continue;
		*out = ca->key;
		return verdict_check(v, RTLS_CHECK_CHAIN,
				     csv_sm2_verify(&ca->key, ca->signed_part, &ca->sig), "HRK",
				     "its signature does not verify");
	}
	memcpy(xy, hrk_x, sizeof(hrk_x));
	memcpy(xy + CSV_INT_SIZE, hrk_y, sizeof(hrk_y));
	if (!is_pinned(roots, SPAN(xy, sizeof(xy))))
		return verdict_missing(v, RTLS_CHECK_CHAIN, "HRK", "no root certificate");
	for (size_t i = 0; i < CSV_INT_USED; i++) {
		out->x[i] = hrk_x[CSV_INT_USED - 1 - i];
		out->y[i] = hrk_y[CSV_INT_USED - 1 - i];
	}
	out->uid = SPAN(hrk_uid, sizeof(hrk_uid) - 1);
	return true;
}

static bool check_pek(const struct csv_report *r, struct csv_cert *pek, struct rtls_verdict *v)
{
	return verdict_check(v, RTLS_CHECK_FORMAT,
			     csv_cert_parse(SPAN(r->pek, sizeof(r->pek)), pek), "PEK certificate",
			     "is malformed") &&
	       verdict_check(v, RTLS_CHECK_CHAIN, pek->usage == CSV_USAGE_PEK, "PEK usage",
			     "expected %#x, found %#x", CSV_USAGE_PEK, pek->usage);
}

static bool check_chain(const struct bag *b, const struct appraisal *a, const struct csv_cert *pek,
			struct rtls_verdict *v, uint8_t out_cek[32])
{
	const struct csv_cert *cek;
	const struct csv_ca *hsk;
	struct csv_key hrk;

	if (b->n_ceks == 0)
		return verdict_missing(v, RTLS_CHECK_CHAIN, "CEK", "no certificate of the chip");
	cek = find_cek(b, pek);
	if (!verdict_check(v, RTLS_CHECK_CHAIN, cek != NULL, "signature of the PEK",
			   "no CEK at hand made it") ||
	    !cek)
		return false;
	if (b->n_cas == 0)
		return verdict_missing(v, RTLS_CHECK_CHAIN, "HSK", "no certificate of the signer");
	hsk = find_hsk(b, cek);
	if (!verdict_check(v, RTLS_CHECK_CHAIN, hsk != NULL, "signature of the CEK",
			   "no HSK at hand made it") ||
	    !hsk)
		return false;
	if (!find_hrk(b, a->roots, &hrk, v))
		return false;
	if (!SHA256(cek->xy.p, cek->xy.n, out_cek))
		return verdict_missing(v, RTLS_CHECK_CHAIN, "CEK", "its key cannot be hashed");
	return verdict_check(v, RTLS_CHECK_CHAIN, csv_sm2_verify(&hrk, hsk->signed_part, &hsk->sig),
			     "signature of the HSK", "is not by the pinned root");
}

bool csv_chain_verify(const struct appraisal *a, const struct csv_report *r, struct span tail,
		      struct rtls_verdict *v, struct csv_cert *out_pek, uint8_t out_cek[32])
{
	struct bag *b = calloc(1, sizeof(*b)); /* 200 KiB: not for a stack */
	bool ok;

	if (!b) {
		v->error = err_new(-ENOMEM);
		return false;
	}
	bag_fill(b, tail, a);
	ok = check_pek(r, out_pek, v) && check_chain(b, a, out_pek, v, out_cek);
	free(b);
	return ok;
}
