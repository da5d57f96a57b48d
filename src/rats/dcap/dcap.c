/*
 * SGX and TDX evidence: DCAP ECDSA quotes.
 *
 * The chain of reasons, in the order of the code: the PCK chain ends in Intel's root key; the PCK
 * key signed the report of the quoting enclave; that report names the attestation key; that key
 * signed the quote. Then Intel's documents, signed under the same root, say in which state
 * the platform, the quoting enclave and the TDX module are, and no certificate is revoked.
 * What the policy makes of it are the rules at the end.
 *
 * The checks that need no collateral come first: forged evidence is rejected, not undecided.
 */
#include <openssl/evp.h>

#include "rats/dcap/endorse.h"
#include "rats/dcap/pck.h"
#include "rats/dcap/quote.h"
#include "rats/dcap/tcb_eval.h"
#include "rats/verifier.h"

/* Leaf, Platform or Processor CA, root. */
static bool check_chain(const struct quote *q, const struct appraisal *a, struct chain *chain,
			struct pck *pck, struct rtls_verdict *v)
{
	static const char *const cert_types[] = { "0",
						  "1 (PPID)",
						  "2 (PPID, RSA-2048)",
						  "3 (PPID, RSA-3072)",
						  "4 (PCK leaf)",
						  "5 (PCK chain)",
						  "6 (QE report)" };
	const char *wrong;
	bool is_three = chain_from_pem_known(q->certs, a->collateral, chain) && chain->n == 3;

	if (!verdict_check(v, RTLS_CHECK_CHAIN, q->cert_type == CERT_PCK_CHAIN,
			   "certification data", "expected a PCK chain (type 5), found type %s",
			   q->cert_type < ARRAY_LEN(cert_types) ? cert_types[q->cert_type] : "?") ||
	    !verdict_check(v, RTLS_CHECK_CHAIN, is_three, "PCK chain",
			   "expected three PEM certificates, found %zu or broken ones", chain->n))
		return false;
	chain_sort(chain);
	if (!chain_check(chain, a->roots->intel, a->roots->n_intel, "PCK chain", v))
		return false;
	wrong = pck_parse(chain->cert[0], pck);
	if (!verdict_check(v, RTLS_CHECK_CHAIN, !wrong, "PCK certificate", "%s", wrong))
		return false;
	pck_claims(pck, v->claims);
	return true;
}

static bool p256_check(struct rtls_verdict *v, EVP_PKEY *key, struct span msg, struct span sig,
		       const char *what, const char *who)
{
	return verdict_check(
		v, RTLS_CHECK_SIGNATURE,
		ecdsa_verify_raw(key, EVP_sha256(), msg, SPAN(sig.p, 32), SPAN(sig.p + 32, 32)),
		what, "is not by the %s", who);
}

/* QE report data: SHA-256(attestation key || authentication data) || zeros. */
static bool check_key_binding(const struct quote *q, struct rtls_verdict *v)
{
	uint8_t expected[64] = { 0 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(ctx, q->key.p, q->key.n) == 1 &&
	     EVP_DigestUpdate(ctx, q->auth_data.p, q->auth_data.n) == 1 &&
	     EVP_DigestFinal_ex(ctx, expected, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return verdict_check(v, RTLS_CHECK_BINDING, ok, "attestation key in QE report",
			     "out of memory") &&
	       verdict_check_equal(v, RTLS_CHECK_BINDING, "attestation key in QE report",
				   SPAN(expected, sizeof(expected)), REPORT_DATA(q->qe_report));
}

static bool check_signatures(const struct quote *q, const struct chain *chain,
			     struct rtls_verdict *v)
{
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;

	if (!p256_check(v, X509_get0_pubkey(chain->cert[0]), q->qe_report, q->qe_signature,
			"QE report signature", "PCK key") ||
	    !check_key_binding(q, v))
		return false;
	key = p256_key(q->key.p);
	return p256_check(v, key, q->signed_part, q->signature, "quote signature",
			  "attestation key");
}

static int verify(const struct appraisal *a, bool is_tdx, struct rtls_verdict *v)
{
	const struct rtls_collateral *from_peer = a->rules.from_peer ? a->endorsements : NULL;
	CLEANUP(chain_deinit) struct chain chain = { 0 };
	struct endorsed endorsed;
	struct quote q;
	struct pck pck;
	const char *wrong;
	bool done;

	wrong = quote_parse(a->body, &q);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, !wrong, "quote", "%s", wrong) ||
	    !verdict_check(v, RTLS_CHECK_FORMAT, q.is_tdx == is_tdx, "TEE type",
			   "expected %s evidence", is_tdx ? "TDX" : "SGX"))
		return 0;
	quote_claims(&q, v->claims);
	done = check_chain(&q, a, &chain, &pck, v) && check_signatures(&q, &chain, v) &&
	       chain_check_time(&chain, a->now, "PCK chain validity", v) &&
	       endorse_find(a, &pck, is_tdx, &endorsed, v) &&
	       chain_check_revocation(&chain, a->collateral, from_peer, &a->rules, a->now, v) &&
	       tcb_evaluate(&q, &pck, endorsed.tcb, endorsed.qe, v);
	if (!done && !verdict_has_failed(v)) /* stopping early must not look like success */
		verdict_missing(v, RTLS_CHECK_FORMAT, "quote", "was not verified to the end");
	return 0;
}

