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

#pragma GCC visibility push(default)

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

/*
 * Policy. `err` (err_size bytes, may be NULL with 0) gets "LINE:COLUMN: what is wrong" when the
 * text is refused (-EINVAL). The policy does not refer to the text afterwards. A changed file is
 * parsed into a new policy; appraisals that run keep the old one.
 */
int rtls_policy_parse(const char *text, size_t n, struct rtls_policy **out, char *err,
		      size_t err_size);
int rtls_policy_load(const char *path, struct rtls_policy **out, char *err, size_t err_size);
void rtls_policy_free(struct rtls_policy *policy);
/* The `collateral: path:` of the policy, or NULL; lives as long as the policy. */
const char *rtls_policy_collateral_path(const struct rtls_policy *policy);
/* Whether the policy holds `insecure: null`, that is, proves nothing. Callers must shout. */
bool rtls_policy_is_insecure(const struct rtls_policy *policy);

/*
 * Collateral. New, add or load as often as needed, seal once; then read-only. What an item is, is
 * recognised by its content (rats-policy(5)). An item that is not
 * recognised is kept for the verifiers, which ignore what they cannot use.
 */
int rtls_collateral_new(struct rtls_collateral **out);
int rtls_collateral_add(struct rtls_collateral *collateral, const void *bytes, size_t n);
/* A file, or every file in a directory (not its subdirectories). */
int rtls_collateral_load(struct rtls_collateral *collateral, const char *path);
int rtls_collateral_seal(struct rtls_collateral *collateral);
void rtls_collateral_free(struct rtls_collateral *collateral);

/* What the i-th item is, for people: nothing here is a statement of trust. */
struct rtls_collateral_item {
	const char *kind;	 /* "certificate", "crl", "tcb-info", "qe-identity", "other" */
	char name[160];		 /* whom it is about, in printable ASCII */
	int64_t issued, expires; /* seconds since 1970; 0: it does not say */
	bool is_signed;		 /* by the key of a certificate in the same, sealed bag */
};
/* False: there is no i-th. */
bool rtls_collateral_item(const struct rtls_collateral *collateral, size_t i,
			  struct rtls_collateral_item *out);

/*
 * What an appraisal needs besides evidence and policy. Zero-initialise it; then a field that a
 * later version adds keeps its old meaning.
 */
struct rtls_context {
	size_t size;		  /* sizeof(struct rtls_context) */
	int64_t time;		  /* seconds since 1970; 0 is refused: the caller knows the time */
	const void *report_data;  /* expected, zero-padded to 64 bytes; NULL: not compared */
	size_t report_data_size;  /* at most 64 */
	const void *endorsements; /* what the peer sent along: a bundle; NULL: nothing */
	size_t endorsements_size;
};

/*
 * Appraises evidence: bare, in its CBOR envelope, or inside a certificate. `collateral` must be
 * sealed; NULL means none. *out is written when 0 is returned; free it. -EINVAL: a misused
 * argument; -ENOMEM. There is no way to a trusted verdict but RTLS_TRUSTED.
 */
int rtls_appraise(const struct rtls_policy *policy, const struct rtls_collateral *collateral,
		  const void *evidence, size_t n, const struct rtls_context *context,
		  struct rtls_verdict **out);
void rtls_verdict_free(struct rtls_verdict *verdict);

/* Strings live as long as the verdict. All accept NULL: undecided, and no claims. */
enum rtls_result rtls_verdict_result(const struct rtls_verdict *verdict);
enum rtls_check rtls_verdict_failed(const struct rtls_verdict *verdict);
const char *rtls_verdict_why(const struct rtls_verdict *verdict); /* one line; "" if trusted */
const char *rtls_verdict_tee(const struct rtls_verdict *verdict); /* "sgx"; "" if unknown */
const char *rtls_verdict_tcb_status(const struct rtls_verdict *verdict); /* "" if none */
/* Index, from 0, of the alternative that accepted; -1 unless trusted. */
int rtls_verdict_alternative(const struct rtls_verdict *verdict);

/* Every check that was made, in order. False: there is no i-th. */
bool rtls_verdict_check(const struct rtls_verdict *verdict, size_t i, enum rtls_check *out_check,
			enum rtls_outcome *out_outcome, const char **out_what);
const char *rtls_check_name(enum rtls_check check);    /* "SIGNATURE" */
const char *rtls_result_name(enum rtls_result result); /* "TRUSTED" */

struct rtls_claim {
	const char *name;
	enum rtls_claim_kind kind;
	const uint8_t *bytes; /* BYTES; TEXT (then also NUL-terminated) */
	size_t n_bytes;
	uint64_t number; /* UINT; BOOL: 0 or 1 */
};

/* Claims are authentic only in a verdict whose SIGNATURE and CHAIN checks passed: ask the result.
 */
bool rtls_verdict_claim(const struct rtls_verdict *verdict, size_t i, struct rtls_claim *out);
bool rtls_verdict_find(const struct rtls_verdict *verdict, const char *name,
		       struct rtls_claim *out);
/* One JSON object: result, failed, why, tee, tcb_status, advisories, checks, claims. free() it. */
char *rtls_verdict_json(const struct rtls_verdict *verdict);

/*
 * Whether the alternative that accepted lets this peer own an address prefix (`allowed_ips`):
 * address of 4 or 16 bytes in network order. False unless trusted, or without `allowed_ips`.
 */
bool rtls_policy_allows_prefix(const struct rtls_policy *policy, const struct rtls_verdict *verdict,
			       const uint8_t *address, size_t n, unsigned prefix_len);

/*
 * Decodes and checks without a policy, so without any trust: the verdict has the claims and the
 * checks as far as they came; its result is UNDECIDED or REJECTED. collateral and context may
 * be NULL: then what needs them stays undecided.
 */
int rtls_inspect(const struct rtls_collateral *collateral, const void *evidence, size_t n,
		 const struct rtls_context *context, struct rtls_verdict **out);
/* A policy that accepts exactly the verdict's claims, or with any = true every value. free() it. */
char *rtls_policy_suggest(const struct rtls_verdict *verdict, bool any);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
