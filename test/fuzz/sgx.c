/* SGX quotes, and the verifier over them. */
#include "rats.h"

#include "rats/dcap/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span all = SPAN(bytes, n);
	struct quote q;

	if (!quote_parse(all, &q)) {
		must(q.signed_part.p == bytes && q.body.n >= SGX_BODY && q.qe_report.n == SGX_BODY);
		must(q.certs.p + q.certs.n + q.n_trailing == bytes + n); /* all is accounted for */
	}
	fuzz_verifier(&verifier_sgx, all, all);
	return 0;
}
