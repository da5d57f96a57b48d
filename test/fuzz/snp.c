/* SNP reports with a certificate table, the extensions of their certificates, and the verifier. */
#include "rats.h"

#include "rats/snp/snp_cert.h"

static void must_lie_in(struct span part, struct span whole)
{
	must(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span all = SPAN(bytes, n);
	struct snp_report r;
	struct snp_table t;
	struct snp_cert c;
	const char *why;
	X509 *x;

	if (snp_report_parse(all, &r)) {
		must_lie_in(r.chip_id, all);
		must_lie_in(r.sig_s, all);
		must(r.signed_part.n == SNP_REPORT_SIGNED && r.chip_id.n == SNP_CHIP_ID_SIZE);
	}
	if (snp_table_parse(all, &t)) {
		must_lie_in(t.vcek, all);
		must_lie_in(t.ark, all);
	}
	x = x509_from_der(all);
	if (x && !snp_cert_parse(x, &c, &why))
		must(why != NULL);
	X509_free(x);
	fuzz_verifier(&verifier_snp, all, all);
	return 0;
}
