/*
 * The certificates behind a CSV report: HRK (Hygon's root, pinned) - HSK - CEK (one chip) - PEK (in
 * the report). HSK and CEK come after the report, from the peer or from the local collateral.
 */
#ifndef ENG_RATS_CSV_CHAIN_H
#define ENG_RATS_CSV_CHAIN_H

#include "rats/csv/csv_report.h"
#include "rats/verifier.h"

/*
 * Records CHAIN checks. On success *out_pek is the report's PEK, pointing into r, and out_cek the
 * SHA-256 of the CEK's coordinates, by which a chip is known.
 */
bool csv_chain_verify(const struct appraisal *a, const struct csv_report *r, struct span tail,
		      struct rtls_verdict *v, struct csv_cert *out_pek, uint8_t out_cek[32]);

#endif