static int sgx_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	return verify(a, false, v);
}

static int tdx_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	return verify(a, true, v);
}

static bool sgx_detect(struct span body)
{
	return quote_looks_like(body, TEE_SGX);
}

static bool tdx_detect(struct span body)
{
	return quote_looks_like(body, TEE_TDX);
}

#define PIN(k, n)                                                                                  \
	{                                                                                          \
		.key = k, .kind = RULE_BYTES, .check = RTLS_CHECK_MEASUREMENT, .flags = RULE_PIN,  \
		.size = n                                                                          \
	}
#define MAY(k, c, n)                                                                               \
	{                                                                                          \
		.key = k, .kind = RULE_BYTES, .check = c, .size = n                                \
	}

/* What both share: state of the platform, which platform, how old the evaluation may be. */
#define DCAP_RULES                                                                                 \
	{ .key = "debug", .kind = RULE_ALLOW, .check = RTLS_CHECK_DEBUG },                         \
		{ .key = "tcb",                                                                    \
		  .claim = "tcb_status",                                                           \
		  .kind = RULE_TEXT,                                                               \
		  .check = RTLS_CHECK_TCB,                                                         \
		  .flags = RULE_DEFAULT,                                                           \
		  .standard = "UpToDate",                                                          \
		  .never = "Revoked" },                                                            \
		{ .key = "advisories",                                                             \
		  .claim = "advisory",                                                             \
		  .kind = RULE_TEXTS,                                                              \
		  .check = RTLS_CHECK_TCB,                                                         \
		  .flags = RULE_DEFAULT },                                                         \
		{ .key = "tcb_eval_min",                                                           \
		  .claim = "tcb_eval",                                                             \
		  .kind = RULE_UINT_MIN,                                                           \
		  .check = RTLS_CHECK_TCB },                                                       \
		MAY("fmspc", RTLS_CHECK_PLATFORM, 6), MAY("ppid", RTLS_CHECK_PLATFORM, 16),        \
		MAY("platform_instance_id", RTLS_CHECK_PLATFORM, 16)

static const struct rule sgx_rules[] = {
	PIN("mrenclave", 32),
	PIN("mrsigner", 32),
	DCAP_RULES,
	{ .key = "isvprodid", .kind = RULE_UINT, .check = RTLS_CHECK_CONFIG },
	{ .key = "isvsvn_min",
	  .claim = "isvsvn",
	  .kind = RULE_UINT_MIN,
	  .check = RTLS_CHECK_CONFIG },
	MAY("isvextprodid", RTLS_CHECK_CONFIG, 16),
	MAY("isvfamilyid", RTLS_CHECK_CONFIG, 16),
	MAY("configid", RTLS_CHECK_CONFIG, 64),
	{ .key = "configsvn_min",
	  .claim = "configsvn",
	  .kind = RULE_UINT_MIN,
	  .check = RTLS_CHECK_CONFIG },
	MAY("attributes", RTLS_CHECK_CONFIG, 16),
};

static const struct rule tdx_rules[] = {
	PIN("mrtd", 48),
	PIN("rtmr0", 48),
	PIN("rtmr1", 48),
	PIN("rtmr2", 48),
	PIN("rtmr3", 48),
	DCAP_RULES,
	{ .key = "migration",
	  .claim = "migratable",
	  .kind = RULE_ALLOW,
	  .check = RTLS_CHECK_CONFIG },
	MAY("mrconfigid", RTLS_CHECK_CONFIG, 48),
	MAY("mrowner", RTLS_CHECK_CONFIG, 48),
	MAY("mrownerconfig", RTLS_CHECK_CONFIG, 48),
	MAY("mrseam", RTLS_CHECK_CONFIG, 48),
	MAY("mrservicetd", RTLS_CHECK_CONFIG, 48),
	MAY("tdattr", RTLS_CHECK_CONFIG, 8),
	MAY("xfam", RTLS_CHECK_CONFIG, 8),
};

const struct verifier verifier_sgx = {
	.name = "sgx",
	.title = "Intel SGX enclave (DCAP ECDSA quote)",
	.tags = { EVIDENCE_TAG_INTEL_QUOTE },
	.evidence_max = QUOTE_MAX,
	.detect = sgx_detect,
	.verify = sgx_verify,
	.rules = sgx_rules,
	.n_rules = ARRAY_LEN(sgx_rules),
};

const struct verifier verifier_tdx = {
	.name = "tdx",
	.title = "Intel TDX trust domain (DCAP ECDSA quote)",
	.tags = { EVIDENCE_TAG_INTEL_QUOTE },
	.evidence_max = QUOTE_MAX,
	.detect = tdx_detect,
	.verify = tdx_verify,
	.rules = tdx_rules,
	.n_rules = ARRAY_LEN(tdx_rules),
};
