/*
 * DCAP ECDSA quotes, versions 3, 4 and 5, as spans into the bytes of the file.
 * Intel "SGX ECDSA Quote Library Reference", appendix A; "TDX DCAP Quoting Library API",
 * appendix A.3 (version 4) and the version 5 section.
 */
#ifndef ENG_RATS_DCAP_QUOTE_H
#define ENG_RATS_DCAP_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "rats/claims.h"

enum {
	QUOTE_MAX = 32 * 1024, /* real ones, padding included, are below 8 KiB */
	QUOTE_HEADER = 48,
	SGX_BODY = 384,
	TD10_BODY = 584,
	TD15_BODY = 648,
	TD15EX_BODY = 885,
	TEE_SGX = 0,
	TEE_TDX = 0x81,
	CERT_PCK_CHAIN = 5,
	CERT_QE_REPORT = 6,
};

struct quote {
	uint16_t version, key_type, cert_type; /* cert_type: the inner one in versions 4 and 5 */
	uint32_t tee_type;
	bool is_tdx, is_td15;
	struct span header, body;
	struct span signed_part; /* what the attestation key signs */
	struct span signature, key, qe_report, qe_signature, auth_data, certs;
	size_t n_trailing; /* bytes in the file after the quote */
};

/* NULL on success, else what is wrong (a constant). */
const char *quote_parse(struct span in, struct quote *out);
/* Whether these bytes start like a quote of that TEE type. */
bool quote_looks_like(struct span in, uint32_t tee_type);
/* The fields of header and body. */
void quote_claims(const struct quote *q, struct claims *c);

/* Fields of a body that has been bounded by quote_parse(); offsets as in the specification. */
static inline struct span quote_field(struct span body, size_t at, size_t n)
{
	return SPAN(body.p + at, n);
}

#define REPORT_CPUSVN(b) quote_field((b), 0, 16)
#define REPORT_MISCSELECT(b) quote_field((b), 16, 4)
#define REPORT_ATTRIBUTES(b) quote_field((b), 48, 16)
#define REPORT_MRSIGNER(b) quote_field((b), 128, 32)
#define REPORT_ISVPRODID(b) get_le16((b).p + 256)
#define REPORT_ISVSVN(b) get_le16((b).p + 258)
#define REPORT_DATA(b) quote_field((b), 320, 64)

#define TD_TEE_TCB_SVN(b) quote_field((b), 0, 16)
#define TD_MRSIGNERSEAM(b) quote_field((b), 64, 48)
#define TD_SEAMATTRIBUTES(b) quote_field((b), 112, 8)
#define TD_TEE_TCB_SVN2(b) quote_field((b), 584, 16) /* version 1.5 only */

#endif
