/*
 * Claims: what evidence says about its TEE, as an ordered list of (name, kind, value).
 *
 * Names and values are copied, the number and the bytes are bounded. Adding never fails visibly:
 * like a wspan, the list remembers that something did not fit or that memory ran out, and
 * claims_error() is asked once, at the end. A name may occur several times ("advisory"); the
 * values then form a list.
 */
#ifndef ENG_RATS_CLAIMS_H
#define ENG_RATS_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/span.h"
#include "rats_tls.h"

enum {
	CLAIMS_MAX = 256,	      /* items: 24 PCRs, 60 fields of a TDX quote, 100 advisories */
	CLAIMS_BYTES_MAX = 64 * 1024, /* names and values: a token's claims are the longest */
};

struct claim {
	const char *name;
	enum rtls_claim_kind kind;
	struct span bytes; /* BYTES; TEXT (n without the NUL that follows it) */
	uint64_t num;	   /* UINT; BOOL */
};

struct claims;

int claims_new(struct claims **out);
void claims_free(struct claims *c);
DEFINE_FREEP(struct claims *, claims_free)

void claims_add_bytes(struct claims *c, const char *name, struct span value);
void claims_add_text(struct claims *c, const char *name, const char *value);
void claims_add_text_n(struct claims *c, const char *name, struct span value);
void claims_add_uint(struct claims *c, const char *name, uint64_t value);
void claims_add_bool(struct claims *c, const char *name, bool value);
int claims_error(const struct claims *c); /* 0, -ENOMEM or -E2BIG: something is missing */

size_t claims_count(const struct claims *c);
/* NULL from the end on. Borrowed: lives as long as c and until the next add. */
const struct claim *claims_at(const struct claims *c, size_t i);
const struct claim *claims_find(const struct claims *c, const char *name); /* the first one */

struct json_t;
/* {"name": value, ...}; bytes in lower-case hex; a repeated name becomes an array. */
int claims_to_json(const struct claims *c, struct json_t **out);

#endif
