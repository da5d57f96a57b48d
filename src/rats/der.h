/* DER as a cursor: what certificate extensions need beyond OpenSSL's own types. */
#ifndef ENG_RATS_DER_H
#define ENG_RATS_DER_H

#include <openssl/x509.h>
#include <stdint.h>

#include "base/span.h"

enum der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_OCTETS = 0x04,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8 = 0x0c,
	DER_IA5 = 0x16,
	DER_SEQUENCE = 0x30,
};

/* The contents of the next element, which must have this tag; shortest definite lengths only. */
MUST_USE bool der_take(struct span *s, uint8_t tag, struct span *out);
/* A non-negative INTEGER or ENUMERATED of at most 8 bytes, in its shortest form. */
MUST_USE bool der_uint(struct span *s, uint8_t tag, uint64_t *out);
/* The value (inside the OCTET STRING) of the extension with this OID (contents of its DER). */
MUST_USE bool der_find_extension(X509 *cert, struct span oid, struct span *out);

#endif
