/* What the fuzz targets of evidence share: a verifier run over bytes, and what must hold then. */
#ifndef ENG_TEST_FUZZ_RATS_H
#define ENG_TEST_FUZZ_RATS_H

#include "fuzz.h"

#include <openssl/err.h>

#include "rats/verifier.h"

/*
 * Runs it over the body, with `item` as collateral. The roots are the real ones and nothing here
 * is signed under them: whatever the bytes are, a check must have failed.
 */
static inline void fuzz_verifier(const struct verifier *vf, struct span body, struct span item)
{
	struct rtls_collateral *bag = NULL;
	struct rtls_verdict *v = NULL;
	struct appraisal a = { .body = body,
			       .rules = { .crl_if_present = true },
			       .roots = &roots_production,
			       .now = 1750000000 };

	must(rtls_collateral_new(&bag) == 0 && verdict_new(&v) == 0);
	(void)rtls_collateral_add(bag, item.p, item.n);
	must(collateral_seal_plain(bag) == 0);
	a.collateral = bag;
	if (body.n <= vf->evidence_max) {
		must(vf->verify(&a, v) == 0);
		must(verdict_has_failed(v));
		must(v->why[0] != '\0');
		(void)vf->detect(body);
	}
	rtls_verdict_free(v);
	rtls_collateral_free(bag);
	ERR_clear_error();
}

#endif
