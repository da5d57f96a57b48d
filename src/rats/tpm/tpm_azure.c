/*
 * The vTPM of an Azure confidential VM. The chain of proof:
 *
 *   TEE report, signed by the hardware       verified by the verifier of that TEE
 *     its report data = hash of              the runtime JSON in the HCL report
 *       "keys"[kid HCLAkPub] =               the AK
 *         signs                              the quote: PCRs and nonce
 *
 * Under SNP the TEE report stands in the HCL report; under TDX that is a TDREPORT, which nobody
 * else can check, and the TD quote comes beside it. The nonce of the quote is the report data of
 * the whole; the TEE's own is stated as "hw_report_data". The TEE's measurement is that of the
 * paravisor, not of the guest: the guest is in the PCRs. A policy pins both.
 *
 * Not checked: that the TDREPORT in the HCL report is the one that became the quote. Nothing is
 * read from it.
 */
#include <errno.h>
#include <jansson.h>

#include "base/err.h"
#include "rats/ear/jwk.h"
#include "rats/json.h"
#include "rats/snp/snp_rules.h"
#include "rats/tpm/tpm_ak.h"
#include "rats/tpm/tpm_hcl.h"
#include "rats/tpm/tpm_quote.h"
#include "rats/tpm/tpm_rules.h"

/* Claims of the TEE join those of the quote; only the report data is somebody else's. */
static void merge_claims(struct claims *to, const struct claims *from)
{
	const struct claim *c;

	for (size_t i = 0; (c = claims_at(from, i)) != NULL; i++) {
		const char *name = strcmp(c->name, "report_data") == 0 ? "hw_report_data" : c->name;

		if (c->kind == RTLS_CLAIM_BYTES)
			claims_add_bytes(to, name, c->bytes);
		else if (c->kind == RTLS_CLAIM_TEXT)
			claims_add_text_n(to, name, c->bytes);
		else if (c->kind == RTLS_CLAIM_UINT)
			claims_add_uint(to, name, c->num);
		else if (c->kind == RTLS_CLAIM_BOOL)
			claims_add_bool(to, name, c->num != 0);
	}
}

/* The record of the inner verifier becomes part of ours; returns whether it passed. */
static bool merge(struct rtls_verdict *v, const struct rtls_verdict *inner)
{
	merge_claims(v->claims, inner->claims);
	if (inner->error && !v->error)
		v->error = inner->error;
	for (size_t i = 0; i < inner->n_checks; i++) {
		const struct check_record *r = &inner->checks[i];

		if (r->outcome == RTLS_PASSED)
			verdict_check(v, r->check, true, r->what, "-");
		else if (r->outcome == RTLS_SKIPPED)
			verdict_skip(v, r->check, r->what);
		else if (inner->undecidable)
			verdict_missing(v, r->check, "TEE", "%s", r->what);
		else
			verdict_check(v, r->check, false, "TEE", "%s", r->what);
	}
	return inner->n_checks > 0 && !verdict_has_failed(inner) && !inner->error;
}

/* What came along inside the evidence; NULL with *out_r 0 if nothing did. */
static struct rtls_collateral *own_endorsements(const struct tpm_evidence *e, int *out_r)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;

	*out_r = 0;
	if (e->endorsements.n == 0)
		return NULL;
	*out_r = rtls_collateral_new(&c);
	if (*out_r == 0)
		*out_r = rtls_collateral_add(c, e->endorsements.p, e->endorsements.n);
	if (*out_r == 0)
		*out_r = collateral_seal_plain(c);
	return *out_r == 0 ? TAKE(c) : NULL;
}

static int verify_tee(const struct appraisal *a, const struct tpm_evidence *e,
		      const struct verifier *tee, struct span report, struct rtls_verdict *v,
		      bool *out_ok)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *own = NULL;
	struct rtls_verdict *inner = NULL;
	struct appraisal nested = *a;
	int r;

	own = own_endorsements(e, &r);
	if (r == -ENOMEM)
		return err_pass(r);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, r == 0, "endorsements", "cannot be used"))
		return 0;
	nested.body = report;
	nested.claims_buffer = SPAN(NULL, 0);
	if (own)
		nested.endorsements = own;
	r = verdict_new(&inner);
	if (r == 0)
		r = tee->verify(&nested, inner);
	if (r == 0)
		*out_ok = merge(v, inner);
	rtls_verdict_free(inner);
	return err_pass(r);
}

