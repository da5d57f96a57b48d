/*
 * The handshake of TLS 1.3, done by OpenSSL: one record in, bytes out, and at its end the secrets
 * from which the record layer goes on.
 */
#ifndef ENG_TLS_HANDSHAKE_H
#define ENG_TLS_HANDSHAKE_H

#include <openssl/ssl.h>

#include "tls/identity.h"
#include "tls/suite.h"

enum {
	/* Bytes that a peer may send until the handshake is done: a certificate with evidence and
	 * endorsements (IDENTITY_EVIDENCE_MAX), and as much room again for the rest. */
	HANDSHAKE_IN_MAX = 96 * 1024,
	HANDSHAKE_CHAIN_MAX = 1,  /* certificates: nobody signs ours, nor those of RA-TLS peers */
	HANDSHAKE_ALPN_MAX = 255, /* RFC 7301 */
	EXPORTER_SIZE = 32,
	WHY_MAX = 160,
};

struct handshake;

/* Indexed by role, minus one. */
struct handshake_result {
	const struct suite *suite;
	uint8_t secret[2][SUITE_SECRET_MAX];
	uint8_t exporter[2][EXPORTER_SIZE];
	uint8_t spki[2][SPKI_DIGEST];
	bool has_certificate[2];
	uint8_t *peer_cert; /* DER; from malloc() */
	size_t n_peer_cert;
	bool has_alpn;	 /* both have agreed on the one of the configuration */
	bool wants_alpn; /* it was not optional, or the peer has chosen another */
	bool has_rest;	 /* the last record has more in it than the handshake */
};

/* NULL: no memory. */
SSL_CTX *handshake_context_new(X509 *cert, EVP_PKEY *key);

/* A client's first bytes are ready at once. config is referred to, its strings too. 0 or -ENOMEM.
 */
int handshake_new(const struct rtls_session_config *config, struct handshake **out);
void handshake_free(struct handshake *h); /* wipes its secrets */

enum {
	HANDSHAKE_E_DONE = 1, /* no further record is the handshake's */
	HANDSHAKE_E_FAILED,   /* an alert is in the output; handshake_why() */
};

/* Whether the 5 bytes can be the head of a record; then its whole length. */
bool handshake_peek(const uint8_t head[5], size_t *out_total);
/* Takes one record. 0 (go on), or HANDSHAKE_E_. */
int handshake_feed(struct handshake *h, struct span record);
/* Ends it with an alert, whatever OpenSSL's is; why is copied. */
void handshake_abort(struct handshake *h, const char *why);
/* What is to be sent, and then it is gone; valid until the next call. */
struct span handshake_output(struct handshake *h);
void handshake_output_done(struct handshake *h);
const char *handshake_why(const struct handshake *h);
/* After HANDSHAKE_E_DONE. 0 or -ENOMEM. The caller frees peer_cert and wipes the rest. */
int handshake_finish(struct handshake *h, struct handshake_result *out);

#endif
