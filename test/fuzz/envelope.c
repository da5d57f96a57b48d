/* The CBOR envelope: what was parsed is written back as the same bytes. */
#include "fuzz.h"

#include "rats/cborin.h"
#include "rats/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span in = SPAN(bytes, n), body, claims, rest = in;
	uint8_t *out = malloc(n + 1);
	struct wspan w = WSPAN(out, n + 1);
	uint64_t tag;

	must(out != NULL);
	if (envelope_parse(in, &tag, &body, &claims)) {
		envelope_write(&w, tag, body, claims);
		must(!w.overflow && w.n == n && memcmp(out, bytes, n) == 0);
	}
	if (cbor_skip(&rest))
		must(rest.n < n);
	free(out);
	return 0;
}
