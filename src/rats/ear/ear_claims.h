/* What an attestation service's token says, as claims: EAR, and CoCo's older "simple" token. */
#ifndef ENG_RATS_EAR_CLAIMS_H
#define ENG_RATS_EAR_CLAIMS_H

#include "rats/ear/jws.h"
#include "rats/verdict.h"

/*
 * Records FORMAT: the payload is one of the two kinds, whole. States the claims. A token with an
 * appraisal that has no status, or no appraisal at all, is refused.
 */
bool ear_claims_state(const json_t *payload, struct rtls_verdict *v);

/* The tier of a value of the trust vector: AR4SI (draft-ietf-rats-ar4si), 2.3.2. */
const char *ear_tier(int64_t value);

#endif
