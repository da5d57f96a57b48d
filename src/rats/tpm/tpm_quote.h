/* The part that every kind of TPM evidence shares: the quote, under a key that is given. */
#ifndef ENG_RATS_TPM_QUOTE_H
#define ENG_RATS_TPM_QUOTE_H

#include "rats/tpm/tpm_attest.h"
#include "rats/tpm/tpm_evidence.h"
#include "rats/verifier.h"

/* Records FORMAT; states the claims of the quote and, when their number fits, of the PCRs. */
bool tpm_quote_decode(const struct tpm_evidence *e, struct tpm_quote *q, struct rtls_verdict *v);

/* Records SIGNATURE and BINDING: the quote is by this key, and about these PCR values. */
bool tpm_quote_verify(const struct tpm_evidence *e, const struct tpm_quote *q, EVP_PKEY *ak,
		      struct rtls_verdict *v);

#endif
