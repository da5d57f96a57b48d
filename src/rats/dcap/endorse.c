/*
 * Which documents speak for a platform; see endorse.h. Several may: Intel publishes an early and
 * a standard TCB info, caches keep old ones. Of those that are properly signed and in time the
 * one with the highest tcbEvaluationDataNumber counts, because it knows the most.
 */
#include "rats/dcap/endorse.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "rats/text.h"

/* What is wanted: a TCB info for the platform or, with pck NULL, a QE identity. */
struct wanted {
	const struct pck *pck;
	bool is_tdx;
};

static bool is_wanted(const struct wanted *w, const struct bag_doc *d)
{
	if (!w->pck)
		return d->qe && strcmp(d->qe->id, w->is_tdx ? "TD_QE" : "QE") == 0;
	return d->tcb && d->tcb->is_tdx == w->is_tdx &&
	       memcmp(d->tcb->fmspc, w->pck->fmspc, sizeof(w->pck->fmspc)) == 0 &&
	       d->tcb->has_pceid &&
	       memcmp(d->tcb->pceid, w->pck->pceid, sizeof(w->pck->pceid)) == 0;
}

/*
 * The certificate for a signing key: Intel re-issued it with the same key, so the one that is
 * valid now. NULL and *why: there is none that could be believed.
 */
static const struct bag_cert *signer_find(const struct rtls_collateral *bag,
					  const struct bag_doc *d, const struct appraisal *a,
					  const struct bag_cert **out_root, const char **why)
{
	const struct bag_cert *c, *root;
	char cn[64];

	*why = "its signature is of no certificate in the collateral";
	for (size_t i = 0; (c = collateral_bag_cert(bag, i)) != NULL; i++) {
		if (!d->is_verified || memcmp(c->key, d->signer, sizeof(c->key)) != 0)
			continue;
		*why = "its signer is not a TCB Signing certificate";
		if (X509_NAME_get_text_by_NID(X509_get_subject_name(c->x), NID_commonName, cn,
					      sizeof(cn)) <= 0 ||
		    strcmp(cn, "Intel SGX TCB Signing") != 0)
			continue;
		*why = "its signer is not under the pinned root";
		root = c->issuer == SIZE_MAX ? NULL : collateral_bag_cert(bag, c->issuer);
		if (!root || !pin_find(a->roots->intel, a->roots->n_intel, root->key))
			continue;
		*why = "its signer's certificate is not valid at that time";
		if (a->now < c->from || a->now > c->to || a->now < root->from || a->now > root->to)
			continue;
		*out_root = root;
		return c;
	}
	return NULL;
}

struct choice {
	const struct bag_doc *doc;
	const struct bag_cert *signer, *root; /* signer NULL: not properly signed, see why */
	const char *why;
	int rank;
};

static void consider(struct choice *best, const struct rtls_collateral *bag, const struct wanted *w,
		     const struct appraisal *a)
{
	const struct bag_doc *d;

	for (size_t i = 0; (d = collateral_doc(bag, i)) != NULL; i++) {
		struct choice this = { .doc = d };

		if (!is_wanted(w, d))
			continue;
		this.signer = signer_find(bag, d, a, &this.root, &this.why);
		this.rank = 1 + (this.signer != NULL) * 2 +
			    collateral_time_ok(&a->rules, d->issued, d->expires, a->now);
		if (this.rank > best->rank ||
		    (this.rank == best->rank &&
		     (d->eval > best->doc->eval ||
		      (d->eval == best->doc->eval && d->issued > best->doc->issued))))
			*best = this;
	}
}

static const struct bag_doc *find(const struct appraisal *a, const struct wanted *w,
				  const char *what, struct rtls_verdict *v)
{
	struct choice best = { 0 };
	char fmspc[16] = "";

	if (w->pck)
		hex_format(SPAN(w->pck->fmspc, sizeof(w->pck->fmspc)), fmspc, sizeof(fmspc));
	consider(&best, a->collateral, w, a);
	if (a->rules.from_peer)
		consider(&best, a->endorsements, w, a);
	if (!best.doc) {
		verdict_missing(v, RTLS_CHECK_COLLATERAL, what, "not in the collateral (%s %s %s)",
				w->is_tdx ? "TDX" : "SGX", w->pck ? "FMSPC" : "", fmspc);
		return NULL;
	}
	if (!verdict_check(v, RTLS_CHECK_COLLATERAL, best.signer != NULL, what, "%s", best.why) ||
	    !best.signer ||
	    !collateral_check_time(&a->rules, best.doc->issued, best.doc->expires, a->now, what,
				   v) ||
	    !crl_check(best.signer->x, best.root->x, a->collateral,
		       a->rules.from_peer ? a->endorsements : NULL, &a->rules, a->now, v))
		return NULL;
	return best.doc;
}

bool endorse_find(const struct appraisal *a, const struct pck *pck, bool is_tdx,
		  struct endorsed *out, struct rtls_verdict *v)
{
	const struct wanted tcb = { pck, is_tdx }, qe = { NULL, is_tdx };
	const struct bag_doc *d;

	d = find(a, &tcb, "TCB info", v);
	if (!d)
		return false;
	out->tcb = d->tcb;
	claims_add_uint(v->claims, "tcb_eval", d->eval);
	d = find(a, &qe, "QE identity", v);
	if (!d)
		return false;
	out->qe = d->qe;
	return true;
}
