/*
 * From a report to the key that must have signed it.
 *
 * Certificates come from up to four places. Which one a report belongs to is decided by content:
 * the leaf by kind of key, chip and TCB, issuers by name. The first that fits by these is taken,
 * and nothing else is tried when it then fails a check: a forged ASK does not become harmless
 * because a genuine one lies in the next folder. Places are asked in the order in which they are
 * close to the report.
 *
 * AMD's revocation lists are issued by the root and name ASKs; a VCEK has serial number 0 and is
 * on no list. A chip whose firmware is broken is refused by its TCB.
 */
#include "rats/snp/snp_chain.h"

#include <stdio.h>

#include "rats/snp/snp_amd_certs.h"

enum { ISSUERS = 2 }; /* ASK or ASVK, and ARK */

/* Borrowed certificates in the order of search. */
struct pool {
	struct chain table; /* the report's own; owns its certificates */
	const struct rtls_collateral *near, *far;
};

static X509 *pool_at(const struct pool *p, size_t i)
{
	const struct rtls_collateral *makers = collateral_makers(p->far);
	size_t n_near = collateral_n_certs(p->near), n_far = collateral_n_certs(p->far);

	if (i < p->table.n)
		return p->table.cert[i];
	i -= p->table.n;
	if (i < n_near)
		return collateral_cert(p->near, i);
	i -= n_near;
	if (i < n_far)
		return collateral_cert(p->far, i);
	i -= n_far;
	return i < collateral_n_certs(makers) ? collateral_cert(makers, i) : NULL;
}

/* What the bag has is not parsed once more: most tables hold AMD's own ASK and ARK. */
static X509 *cert_from_any(struct span bytes, const struct rtls_collateral *bag)
{
	static const char pem[] = "-----BEGIN";
	const struct bag_cert *known;
	struct chain c = { 0 };
	X509 *x = NULL;

	if (bytes.n < sizeof(pem) || memcmp(bytes.p, pem, sizeof(pem) - 1) != 0) {
		known = collateral_find_der(bag, bytes);
		if (!known)
			return x509_from_der(bytes);
		X509_up_ref(known->x);
		return known->x;
	}
	if (chain_from_pem_known(bytes, bag, &c)) {
		x = c.cert[0];
		X509_up_ref(x);
	}
	chain_deinit(&c);
	return x;
}

