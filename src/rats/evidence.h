/*
 * Evidence as it arrives: a bare quote, report or token, the CBOR envelope
 * tag([evidence, claims-buffer]) of DESIGN section 7, or a certificate that carries one. What it
 * is, is decided by content and never by a file's name.
 */
#ifndef ENG_RATS_EVIDENCE_H
#define ENG_RATS_EVIDENCE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "rats/verdict.h"

/* CBOR tags: 60000 is registered; 0x1a75xx are those of librats and, from 07 on, ours; 0xC0C001 is
 * TNG's. */
enum evidence_tag {
	EVIDENCE_TAG_NONE = 0, /* bare: no envelope */
	EVIDENCE_TAG_INTEL_QUOTE = 60000,
	EVIDENCE_TAG_NULL = 0x1a7500,
	EVIDENCE_TAG_SNP = 0x1a7504,
	EVIDENCE_TAG_CSV = 0x1a7506,
	EVIDENCE_TAG_TPM = 0x1a7507,   /* body: a CBOR map, see tpm/ */
	EVIDENCE_TAG_TOKEN = 0x1a7508, /* body: a compact JWS */
	EVIDENCE_TAG_COCO_TOKEN = 0xC0C001,
};

enum {
	EVIDENCE_MAX =
		256 * 1024, /* whatever the file: the largest (TPM with AK chain) is 40 KiB */
	EVIDENCE_CLAIMS_BUFFER_MAX = 8 * 1024, /* real ones are below 100 bytes */
	REPORT_DATA_SIZE = 64,
};

struct evidence {
	uint64_t tag;		   /* EVIDENCE_TAG_NONE: bare */
	struct span body;	   /* the quote, report, map or token */
	struct span claims_buffer; /* p == NULL: none */
	struct span endorsements;  /* the certificate's 2.23.133.5.4.2, raw; p == NULL: none */
	/*
	 * Report data that the rest of the file demands, any one of n_bound: SHA-256 of the claims
	 * buffer, or of the certificate's key (legacy extensions: as SPKI or as PKCS #1).
	 */
	size_t n_bound;
	uint8_t bound[2][REPORT_DATA_SIZE];
	bool is_certificate;
	int64_t not_before, not_after; /* of the certificate */
	X509 *cert;		       /* owns what the spans of a certificate borrow from */
};

/*
 * Finds the evidence in a file; spans borrow from `file` and from e->cert. Failures are
 * recorded in v: FORMAT, or SIGNATURE and BINDING for a certificate whose signature or key does
 * not fit.
 * Returns whether e is usable; `e` may be deinitialised either way.
 */
bool evidence_find(struct span file, struct evidence *e, struct rtls_verdict *v);
void evidence_deinit(struct evidence *e);

/* The envelope alone. *tag, *body and *claims_buffer are written on success only. */
bool envelope_parse(struct span in, uint64_t *tag, struct span *body, struct span *claims_buffer);
/* Writes tag([body, claims_buffer]); w->overflow tells that it did not fit. */
void envelope_write(struct wspan *w, uint64_t tag, struct span body, struct span claims_buffer);

#endif
