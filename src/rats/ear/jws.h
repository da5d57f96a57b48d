/* A compact JWS (RFC 7515, 7.1): header.payload.signature, taken apart and decoded. */
#ifndef ENG_RATS_EAR_JWS_H
#define ENG_RATS_EAR_JWS_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/span.h"

enum {
	JWS_MAX = 192 * 1024, /* characters: tokens with an event log have 54 KiB */
	JWS_HEADER_MAX = 32 * 1024,
	JWS_SIG_MAX = 1024,
};

struct jws {
	struct span signed_part; /* borrowed: "header.payload" as it stands */
	json_t *header;		 /* owned */
	json_t *payload;	 /* owned */
	uint8_t sig[JWS_SIG_MAX];
	size_t sig_n;
};

/* False: not two JSON objects and a signature, or no memory. jws_deinit() either way. */
MUST_USE bool jws_parse(struct span text, struct jws *out);
void jws_deinit(struct jws *t);
/* Whether the text has the shape of one; cheap. */
bool jws_looks_like(struct span text);

/*
 * JSON as json_parse_strict() takes it, but strings may hold NULs: real tokens quote a kernel's
 * command line with the NUL that ended it. Compare their texts as spans.
 */
json_t *jws_json(struct span text);

/*
 * The algorithm that the header names, if it is a signature that fits this kind of key: an
 * RSA key verifies RS and PS, a key on P-256 only ES256. NULL otherwise: so there is no "none", and
 * no key ever becomes a MAC's secret.
 */
struct jws_alg;
const struct jws_alg *jws_alg_for(const struct jws *t, EVP_PKEY *key);
MUST_USE bool jws_verify(const struct jws *t, const struct jws_alg *alg, EVP_PKEY *key);

#endif
