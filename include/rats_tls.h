/*
 * librats_tls, the appraisal half: does this evidence come from a genuine TEE, in a state that my
 * policy accepts?
 *
 *   rtls_policy_load()  ->  rtls_policy       what is acceptable (rats-policy(5)); immutable
 *   rtls_collateral_*() ->  rtls_collateral   what the makers of the hardware publish about it
 *   rtls_appraise()     ->  rtls_verdict      TRUSTED, or which check failed and why; every claim
 *
 * Nothing here does network I/O, prints, owns a thread or looks at a clock: the caller passes the
 * time. Policies and loaded collateral are read-only during an appraisal, so that any number of
 * threads may share them.
 *
 * Functions return 0 on success and -errno on failure. A verdict is not an error code: an
 * appraisal that ran returns 0 whatever it found. Test for trust, never against failure:
 *
 *   if (rtls_appraise(policy, collateral, p, n, &with, &v) != 0 ||
 *       rtls_verdict_result(v) != RTLS_TRUSTED)
 *           refuse();
 */
#ifndef RATS_TLS_H
#define RATS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rtls_policy;
struct rtls_collateral;
struct rtls_verdict;

enum rtls_result {
	RTLS_UNDECIDED = 0, /* could not be decided: collateral is missing, or nothing ran */
	RTLS_TRUSTED = 1,
	RTLS_REJECTED = 2,
};

enum rtls_check {
	RTLS_CHECK_NONE = 0,
	RTLS_CHECK_POLICY,	/* no alternative of the policy is about this kind of evidence */
	RTLS_CHECK_FORMAT,	/* the bytes are not what they claim to be */
	RTLS_CHECK_CHAIN,	/* certificates up to a pinned root */
	RTLS_CHECK_SIGNATURE,	/* of the evidence and of what vouches for its key */
	RTLS_CHECK_BINDING,	/* report data, claims buffer and keys belong together */
	RTLS_CHECK_COLLATERAL,	/* missing, forged, expired or older than the policy allows */
	RTLS_CHECK_REVOKED,	/* a certificate is on a revocation list */
	RTLS_CHECK_IDENTITY,	/* quoting enclave or TDX module are not the vendor's */
	RTLS_CHECK_TCB,		/* TCB state or an advisory that the policy does not list */
	RTLS_CHECK_DEBUG,	/* the enclave or guest can be debugged */
	RTLS_CHECK_MEASUREMENT, /* the code is not one that the policy pins */
	RTLS_CHECK_CONFIG,	/* its configuration: attributes, guest policy, VMPL, version */
	RTLS_CHECK_PLATFORM,	/* the machine is not one that the policy pins */
	RTLS_CHECK_SIGNER,	/* the key or CA that speaks is not one that the policy pins */
	RTLS_CHECK_FRESHNESS,	/* expired, not yet valid, or a stale nonce */
	RTLS_N_CHECKS,
};

enum rtls_outcome {
	RTLS_FAILED = 0,
	RTLS_PASSED = 1,
	RTLS_SKIPPED = 2, /* only where the policy says so in words */
};

enum rtls_claim_kind {
	RTLS_CLAIM_NONE = 0,
	RTLS_CLAIM_BYTES,
	RTLS_CLAIM_TEXT,
	RTLS_CLAIM_UINT,
	RTLS_CLAIM_BOOL,
};

#ifdef __cplusplus
}
#endif

#endif
