/* TPM evidence: the map, quotes, signatures, HCL reports, and the three verifiers. */
#include "rats.h"

#include "rats/tpm/tpm_attest.h"
#include "rats/tpm/tpm_evidence.h"
#include "rats/tpm/tpm_hcl.h"

/* What is parsed and written again must parse to the same. */
static void rewrite(struct span all)
{
	static uint8_t again[TPM_EVIDENCE_MAX];
	struct wspan w = WSPAN(again, sizeof(again));
	struct tpm_evidence e, e2;

	if (!tpm_evidence_parse(all, &e))
		return;
	tpm_evidence_write(&w, &e);
	must(!w.overflow && tpm_evidence_parse(SPAN(again, w.n), &e2));
	must(span_equal(e.quote, e2.quote) && span_equal(e.hcl, e2.hcl) &&
	     span_equal(e.endorsements, e2.endorsements));
}

static void run_tpm(struct span all)
{
	struct rtls_collateral *bag = NULL;
	struct rtls_verdict *v = NULL;
	struct appraisal a = { .body = all, .roots = &roots_production, .now = 1750000000 };

	must(rtls_collateral_new(&bag) == 0 && collateral_seal_plain(bag) == 0);
	must(verdict_new(&v) == 0);
	a.collateral = bag;
	must(verifier_tpm.verify(&a, v) == 0 && v->n_checks > 0);
	must(verdict_has_failed(v) || claims_find(v->claims, "ak_sha256"));
	rtls_verdict_free(v);
	rtls_collateral_free(bag);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span all = SPAN(bytes, n);
	struct tpm_quote q;
	struct tpm_sig sig;
	struct tpm_hcl h;

	if (tpm_quote_parse(all, &q))
		must(q.extra_data.n <= TPM_NONCE_MAX && q.pcr_digest.n <= TPM_DIGEST_MAX &&
		     q.n_banks <= TPM_BANKS_MAX);
	if (tpm_sig_parse(all, &sig))
		must(sig.rsa.n + sig.r.n + sig.s.n < n);
	if (tpm_hcl_parse(all, &h))
		must(h.runtime.n <= TPM_HCL_JSON_MAX);
	rewrite(all);
	/* Under a key of its own choice a quote may verify: its policy must name the key. */
	run_tpm(all);
	fuzz_verifier(&verifier_az_snp, all, SPAN(NULL, 0));
	fuzz_verifier(&verifier_az_tdx, all, SPAN(NULL, 0));
	return 0;
}
