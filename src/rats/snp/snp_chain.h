/*
 * The certificates behind a report: found among what came with it, what the peer sent along, the
 * local collateral and AMD's own (snp_amd_certs.c), and checked up to the pinned root.
 */
#ifndef ENG_RATS_SNP_CHAIN_H
#define ENG_RATS_SNP_CHAIN_H

#include "rats/snp/snp_cert.h"
#include "rats/verifier.h"

/*
 * Records CHAIN, COLLATERAL, REVOKED, FORMAT and PLATFORM checks. On success *out_key is the
 * report's verification key (the caller frees it) and *out_cert what its certificate says.
 */
bool snp_chain_verify(const struct appraisal *a, const struct snp_report *r, struct span table,
		      struct rtls_verdict *v, EVP_PKEY **out_key, struct snp_cert *out_cert);

#endif
