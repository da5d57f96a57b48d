/* Tokens; and the JSON in them by itself, which a fuzzer does not find behind base64. */
#include "rats.h"

#include "rats/ear/ear_claims.h"
#include "rats/ear/jwk.h"

static void fuzz_token(struct span text)
{
	struct jws t;

	if (jws_parse(text, &t)) {
		must(t.sig_n <= JWS_SIG_MAX && t.signed_part.n < text.n);
		must(json_is_object(t.header) && json_is_object(t.payload));
	}
	jws_deinit(&t);
}

static void fuzz_json(struct span text)
{
	json_t *j = jws_json(text);
	struct rtls_verdict *v = NULL;

	if (!j)
		return;
	must(verdict_new(&v) == 0);
	must(ear_claims_state(j, v) != verdict_has_failed(v));
	rtls_verdict_free(v);
	EVP_PKEY_free(jwk_to_key(j));
	json_decref(j);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct rtls_collateral *bag = NULL;
	struct rtls_verdict *v = NULL;
	struct appraisal a = { .body = SPAN(bytes, n),
			       .roots = &roots_production,
			       .now = 1750000000 };

	fuzz_token(a.body);
	fuzz_json(a.body);
	if (n > verifier_ear.evidence_max)
		return 0;
	must(rtls_collateral_new(&bag) == 0 && collateral_seal_plain(bag) == 0);
	must(verdict_new(&v) == 0);
	a.collateral = bag;
	must(verifier_ear.verify(&a, v) == 0 && v->n_checks > 0);
	rtls_verdict_free(v);
	rtls_collateral_free(bag);
	ERR_clear_error();
	return 0;
}
