/*
 * The appraisal: finds the evidence, lets the verifier that the policy names establish that it is
 * authentic, ties it to what it must speak for, and asks the policy about its claims. This
 * is the only place where a verdict becomes TRUSTED.
 */
#include "rats/appraise.h"

#include <errno.h>
#include <openssl/err.h>

#include "base/err.h"
#include "rats/policy.h"
#include "rats/text.h"

/* The claim, zero-padded to 64 bytes; false if the evidence has none. */
static bool report_data_of(const struct rtls_verdict *v, uint8_t out[REPORT_DATA_SIZE])
{
	const struct claim *c = claims_find(v->claims, "report_data");

	memset(out, 0, REPORT_DATA_SIZE);
	if (!c || c->kind != RTLS_CLAIM_BYTES || c->bytes.n > REPORT_DATA_SIZE)
		return false;
	if (c->bytes.n > 0)
		memcpy(out, c->bytes.p, c->bytes.n);
	return true;
}

static bool check_binding(const struct verifier *vf, const struct evidence *e,
			  const struct rtls_context *ctx, struct rtls_verdict *v)
{
	uint8_t found[REPORT_DATA_SIZE], expected[REPORT_DATA_SIZE] = { 0 };
	const struct span found_span = SPAN(found, sizeof(found));

	if (e->n_bound == 0 && !ctx->report_data)
		return true;
	if (!verdict_check(v, RTLS_CHECK_BINDING, report_data_of(v, found), "report data",
			   "the evidence has none"))
		return false;
	if (e->n_bound == 2 && memcmp(e->bound[1], found, sizeof(found)) == 0)
		verdict_check(v, RTLS_CHECK_BINDING, true, "report data of the holder", "-");
	else if (e->n_bound > 0 &&
		 !verdict_check_equal(v, RTLS_CHECK_BINDING, "report data of the holder",
				      SPAN(e->bound[0], REPORT_DATA_SIZE), found_span))
		return false;
	if (!ctx->report_data)
		return true;
	memcpy(expected, ctx->report_data, ctx->report_data_size);
	if (vf->speaks_for && vf->speaks_for(v, expected))
		return verdict_check(v, RTLS_CHECK_BINDING, true, "expected report data", "-");
	return verdict_check_equal(v, RTLS_CHECK_BINDING, "expected report data",
				   SPAN(expected, sizeof(expected)), found_span);
}

static bool check_certificate_time(const struct evidence *e, int64_t now, struct rtls_verdict *v)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], t[TIME_TEXT_MAX];

	if (!e->is_certificate)
		return true;
	return verdict_check(v, RTLS_CHECK_FRESHNESS, now >= e->not_before && now <= e->not_after,
			     "certificate validity", "from %s to %s, the time is %s",
			     time_format(e->not_before, from), time_format(e->not_after, to),
			     time_format(now, t));
}

static bool policy_names(const struct rtls_policy *p, const struct verifier *vf)
{
	for (size_t i = 0; i < policy_n_alternatives(p); i++)
		if (policy_verifier(p, i) == vf)
			return true;
	return false;
}

/* Which verifier: recognised by content, but run only if the policy names it. */
static const struct verifier *choose(const struct rtls_policy *p, const struct evidence *e,
				     struct rtls_verdict *v)
{
	const struct verifier *vf = verifier_detect(e);

	if (!verdict_check(v, RTLS_CHECK_FORMAT, vf != NULL, "evidence", "is of no known kind") ||
	    !vf)
		return NULL;
	v->tee = vf->name;
	if (!verdict_check(v, RTLS_CHECK_FORMAT, e->body.n <= vf->evidence_max, "evidence",
			   "has %zu bytes, at most %zu are accepted", e->body.n, vf->evidence_max))
		return NULL;
	if (p && !verdict_check(v, RTLS_CHECK_POLICY, policy_names(p, vf), "kind of evidence",
				"the policy has no alternative for %s", vf->name))
		return NULL;
	return vf;
}

/* A verifier that ends without having verified a signature has a bug; it must not cost trust. */
static bool check_proof(const struct verifier *vf, struct rtls_verdict *v)
{
	if (vf == &verifier_null)
		return true;
	for (size_t i = 0; i < v->n_checks; i++)
		if (v->checks[i].check == RTLS_CHECK_SIGNATURE &&
		    v->checks[i].outcome == RTLS_PASSED)
			return true;
	return verdict_check(v, RTLS_CHECK_SIGNATURE, false, "signature", "none was verified");
}

/*
 * Sealing tries certificates against each other, so what a peer sends is kept small: the
 * longest real chain sets, Intel's, have five certificates, two CRLs and two documents.
 */
enum { PEER_CERTS_MAX = 8, PEER_CRLS_MAX = 4, PEER_DOCS_MAX = 4 };

