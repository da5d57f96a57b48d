/*
 * How 64 bytes of report data go into the nonce of a quote ("extra data").
 *
 * A TPM takes nonces as long as its longest hash and two bytes: 66 with SHA-512, but 50 with
 * SHA-384 and 34 with SHA-256, as many discrete ones have. So:
 *
 *   bytes 32 to 63 are zero:	the first 32 bytes as they are
 *   the TPM takes 64 bytes:	the 64 bytes as they are
 *   else			SHA-256("ENG-tpm-nonce-v1" || the 64 bytes)
 *
 * The verifier accepts what the nonce says, padded with zeros; and a nonce of 32 bytes that is
 * the digest of what it expects. The label keeps the digest apart from other hashes that report
 * data may be, so that no evidence speaks for two things.
 */
#ifndef ENG_RATS_TPM_TPM_NONCE_H
#define ENG_RATS_TPM_TPM_NONCE_H

#include "rats/evidence.h"

enum { TPM_NONCE_SHORT = 32 };

/* Whether the first half says everything. */
bool tpm_nonce_is_short(const uint8_t report_data[REPORT_DATA_SIZE]);
MUST_USE bool tpm_nonce_digest(const uint8_t report_data[REPORT_DATA_SIZE],
			       uint8_t out[TPM_NONCE_SHORT]);

#endif
