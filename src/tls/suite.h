/* The three cipher suites of TLS 1.3 that are spoken, and their key schedule. */
#ifndef ENG_TLS_SUITE_H
#define ENG_TLS_SUITE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/aead.h"

enum { SUITE_SECRET_MAX = 48 /* SHA-384 */ };

struct suite {
	uint16_t id; /* RFC 8446 B.4 */
	const char *name;
	enum aead_alg alg;
	size_t n_key, n_secret;
	const EVP_MD *(*md)(void);
};

/* For SSL_CTX_set_ciphersuites(): AES-128 first, it is the fastest and enough. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

const struct suite *suite_find(uint16_t id); /* NULL: none of ours */
/* HKDF-Expand-Label(secret, label, "", n) of RFC 8446 7.1; n at most a hash. False: no memory. */
bool suite_expand(const struct suite *s, const uint8_t *secret, const char *label, uint8_t *out,
		  size_t n);

#endif
