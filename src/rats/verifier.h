/*
 * A verifier: one const struct per TEE (STYLE rule 11), a pure function from evidence, collateral
 * and time to a verdict with claims, and the table of what a policy may say about those claims.
 *
 * The division of work: verify() establishes that the evidence is authentic (format, chains,
 * signatures, bindings inside the evidence, collateral, revocation) and states claims. It knows
 * nothing of the policy but the collateral rules. Everything that a policy pins or
 * allows - measurements, debug, TCB states, advisories, platform, signer - is a rule over claims,
 * applied by policy_match() to each alternative. The expected report data is compared with the
 * claim "report_data" by appraise.c.
 */
#ifndef ENG_RATS_VERIFIER_H
#define ENG_RATS_VERIFIER_H

#include <stdint.h>

#include "rats/collateral.h"
#include "rats/evidence.h"
#include "rats/verdict.h"
#include "rats/x509.h"

/* What a policy key does with the claim of that name. */
enum rule_kind {
	RULE_BYTES,	/* pin: hex or list of hex; the claim equals one of them */
	RULE_BYTES_MAP, /* pin: {index: hex or list of hex}; claims are named claim+index: "pcr7" */
	RULE_UINT,	/* pin: number or list of numbers */
	RULE_UINT_MIN,	/* number; the claim is at least that */
	RULE_TEXT,	/* pin: text or list of texts */
	RULE_ALLOW,	/* boolean; the claim, a bool, may be true only if the policy says true */
	RULE_REQUIRE,	/* boolean; if the policy says true, the claim must be true */
	RULE_TEXTS,	/* list of texts; every claim of that name must be one of them */
};

enum rule_flags {
	RULE_PIN = 1,	  /* the alternative must give it, or say `any` (one of each group) */
	RULE_NO_ANY = 2,  /* `any` is not accepted: trust hangs on it */
	RULE_DEFAULT = 4, /* when the alternative does not give it, compare with `standard` */
};

struct rule {
	const char *key;   /* in the policy: "mrenclave" */
	const char *claim; /* NULL: the same as key */
	enum rule_kind kind;
	enum rtls_check check; /* what fails */
	unsigned flags;
	size_t size;	   /* RULE_BYTES: length in bytes, 0 = any up to 64 */
	const char *group; /* rules with RULE_PIN of one group: at least one must be given; all
			      given must match */
	const char
		*standard; /* RULE_TEXT(S) with RULE_DEFAULT: the one value accepted by default */
	const char *never; /* RULE_TEXT: a value that `any` does not cover, it must be listed */
};

struct appraisal {
	struct span body;			    /* the evidence without its envelope */
	struct span claims_buffer;		    /* as in struct evidence */
	const struct rtls_collateral *collateral;   /* local; never NULL */
	const struct rtls_collateral *endorsements; /* what the peer sent along; NULL: nothing */
	struct collateral_rules rules;
	const struct roots *roots;
	int64_t now; /* seconds since 1970 */
};

struct verifier {
	const char *name; /* in a policy, `tee: NAME` */
	const char *title;
	uint64_t tags[2];    /* envelopes it may come in; 0 = unused */
	size_t evidence_max; /* bytes of body: bounded before anything reads it */
	/* Whether these bytes look like its evidence: cheap, and no statement of trust. */
	bool (*detect)(struct span body);
	/*
	 * Records checks and claims in v. Returns 0 when it ran to its end or to a failed check,
	 * < 0 (-ENOMEM) when it could not run; never says TRUSTED.
	 */
	int (*verify)(const struct appraisal *a, struct rtls_verdict *v);
	/*
	 * Whether the claims speak for this report data in another form than the claim
	 * "report_data". NULL: there is no other.
	 */
	bool (*speaks_for)(const struct rtls_verdict *v,
			   const uint8_t report_data[REPORT_DATA_SIZE]);
	const struct rule *rules;
	size_t n_rules;
};

extern const struct verifier verifier_sgx;
extern const struct verifier verifier_tdx;
extern const struct verifier verifier_snp;
extern const struct verifier verifier_tpm;
extern const struct verifier
	verifier_az_snp; /* vTPM of an Azure confidential VM: HCL report in SNP evidence */
extern const struct verifier verifier_az_tdx; /* the same in TDX evidence */
extern const struct verifier verifier_csv;
extern const struct verifier verifier_ear;
extern const struct verifier verifier_null;

extern const struct verifier *const verifiers[];
extern const size_t n_verifiers;

const struct verifier *verifier_find(const char *name); /* NULL: none */
/* The one that recognises the evidence; NULL: none does. */
const struct verifier *verifier_detect(const struct evidence *e);

#endif