static bool pool_fill(struct pool *p, struct span table, struct rtls_verdict *v)
{
	struct snp_table t = { 0 };
	const struct span *certs[] = { &t.vcek, &t.vlek, &t.ask, &t.ark };

	if (table.n == 0)
		return true;
	if (!verdict_check(v, RTLS_CHECK_FORMAT, snp_table_parse(table, &t), "certificate table",
			   "the bytes after the report are no table of certificates"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(certs); i++) {
		X509 *x;

		if (certs[i]->n == 0)
			continue;
		x = cert_from_any(*certs[i], p->far);
		if (!verdict_check(v, RTLS_CHECK_FORMAT, x != NULL, "certificate in the table",
				   "entry %zu is no certificate", i))
			return false;
		p->table.cert[p->table.n++] = x;
	}
	return true;
}

static bool is_zero(struct span s)
{
	uint8_t any = 0;

	for (size_t i = 0; i < s.n; i++)
		any |= s.p[i];
	return any == 0;
}

static bool hwid_fits(const struct snp_report *r, const struct snp_cert *c)
{
	return span_equal(SPAN(c->hwid, sizeof(c->hwid)), r->chip_id);
}

static bool tcb_fits(const struct snp_report *r, const struct snp_cert *c)
{
	struct snp_tcb reported = snp_tcb_decode(c->product, r->reported_tcb);

	return snp_tcb_equal(&c->tcb, &reported);
}

/* 0: not a certificate of this kind of key at all. */
static unsigned leaf_score(const struct snp_report *r, X509 *x)
{
	struct snp_cert c;
	const char *why;

	if (!snp_cert_has_cn(x, r->signing_key == SNP_KEY_VLEK ? "SEV-VLEK" : "SEV-VCEK"))
		return 0;
	if (!snp_cert_parse(x, &c, &why))
		return 1;
	return 2u + 2u * hwid_fits(r, &c) + tcb_fits(r, &c);
}

static X509 *find_leaf(const struct pool *p, const struct snp_report *r)
{
	X509 *best = NULL, *x;
	unsigned best_score = 0;

	for (size_t i = 0; (x = pool_at(p, i)); i++) {
		unsigned score = leaf_score(r, x);

		if (score > best_score) {
			best = x;
			best_score = score;
		}
	}
	return best;
}

static bool is_named_issuer(X509 *candidate, X509 *of)
{
	return X509_NAME_cmp(X509_get_subject_name(candidate), X509_get_issuer_name(of)) == 0;
}

static X509 *issuer_in_pool(const struct pool *p, X509 *of)
{
	X509 *x;

	for (size_t i = 0; (x = pool_at(p, i)); i++)
		if (is_named_issuer(x, of))
			return x;
	return NULL;
}

static X509 *issuer_in_chain(const struct chain *c, X509 *of)
{
	for (size_t i = 0; i < c->n; i++)
		if (is_named_issuer(c->cert[i], of))
			return c->cert[i];
	return NULL;
}

/*
 * Appends ASK and ARK. AMD's own lie in a sealed bag; a caller who has no collateral has none, and
 * then they are read when they are needed.
 */
static bool complete(const struct pool *p, enum snp_product product, struct chain *c,
		     struct rtls_verdict *v)
{
	CLEANUP(chain_deinit) struct chain built_in = { 0 };

	for (size_t i = 0; i < ISSUERS; i++) {
		X509 *x = issuer_in_pool(p, c->cert[i]);

		if (!x && !collateral_makers(p->far) && built_in.n == 0 &&
		    !verdict_check(v, RTLS_CHECK_CHAIN,
				   chain_from_pem(snp_amd_certs(product), &built_in),
				   "AMD's own certificates", "cannot be read"))
			return false;
		if (!x)
			x = issuer_in_chain(&built_in, c->cert[i]);
		if (!verdict_check(v, RTLS_CHECK_CHAIN, x != NULL, "issuer",
				   "no certificate of the name that issued the one of the %s",
				   i == 0 ? "report's key" : "ASK"))
			return false;
		X509_up_ref(x);
		c->cert[c->n++] = x;
	}
	return true;
}

/* The names that AMD gives to the issuers of each kind of key, and the product of the root. */
static bool check_names(const struct chain *c, const struct snp_cert *info,
			const struct roots *roots, struct rtls_verdict *v)
{
	const char *product = snp_product_name(info->product);
	const struct key_pin *pin;
	uint8_t key[32];
	char cn[32];

	snprintf(cn, sizeof(cn), "SEV-%s%s", info->kind == SNP_KEY_VLEK ? "VLEK-" : "", product);
	if (!verdict_check(v, RTLS_CHECK_CHAIN, snp_cert_has_cn(c->cert[1], cn), "name of the ASK",
			   "expected %s", cn))
		return false;
	pin = x509_key_sha256(c->cert[2], key) ? pin_find(roots->amd, roots->n_amd, key) : NULL;
	return verdict_check(v, RTLS_CHECK_CHAIN, pin && strcmp(pin->name, product) == 0,
			     "root of the product", "expected the root of %s, found that of %s",
			     product, pin ? pin->name : "nobody");
}

static bool check_chain(const struct appraisal *a, const struct chain *c,
			const struct snp_cert *info, struct rtls_verdict *v)
{
	const struct rtls_collateral *theirs = a->rules.from_peer ? a->endorsements : NULL;

	return chain_check(c, a->roots->amd, a->roots->n_amd, "AMD", v) &&
	       check_names(c, info, a->roots, v) && chain_check_time(c, a->now, "AMD", v) &&
	       crl_check(c->cert[1], c->cert[2], a->collateral, theirs, &a->rules, a->now, v);
}

static bool check_leaf(const struct snp_report *r, const struct snp_cert *c, struct rtls_verdict *v)
{
	enum snp_product said = snp_report_product(r);
	/* Version 2 does not say, but only two products' firmware ever wrote it. */
	bool fits = r->version < 3
			    ? c->product == SNP_PRODUCT_MILAN || c->product == SNP_PRODUCT_GENOA
			    : c->product == said;

	if (!verdict_check(v, RTLS_CHECK_BINDING, fits, "product",
			   "the certificate is for %s, the report of version %u by CPUID for %s",
			   snp_product_name(c->product), r->version, snp_product_name(said)))
		return false;
	/* A chip may be told to hide its number (MASK_CHIP_ID); a VLEK is not one chip's. */
	if (c->kind == SNP_KEY_VCEK && is_zero(r->chip_id))
		verdict_skip(v, RTLS_CHECK_BINDING, "chip id (hidden by the platform)");
	else if (c->kind == SNP_KEY_VCEK &&
		 !verdict_check_equal(v, RTLS_CHECK_BINDING, "chip id against the VCEK's HWID",
				      SPAN(c->hwid, sizeof(c->hwid)), r->chip_id))
		return false;
	return verdict_check(v, RTLS_CHECK_BINDING, tcb_fits(r, c), "reported TCB",
			     "differs from the TCB in the certificate");
}

static bool verify(const struct appraisal *a, const struct snp_report *r, const struct pool *p,
		   struct chain *c, struct rtls_verdict *v, EVP_PKEY **out_key,
		   struct snp_cert *out_cert)
{
	const char *why = "";
	X509 *leaf = find_leaf(p, r);
	EVP_PKEY *key;
	bool ok;

	if (!leaf)
		return verdict_missing(v, RTLS_CHECK_CHAIN, "certificate of the report's key",
				       "no %s certificate came along or is in the collateral",
				       r->signing_key == SNP_KEY_VLEK ? "VLEK" : "VCEK");
	X509_up_ref(leaf);
	c->cert[c->n++] = leaf;
	ok = snp_cert_parse(leaf, out_cert, &why);
	if (!verdict_check(v, RTLS_CHECK_CHAIN, ok, "certificate of the report's key", "%s", why))
		return false;
	if (!complete(p, out_cert->product, c, v) || !check_chain(a, c, out_cert, v) ||
	    !check_leaf(r, out_cert, v))
		return false;
	key = X509_get0_pubkey(leaf);
	if (!verdict_check(v, RTLS_CHECK_CHAIN,
			   key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384,
			   "report's key", "is not on P-384"))
		return false;
	EVP_PKEY_up_ref(key);
	*out_key = key;
	return true;
}

bool snp_chain_verify(const struct appraisal *a, const struct snp_report *r, struct span table,
		      struct rtls_verdict *v, EVP_PKEY **out_key, struct snp_cert *out_cert)
{
	struct pool p = { .near = a->endorsements, .far = a->collateral };
	struct chain c = { .bag = a->collateral };
	bool ok = pool_fill(&p, table, v) && verify(a, r, &p, &c, v, out_key, out_cert);

	chain_deinit(&c);
	chain_deinit(&p.table);
	return ok;
}
