/* Hygon's report, its certificates as they come in files, and the verifier. */
#include "rats.h"

#include "rats/csv/csv_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span all = SPAN(bytes, n), rest = all;
	static struct csv_report r;
	struct csv_cert cert;
	struct csv_ca ca;

	if (csv_report_take(&rest, &r)) {
		must(r.version == 1 || r.version == 2);
		must(rest.n < n && rest.p + rest.n == bytes + n);
	} else {
		must(rest.n == n);
	}
	if (csv_ca_parse(all, &ca))
		must(ca.key.uid.n <= CSV_UID_MAX && ca.signed_part.n == 576);
	if (csv_cert_parse(all, &cert))
		must(cert.key.uid.n <= CSV_UID_MAX && cert.signed_part.n == 1044);
	fuzz_verifier(&verifier_csv, all, all);
	return 0;
}
