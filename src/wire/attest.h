/*
 * The frames by which the two sides of a rats-tls hop prove what they are (docs/wire.md 4.6
 * to 4.8): CHALLENGE asks, EVIDENCE answers, ACCEPT says that the answer is good enough. The form
 * is that of control frames (control.h); what the evidence says is not judged here.
 */
#ifndef ENG_WIRE_ATTEST_H
#define ENG_WIRE_ATTEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/frame.h"

enum {
	ATTEST_NONCE = 32,	/* bytes: nobody guesses it, so no evidence is made ahead of it */
	ATTEST_PART_MAX = 60000 /* bytes of evidence, and of endorsements */
};

struct attest_challenge {
	uint8_t nonce[ATTEST_NONCE];
};

struct attest_evidence {
	uint8_t nonce[ATTEST_NONCE]; /* of the challenge that it answers */
	struct span evidence;	     /* 1 to ATTEST_PART_MAX bytes */
	struct span endorsements;    /* 0 to ATTEST_PART_MAX bytes */
};

/* Whole bodies, type byte included. 0 or CONTROL_E_MALFORMED; output on 0 only. */
MUST_USE int attest_parse_challenge(struct span body, struct attest_challenge *out);
MUST_USE int attest_parse_evidence(struct span body, struct attest_evidence *out); /* borrows */
MUST_USE int attest_parse_accept(struct span body);

/* Whole frames into buf, as in control.h. EVIDENCE wants FRAME_HEAD + FRAME_MAX bytes of room. */
MUST_USE int attest_put_challenge(const struct attest_challenge *c, uint8_t *buf, size_t size,
				  size_t *out_n);
MUST_USE int attest_put_evidence(const struct attest_evidence *e, uint8_t *buf, size_t size,
				 size_t *out_n);
MUST_USE int attest_put_accept(uint8_t *buf, size_t size, size_t *out_n);

#endif
