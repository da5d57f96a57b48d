/*
 * The verifier of quotes of a TPM 2.0, discrete or virtual, whose attestation key (AK) the operator
 * knows or whose CA he trusts. Virtual TPMs that a TEE vouches for are in tpm_azure.c.
 *
 * Order of the checks: format; the AK and its certificates (tpm_ak.c); the signature; the PCR
 * values against the signed digest. The nonce ("extra data") is the report data, padded with
 * zeros, or where a TPM takes no 64 bytes a digest of it (tpm_nonce.h). The policy must pin the AK
 * or its root: a quote proves only that some key signed it.
 *
 * Not checked: qualifiedSigner, the name of the AK with all its ancestors, is stated as a claim;
 * what it adds to the signature by a key that is vouched for is where in the TPM's hierarchy the
 * key hangs, and the ancestors are not in the evidence. The clock is not compared with earlier
 * quotes: a verifier keeps no state.
 */
#include "rats/tpm/tpm_ak.h"
#include "rats/tpm/tpm_nonce.h"
#include "rats/tpm/tpm_quote.h"
#include "rats/tpm/tpm_rules.h"

static int tpm_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	CLEANUP(pkey_freep) EVP_PKEY *ak = NULL;
	struct tpm_evidence e;
	struct tpm_quote q;

	if (!verdict_check(v, RTLS_CHECK_FORMAT, tpm_evidence_parse(a->body, &e), "TPM evidence",
			   "not a map of a quote and what belongs to it"))
		return 0;
	if (!tpm_quote_decode(&e, &q, v) || !tpm_ak_find(a, &e, NULL, v, &ak))
		return 0;
	(void)tpm_quote_verify(&e, &q, ak, v);
	return 0;
}

static bool tpm_detect(struct span body)
{
	struct tpm_evidence e;

	return tpm_evidence_parse(body, &e) && e.hcl.n == 0;
}

static bool tpm_speaks_for(const struct rtls_verdict *v,
			   const uint8_t report_data[REPORT_DATA_SIZE])
{
	const struct claim *c = claims_find(v->claims, "extra_data");
	uint8_t digest[TPM_NONCE_SHORT];

	return c && c->kind == RTLS_CLAIM_BYTES && tpm_nonce_digest(report_data, digest) &&
	       span_equal(c->bytes, SPAN(digest, sizeof(digest)));
}

static const struct rule rules[] = {
	TPM_QUOTE_RULES,
	{ .key = "ak_sha256",
	  .kind = RULE_BYTES,
	  .size = 32,
	  .check = RTLS_CHECK_SIGNER,
	  .flags = RULE_PIN | RULE_NO_ANY,
	  .group = "signer" },
	{ .key = "ca_sha256",
	  .kind = RULE_BYTES,
	  .size = 32,
	  .check = RTLS_CHECK_SIGNER,
	  .flags = RULE_PIN | RULE_NO_ANY,
	  .group = "signer" },
};

const struct verifier verifier_tpm = {
	.name = "tpm",
	.title = "TPM 2.0",
	.tags = { EVIDENCE_TAG_TPM },
	.evidence_max = TPM_EVIDENCE_MAX,
	.detect = tpm_detect,
	.verify = tpm_verify,
	.speaks_for = tpm_speaks_for,
	.rules = rules,
	.n_rules = ARRAY_LEN(rules),
};