static bool is_modest(const struct rtls_collateral *c)
{
	return collateral_n_certs(c) <= PEER_CERTS_MAX && collateral_n_crls(c) <= PEER_CRLS_MAX &&
	       !collateral_doc(c, PEER_DOCS_MAX);
}

/* What came along is used if it can be read; that it is missing, the verifier will notice. */
static int read_endorsements(struct span s, struct rtls_collateral **out)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	int r;

	if (s.n == 0 || s.n > EVIDENCE_MAX)
		return 0;
	r = rtls_collateral_new(&c);
	if (r < 0)
		return err_pass(r);
	r = rtls_collateral_add(c, s.p, s.n);
	if (r == -ENOMEM)
		return err_pass(r);
	if (r < 0 || !is_modest(c))
		return 0;
	r = collateral_seal_plain(c);
	if (r < 0)
		return err_pass(r);
	*out = TAKE(c);
	return 0;
}

static int run(const struct verifier *vf, const struct evidence *e, struct appraisal *a,
	       const struct rtls_context *ctx, struct rtls_verdict *v)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *empty = NULL;
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *endorsements = NULL;
	int r;

	r = read_endorsements(ctx->endorsements ? SPAN(ctx->endorsements, ctx->endorsements_size)
						: e->endorsements,
			      &endorsements);
	if (r < 0)
		return err_pass(r);
	if (!a->collateral) {
		r = rtls_collateral_new(&empty);
		if (r < 0)
			return err_pass(r);
		a->collateral = empty;
	}
	a->endorsements = endorsements;
	a->body = e->body;
	a->claims_buffer = e->claims_buffer;
	return vf->verify(a, v);
}

static int appraise_into(const struct roots *roots, const struct rtls_policy *policy,
			 const struct rtls_collateral *collateral, struct span file,
			 const struct rtls_context *ctx, struct rtls_verdict *v)
{
	CLEANUP(evidence_deinit) struct evidence e = { 0 };
	struct appraisal a = { .collateral = collateral, .roots = roots, .now = ctx->time };
	const struct verifier *vf;
	int r;

	/* Without a policy nothing is trusted: then go as far as the claims that can be had. */
	a.rules = policy ? *policy_collateral_rules(policy)
			 : (struct collateral_rules){ .crl_if_present = true };
	if (policy && rtls_policy_is_insecure(policy)) {
		vf = &verifier_null;
		v->tee = vf->name;
		e.body = file;
	} else {
		vf = evidence_find(file, &e, v) ? choose(policy, &e, v) : NULL;
	}
	if (!vf)
		return 0;
	r = run(vf, &e, &a, ctx, v);
	if (r < 0 || verdict_has_failed(v) || !check_proof(vf, v))
		return r;
	if (!check_certificate_time(&e, ctx->time, v))
		return 0;
	if (vf != &verifier_null && !check_binding(vf, &e, ctx, v))
		return 0;
	if (!policy)
		return 0;
	if (vf != &verifier_null)
		policy_match(policy, vf, v);
	verdict_trust(v);
	return 0;
}

static bool context_is_valid(const struct rtls_context *c)
{
	return c && c->size >= sizeof(*c) && c->time > 0 &&
	       (!c->report_data ||
		(c->report_data_size > 0 && c->report_data_size <= REPORT_DATA_SIZE));
}

int appraise(const struct roots *roots, const struct rtls_policy *policy,
	     const struct rtls_collateral *collateral, struct span evidence,
	     const struct rtls_context *context, struct rtls_verdict **out)
{
	struct rtls_verdict *v;
	int r;

	if (!context_is_valid(context) || (collateral && !collateral_is_sealed(collateral)))
		return err_new(-EINVAL);
	r = verdict_new(&v);
	if (r < 0)
		return err_pass(r);
	ERR_set_mark(); /* what OpenSSL reports about a peer's bytes is not the caller's affair */
	r = appraise_into(roots, policy, collateral, evidence, context, v);
	ERR_pop_to_mark();
	if (r == 0)
		r = v->error ? v->error : claims_error(v->claims);
	if (r < 0) {
		rtls_verdict_free(v);
		return err_pass(r);
	}
	*out = v;
	return 0;
}

int rtls_appraise(const struct rtls_policy *policy, const struct rtls_collateral *collateral,
		  const void *evidence, size_t n, const struct rtls_context *context,
		  struct rtls_verdict **out)
{
	if (!policy)
		return err_new(-EINVAL);
	return appraise(&roots_production, policy, collateral, SPAN(evidence, n), context, out);
}

int rtls_inspect(const struct rtls_collateral *collateral, const void *evidence, size_t n,
		 const struct rtls_context *context, struct rtls_verdict **out)
{
	const struct rtls_context any_time = { .size = sizeof(any_time), .time = 1 };

	return appraise(&roots_production, NULL, collateral, SPAN(evidence, n),
			context ? context : &any_time, out);
}
