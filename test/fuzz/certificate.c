/* Certificates with evidence in an extension, in DER or PEM. */
#include "rats.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct rtls_verdict *v = NULL;
	struct evidence e;

	must(verdict_new(&v) == 0);
	if (evidence_find(SPAN(bytes, n), &e, v)) {
		must(!verdict_has_failed(v) && e.body.p != NULL);
		must(!e.is_certificate || e.n_bound > 0 || e.claims_buffer.n == 0);
	} else {
		must(verdict_has_failed(v));
	}
	evidence_deinit(&e);
	rtls_verdict_free(v);
	ERR_clear_error();
	return 0;
}
