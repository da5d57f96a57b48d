/*
 * A policy: what the operator accepts, parsed from YAML against the rules of the verifiers
 * (rats-policy(5)). Immutable; unknown keys, repeated keys, an alternative without its pins and
 * anything that is not understood are errors with line and column.
 */
#ifndef ENG_RATS_POLICY_H
#define ENG_RATS_POLICY_H

#include "base/addr.h"
#include "rats/claims.h"
#include "rats/collateral.h"
#include "rats/verdict.h"
#include "rats/verifier.h"

enum {
	POLICY_FILE_MAX = 256 * 1024, /* bytes: hundreds of alternatives */
	POLICY_ALTERNATIVES_MAX = 256,
	POLICY_VALUES_MAX = 256, /* values of one key */
};

const struct collateral_rules *policy_collateral_rules(const struct rtls_policy *p);
size_t policy_n_alternatives(const struct rtls_policy *p);
const struct verifier *policy_verifier(const struct rtls_policy *p, size_t i);

/*
 * Applies the rules of every alternative for this verifier to the claims. If one is satisfied,
 * records its checks and sets v->alternative; else records those of the alternative that
 * came furthest.
 */
void policy_match(const struct rtls_policy *p, const struct verifier *vf, struct rtls_verdict *v);

DEFINE_FREEP(struct rtls_policy *, rtls_policy_free)

#endif