/* The key that the runtime JSON names; NULL if it names none or two. */
static EVP_PKEY *ak_of(struct span runtime)
{
	JSON_AUTO root = json_parse_strict(runtime);
	const json_t *key, *found = NULL;
	struct span kid;
	size_t i;

	json_array_foreach(json_object_get(root, "keys"), i, key)
	{
		if (!json_text(key, "kid", &kid) || !span_equal(kid, SPAN("HCLAkPub", 8)))
			continue;
		if (found)
			return NULL;
		found = key;
	}
	return found ? jwk_to_key(found) : NULL;
}

/* The TEE's report data: the digest of the runtime JSON, then zeros. */
static bool check_runtime(const struct tpm_hcl *h, struct rtls_verdict *v)
{
	const struct claim *hw = claims_find(v->claims, "hw_report_data");
	uint8_t expected[REPORT_DATA_SIZE] = { 0 };
	unsigned n;

	if (EVP_Digest(h->runtime.p, h->runtime.n, expected, &n,
		       EVP_get_digestbyname(tpm_hash_name(h->hash)), NULL) != 1 ||
	    !hw)
		return verdict_check(v, RTLS_CHECK_BINDING, false, "runtime data",
				     "cannot be compared");
	return verdict_check_equal(v, RTLS_CHECK_BINDING, "runtime data in the TEE's report data",
				   SPAN(expected, sizeof(expected)), hw->bytes);
}

static bool decode(const struct appraisal *a, enum tpm_hcl_kind kind, struct tpm_evidence *e,
		   struct tpm_hcl *h, struct tpm_quote *q, struct rtls_verdict *v)
{
	if (!verdict_check(v, RTLS_CHECK_FORMAT, tpm_evidence_parse(a->body, e), "TPM evidence",
			   "not a map of a quote and what belongs to it") ||
	    !verdict_check(v, RTLS_CHECK_FORMAT, tpm_hcl_parse(e->hcl, h) && h->kind == kind,
			   "HCL report", "missing, malformed or of another TEE"))
		return false;
	claims_add_text_n(v->claims, "runtime_data", h->runtime);
	return tpm_quote_decode(e, q, v);
}

/*
 * The report as it lies in the NV index: it was made when the machine started, whoever has it may
 * show it, and no quote says that this is that machine. It is refused, and what it says is stated.
 */
static int state_bare(const struct appraisal *a, const struct tpm_hcl *h,
		      const struct verifier *tee, struct rtls_verdict *v)
{
	const struct tpm_evidence nothing = { 0 };
	bool ok;

	if (verdict_check(v, RTLS_CHECK_FORMAT, false, "TPM quote",
			  "this is an HCL report by itself, without a quote"))
		return 0;
	claims_add_text_n(v->claims, "runtime_data", h->runtime);
	if (h->kind != TPM_HCL_SNP)
		return 0;
	return verify_tee(a, &nothing, tee, h->hw_report, v, &ok);
}

static int az_verify(const struct appraisal *a, struct rtls_verdict *v, enum tpm_hcl_kind kind,
		     const struct verifier *tee)
{
	CLEANUP(pkey_freep) EVP_PKEY *vouched = NULL, *ak = NULL;
	struct tpm_evidence e;
	struct tpm_quote q;
	struct tpm_hcl h;
	bool ok = false;
	int r;

	if (tpm_hcl_parse(a->body, &h) && h.kind == kind)
		return state_bare(a, &h, tee, v);
	if (!decode(a, kind, &e, &h, &q, v))
		return 0;
	r = verify_tee(a, &e, tee, kind == TPM_HCL_SNP ? h.hw_report : e.tee, v, &ok);
	if (r < 0 || !ok || !check_runtime(&h, v))
		return err_pass(r);
	vouched = ak_of(h.runtime);
	if (!verdict_check(v, RTLS_CHECK_BINDING, vouched != NULL, "AK in the runtime data",
			   "there is no key HCLAkPub") ||
	    !tpm_ak_find(a, &e, vouched, v, &ak))
		return 0;
	(void)tpm_quote_verify(&e, &q, ak, v);
	return 0;
}

