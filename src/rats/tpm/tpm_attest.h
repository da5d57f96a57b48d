/*
 * What a TPM 2.0 signs and how it writes it down: the TPMS_ATTEST of a quote and the TPMT_SIGNATURE
 * beside it. TPM 2.0 Library Part 2 (rev 1.59), sections named at the fields. All big-endian.
 */
#ifndef ENG_RATS_TPM_ATTEST_H
#define ENG_RATS_TPM_ATTEST_H

#include "base/span.h"

enum {
	TPM_ATTEST_MAX = 1024, /* bytes: names, nonce and digest are at most 66 each */
	TPM_NAME_MAX = 66,     /* algorithm and SHA-512 */
	TPM_NONCE_MAX = 64,
	TPM_BANKS_MAX = 5,
	TPM_PCRS_MAX = 32,
	TPM_DIGEST_MAX = 64,
	TPM_SIG_INT_MAX = 512, /* RSA-4096 */
};

enum tpm_alg { /* 6.3; the numbers are the TCG's */
	       TPM_ALG_NONE = 0,
	       TPM_ALG_SHA1 = 0x0004,
	       TPM_ALG_SHA256 = 0x000b,
	       TPM_ALG_SHA384 = 0x000c,
	       TPM_ALG_SHA512 = 0x000d,
	       TPM_ALG_RSASSA = 0x0014,
	       TPM_ALG_RSAPSS = 0x0016,
	       TPM_ALG_ECDSA = 0x0018,
};

size_t tpm_hash_size(uint16_t alg);	 /* in bytes; 0 if it is no hash that this knows */
const char *tpm_hash_name(uint16_t alg); /* as OpenSSL names it, "SHA256"; NULL if unknown */

struct tpm_bank {      /* TPMS_PCR_SELECTION, 10.6.2 */
	uint16_t hash; /* a hash that tpm_hash_size() knows */
	uint32_t pcrs; /* bit n: PCR n */
};

/* Spans point into the bytes that were parsed. */
struct tpm_quote { /* TPMS_ATTEST with TPMS_QUOTE_INFO, 10.12.8 and 10.12.1 */
	struct span raw;
	struct span qualified_signer;
	struct span extra_data;
	uint64_t clock_ms;
	uint32_t reset_count;
	uint32_t restart_count;
	bool clock_safe;
	uint64_t firmware_version;
	struct tpm_bank banks[TPM_BANKS_MAX];
	size_t n_banks;
	struct span pcr_digest;
};

/* False unless the bytes are exactly one quote, marked TPM_GENERATED. */
MUST_USE bool tpm_quote_parse(struct span bytes, struct tpm_quote *out);

struct tpm_sig { /* TPMT_SIGNATURE, 11.3.4 */
	uint16_t scheme;
	uint16_t hash;
	struct span rsa;  /* RSASSA and RSAPSS */
	struct span r, s; /* ECDSA */
};

MUST_USE bool tpm_sig_parse(struct span bytes, struct tpm_sig *out);

#endif
