/* The attestation key of TPM evidence, and the CA that vouches for it if there is one. */
#ifndef ENG_RATS_TPM_AK_H
#define ENG_RATS_TPM_AK_H

#include "rats/tpm/tpm_evidence.h"
#include "rats/verifier.h"

/*
 * The key in "ak", or of the first certificate in "ak_chain"; both must agree. Records FORMAT and
 * BINDING; with a chain also CHAIN, COLLATERAL and REVOKED, and states the claim "ca_sha256", the
 * key of its root. Claims "ak_sha256". The caller frees *out. `vouched` is a key that something
 * else vouches for and must be the same; or NULL.
 */
bool tpm_ak_find(const struct appraisal *a, const struct tpm_evidence *e, EVP_PKEY *vouched,
		 struct rtls_verdict *v, EVP_PKEY **out);

#endif
