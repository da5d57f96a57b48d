/* Public keys in JSON (RFC 7517, 7518 section 6): RSA, and EC on P-256, P-384 and P-521. */
#ifndef ENG_RATS_EAR_JWK_H
#define ENG_RATS_EAR_JWK_H

#include <jansson.h>
#include <openssl/evp.h>

/* NULL: of another kind, malformed, weaker than RSA-2048, or no memory. The caller frees it. */
EVP_PKEY *jwk_to_key(const json_t *jwk);

#endif
