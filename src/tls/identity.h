/* What a session sees of an identity. */
#ifndef ENG_TLS_IDENTITY_H
#define ENG_TLS_IDENTITY_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "base/span.h"
#include "rats_tls.h"

enum {
	SPKI_DIGEST = 48, /* SHA-384 */
	/* Of evidence and endorsements in a certificate: it must fit into a handshake. */
	IDENTITY_EVIDENCE_MAX = 64 * 1024,
};

struct rtls_identity {
	EVP_PKEY *key;
	SSL_CTX *tls; /* with key and certificate; for both roles */
	uint8_t spki[SPKI_DIGEST];
	uint8_t claims[64]; /* the claims buffer */
	size_t n_claims;
};

/* SHA-384 of the key as DER SubjectPublicKeyInfo. False: no memory. */
bool spki_digest(EVP_PKEY *key, uint8_t out[SPKI_DIGEST]);

#endif
