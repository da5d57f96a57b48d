/*
 * Choosing Intel's documents for a quote out of the bag, and believing them: signed by a "TCB
 * Signing" certificate under the pinned root, in time, and that certificate not revoked.
 */
#ifndef ENG_RATS_DCAP_ENDORSE_H
#define ENG_RATS_DCAP_ENDORSE_H

#include "rats/dcap/pck.h"
#include "rats/dcap/tcb_info.h"
#include "rats/verifier.h"

struct endorsed {
	const struct tcb_info *tcb;
	const struct qe_identity *qe;
};

/* Records its checks; false: one failed. The results live as long as the collateral. */
bool endorse_find(const struct appraisal *a, const struct pck *pck, bool is_tdx,
		  struct endorsed *out, struct rtls_verdict *v);

#endif
