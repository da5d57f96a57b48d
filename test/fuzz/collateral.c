/* Collateral of any kind: Intel's JSON, certificates, CRLs, bundles. */
#include "rats.h"

#include "rats/dcap/tcb_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct rtls_collateral *c = NULL;
	struct bag_doc d = { 0 };
	size_t docs = 0;

	if (bag_doc_parse(SPAN(bytes, n), &d) == 0) {
		must((d.tcb != NULL) != (d.qe != NULL));
		must(d.tcb ? d.tcb->n_levels > 0 : d.qe->n_levels > 0);
		tcb_info_free(d.tcb);
		qe_identity_free(d.qe);
	}
	must(rtls_collateral_new(&c) == 0);
	(void)rtls_collateral_add(c, bytes, n);
	must(collateral_seal_plain(c) == 0);
	while (collateral_doc(c, docs))
		docs++;
	must(docs <= COLLATERAL_ITEMS_MAX && collateral_n_certs(c) <= COLLATERAL_ITEMS_MAX);
	rtls_collateral_free(c);
	ERR_clear_error();
	return 0;
}
