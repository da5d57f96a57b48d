/* TDX quotes of versions 4 and 5, and the verifier over them. */
#include "rats.h"

#include "rats/dcap/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span all = SPAN(bytes, n);
	struct quote q;

	if (!quote_parse(all, &q) && q.is_tdx) {
		must(q.version >= 4 && q.body.n >= TD10_BODY);
		must(!q.is_td15 || q.body.n >= TD15_BODY);
	}
	fuzz_verifier(&verifier_tdx, all, all);
	return 0;
}
