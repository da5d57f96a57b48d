/*
 * TPM evidence: a CBOR map of byte strings. TPMs have no container of their own for a quote and
 * what it takes to check it, so this one is ours. Keys are texts:
 *
 *   "quote"         TPMS_ATTEST
 *   "signature"     TPMT_SIGNATURE; or the bare number of an RSASSA signature with SHA-256
 *   "pcrs"          the values of the selected PCRs, one after the other, in the quote's order
 *   "ak"            the attestation key: SubjectPublicKeyInfo, DER or PEM
 *   "ak_chain"      its certificate and the ones above, PEM, leaf first
 *   "hcl"           Azure: the report of the paravisor (tpm_hcl.h)
 *   "tee"           Azure, TDX: the quote about the report in "hcl"
 *   "endorsements"  Azure: certificates for the TEE's evidence (VCEK), DER or PEM
 *
 * The first three are required, and "ak" or "ak_chain" or "hcl". Each at most once, others are
 * refused.
 */
#ifndef ENG_RATS_TPM_EVIDENCE_H
#define ENG_RATS_TPM_EVIDENCE_H

#include "base/span.h"

enum { TPM_EVIDENCE_MAX = 128 * 1024 };

struct tpm_evidence { /* empty: absent. Spans point into the bytes that were parsed. */
	struct span quote, signature, pcrs, ak, ak_chain, hcl, tee, endorsements;
};

MUST_USE bool tpm_evidence_parse(struct span bytes, struct tpm_evidence *out);
/* Leaves out what is empty; w->overflow tells that it did not fit. */
void tpm_evidence_write(struct wspan *w, const struct tpm_evidence *e);

#endif