static int az_snp_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	return az_verify(a, v, TPM_HCL_SNP, &verifier_snp);
}

static int az_tdx_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	return az_verify(a, v, TPM_HCL_TDX, &verifier_tdx);
}

static bool az_detect(struct span body, enum tpm_hcl_kind kind)
{
	struct tpm_evidence e;
	struct tpm_hcl h;

	if (tpm_hcl_parse(body, &h))
		return h.kind == kind;
	return tpm_evidence_parse(body, &e) && tpm_hcl_parse(e.hcl, &h) && h.kind == kind;
}

static bool az_snp_detect(struct span body)
{
	return az_detect(body, TPM_HCL_SNP);
}

static bool az_tdx_detect(struct span body)
{
	return az_detect(body, TPM_HCL_TDX);
}

/* What a certificate of the AK may add; the TEE vouches for the key already. */
#define AK_RULES                                                                                   \
	{ .key = "ak_sha256", .kind = RULE_BYTES, .size = 32, .check = RTLS_CHECK_SIGNER },        \
	{                                                                                          \
		.key = "ca_sha256", .kind = RULE_BYTES, .size = 32, .check = RTLS_CHECK_SIGNER     \
	}

static const struct rule az_snp_rules[] = { TPM_QUOTE_RULES, AK_RULES, SNP_RULES };

/* The rules of tdx that mean something here: the RTMRs are not extended by the guest. */
static const struct rule az_tdx_rules[] = {
	TPM_QUOTE_RULES,
	AK_RULES,
	{ .key = "mrtd",
	  .kind = RULE_BYTES,
	  .size = 48,
	  .check = RTLS_CHECK_MEASUREMENT,
	  .flags = RULE_PIN },
	{ .key = "debug", .kind = RULE_ALLOW, .check = RTLS_CHECK_DEBUG },
	{ .key = "migration",
	  .claim = "migratable",
	  .kind = RULE_ALLOW,
	  .check = RTLS_CHECK_CONFIG },
	{ .key = "tcb",
	  .claim = "tcb_status",
	  .kind = RULE_TEXT,
	  .check = RTLS_CHECK_TCB,
	  .flags = RULE_DEFAULT,
	  .standard = "UpToDate",
	  .never = "Revoked" },
	{ .key = "advisories",
	  .claim = "advisory",
	  .kind = RULE_TEXTS,
	  .check = RTLS_CHECK_TCB,
	  .flags = RULE_DEFAULT },
	{ .key = "tcb_eval_min",
	  .claim = "tcb_eval",
	  .kind = RULE_UINT_MIN,
	  .check = RTLS_CHECK_TCB },
	{ .key = "mrseam", .kind = RULE_BYTES, .size = 48, .check = RTLS_CHECK_CONFIG },
	{ .key = "fmspc", .kind = RULE_BYTES, .size = 6, .check = RTLS_CHECK_PLATFORM },
	{ .key = "ppid", .kind = RULE_BYTES, .size = 16, .check = RTLS_CHECK_PLATFORM },
};

const struct verifier verifier_az_snp = {
	.name = "az_snp",
	.title = "vTPM of an Azure confidential VM on AMD SEV-SNP",
	.tags = { EVIDENCE_TAG_TPM },
	.evidence_max = TPM_EVIDENCE_MAX,
	.detect = az_snp_detect,
	.verify = az_snp_verify,
	.rules = az_snp_rules,
	.n_rules = ARRAY_LEN(az_snp_rules),
};

const struct verifier verifier_az_tdx = {
	.name = "az_tdx",
	.title = "vTPM of an Azure confidential VM on Intel TDX",
	.tags = { EVIDENCE_TAG_TPM },
	.evidence_max = TPM_EVIDENCE_MAX,
	.detect = az_tdx_detect,
	.verify = az_tdx_verify,
	.rules = az_tdx_rules,
	.n_rules = ARRAY_LEN(az_tdx_rules),
};
