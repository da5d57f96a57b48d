/*
 * A TPM 2.0 with an attestation key in it, through tpm2-tss. Blocks as long as the TPM does.
 */
#ifndef ENG_RATS_ATTEST_ATTEST_TPM_DEVICE_H
#define ENG_RATS_ATTEST_ATTEST_TPM_DEVICE_H

#include <tss2/tss2_esys.h>

#include "rats/attest/attest.h"
#include "rats/tpm/tpm_attest.h"

enum tpm_ak_kind { TPM_AK_ECC, TPM_AK_RSA, TPM_AK_HANDLE };

struct tpm_ak_spec { /* which key */
	enum tpm_ak_kind kind;
	uint32_t handle; /* TPM_AK_HANDLE: of a persistent object */
};

enum {
	TPM_SIGNATURE_MAX = 1024, /* bytes of TPMT_SIGNATURE; RSA-4096 takes 518 */
	TPM_VALUES_MAX = TPM_PCRS_MAX * TPM_DIGEST_MAX,
	TPM_HANDLE_FIRST = 0x81000000, /* of persistent objects: Part 2, 7.2 */
	TPM_HANDLE_COUNT = 0x01000000,
};

struct tpm_device {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR ak;
	bool ak_is_transient;
	TPM2B_PUBLIC *ak_public;
};

/*
 * Connects, and creates or finds the key. 0; -ENODEV: no TPM answers there; -EINVAL: the key is
 * not one that attests; or another -errno. Says why. *d may be deinitialised either way.
 */
int tpm_device_init(struct tpm_device *d, const char *tcti, const struct tpm_ak_spec *ak,
		    struct attest_error *err);
void tpm_device_deinit(struct tpm_device *d); /* twice is harmless */

/*
 * The values of one bank, in ascending order, as one read saw them or several did between which
 * none changed. -ENOTSUP: the TPM does not have them all.
 */
int tpm_device_read_pcrs(struct tpm_device *d, const struct tpm_bank *bank, struct wspan *out,
			 struct attest_error *err);

enum { TPM_DEVICE_E_NONCE = 1 };

/*
 * Writes a TPMS_ATTEST and its TPMT_SIGNATURE. TPM_DEVICE_E_NONCE: the nonce is longer than this
 * TPM takes.
 */
int tpm_device_quote(struct tpm_device *d, const struct tpm_bank *bank, struct span nonce,
		     struct wspan *out_quote, struct wspan *out_signature,
		     struct attest_error *err);

/* The key as DER SubjectPublicKeyInfo, to be freed with OPENSSL_free(); 0 bytes on failure. */
size_t tpm_public_to_spki(const TPM2B_PUBLIC *key, uint8_t **out);

#endif
