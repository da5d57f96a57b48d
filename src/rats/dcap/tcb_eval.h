/*
 * TCB level evaluation as Intel specifies it (PCS API v4 "TCB Info V3"; the 4.1.2.4.x numbers in
 * the comments are those of the specification of Intel's quote verification library).
 */
#ifndef ENG_RATS_DCAP_TCB_EVAL_H
#define ENG_RATS_DCAP_TCB_EVAL_H

#include "rats/dcap/pck.h"
#include "rats/dcap/quote.h"
#include "rats/dcap/tcb_info.h"
#include "rats/verdict.h"

enum tcb_overall { /* enum tcb_status, then what only evaluation yields */
		   TCB_RELAUNCH = TCB_N_STATUS,
		   TCB_RELAUNCH_CONFIGURATION,
};

/*
 * Checks the QE against its identity and, for TDX, the module against the TCB info (IDENTITY),
 * evaluates all levels, states the claims tcb_status, tcb_level_status, qe_status,
 * tdx_module_status, tcb_date, advisory; records TCB failures for what no policy can allow: no
 * level that matches. Returns whether all checks passed.
 */
bool tcb_evaluate(const struct quote *q, const struct pck *pck, const struct tcb_info *t,
		  const struct qe_identity *qe, struct rtls_verdict *v);

#endif
