/* The key that an attestation service's token is signed with, and the CA that vouches for it. */
#ifndef ENG_RATS_EAR_KEY_H
#define ENG_RATS_EAR_KEY_H

#include "rats/ear/jws.h"
#include "rats/verifier.h"

/*
 * Finds the key in the header, or by its "kid" in a JWK set of the local collateral. Records
 * FORMAT, BINDING and, with certificates, CHAIN, COLLATERAL and REVOKED; states the claims
 * "key_sha256" and "ca_sha256". The caller frees *out.
 */
bool ear_key_find(const struct appraisal *a, const struct jws *t, struct rtls_verdict *v,
		  EVP_PKEY **out);

#endif
