/* The appraisal with roots of the caller's choice; rtls_appraise() takes the production roots. */
#ifndef ENG_RATS_APPRAISE_H
#define ENG_RATS_APPRAISE_H

#include "rats/verifier.h"

/* As rtls_appraise(). */
int appraise(const struct roots *roots, const struct rtls_policy *policy,
	     const struct rtls_collateral *collateral, struct span evidence,
	     const struct rtls_context *context, struct rtls_verdict **out);

#endif
