/*
 * What is asked of the TPM, command by command.
 *
 * The attestation key is a primary key of the endorsement hierarchy, made from a fixed template
 * whenever the TPM is opened: a TPM derives the same key from the same template as long as its
 * endorsement seed lives, which TPM2_Clear does not touch. So there is nothing to store, nothing
 * that uses up the few slots for persistent objects, and nothing to lose; what a verifier pins
 * stays valid. The price is the derivation: a fraction of a second for P-256, seconds for RSA on
 * a discrete TPM. Who wants to save that, or has a key that a CA has certified, names its
 * persistent handle.
 *
 * Either way the key must be restricted and made in the TPM: only such a key cannot be made to
 * sign a quote that somebody else has written (Part 1, 31.3).
 *
 * No sessions are used: all that passes between here and the TPM is public, and what a bus could
 * change makes the quote invalid.
 */
#include "rats/attest/attest_tpm_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "base/err.h"

enum {
	SELECT_BYTES = 3,	/* PCRs 0 to 23: what PC client TPMs have */
	READ_COMMANDS_MAX = 16, /* one reads eight values; and some more when values change */
};

/*
 * NODA: the key has no authorisation value to be guessed, and must not be locked with those that
 * have one, as a TPM that loses its power does.
 */
#define AK_ATTRIBUTES                                                                              \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
	 TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |                    \
	 TPMA_OBJECT_SIGN_ENCRYPT)
#define AK_REQUIRED                                                                                \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |         \
	 TPMA_OBJECT_SIGN_ENCRYPT)

/* Never change these: what verifiers have pinned would no longer be there. */
static const TPM2B_PUBLIC template_ecc = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.eccDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_ECDSA,
				    .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
	},
};

static const TPM2B_PUBLIC template_rsa = {
	.publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.rsaDetail = {
			.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme = { .scheme = TPM2_ALG_RSASSA,
				    .details.rsassa.hashAlg = TPM2_ALG_SHA256 },
			.keyBits = 2048,
		},
	},
};

/* Says what a command or the way to the TPM has answered. */
static int refuse(struct attest_error *err, int neg_errno, const char *what, TSS2_RC rc)
{
	return attest_fail(err, rc == TSS2_ESYS_RC_MEMORY ? -ENOMEM : neg_errno, "%s: %s", what,
			   Tss2_RC_Decode(rc));
}

static int create_ak(struct tpm_device *d, const TPM2B_PUBLIC *template, struct attest_error *err)
{
	static const TPM2B_SENSITIVE_CREATE no_auth;
	static const TPM2B_DATA no_info;
	static const TPML_PCR_SELECTION no_pcrs;
	TSS2_RC rc;

	rc = Esys_CreatePrimary(d->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				ESYS_TR_NONE, &no_auth, template, &no_info, &no_pcrs, &d->ak,
				&d->ak_public, NULL, NULL, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return refuse(err, -EIO, "creating the attestation key", rc);
	d->ak_is_transient = true;
	return 0;
}

static int find_ak(struct tpm_device *d, uint32_t handle, struct attest_error *err)
{
	char what[48];
	TSS2_RC rc;

	snprintf(what, sizeof(what), "attestation key at 0x%08" PRIx32, handle);
	rc = Esys_TR_FromTPMPublic(d->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
				   &d->ak);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_ReadPublic(d->esys, d->ak, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
				     &d->ak_public, NULL, NULL);
	return rc == TSS2_RC_SUCCESS ? 0 : refuse(err, -ENOENT, what, rc);
}

int tpm_device_init(struct tpm_device *d, const char *tcti, const struct tpm_ak_spec *ak,
		    struct attest_error *err)
{
	TPMA_OBJECT attributes;
	char what[160];
	TSS2_RC rc;
	int r;

	*d = (struct tpm_device){ .ak = ESYS_TR_NONE };
	snprintf(what, sizeof(what), "no TPM at %.140s", tcti);
	rc = Tss2_TctiLdr_Initialize(tcti, &d->tcti);
	if (rc != TSS2_RC_SUCCESS)
		return refuse(err, -ENODEV, what, rc);
	rc = Esys_Initialize(&d->esys, d->tcti, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return refuse(err, -ENODEV, what, rc);
	r = ak->kind == TPM_AK_HANDLE
		    ? find_ak(d, ak->handle, err)
		    : create_ak(d, ak->kind == TPM_AK_RSA ? &template_rsa : &template_ecc, err);
	if (r < 0)
		return err_pass(r);
	attributes = d->ak_public->publicArea.objectAttributes;
	if ((attributes & AK_REQUIRED) != AK_REQUIRED || attributes & TPMA_OBJECT_DECRYPT)
		return attest_fail(err, -EINVAL,
				   "the key is no attestation key: restricted, made in this TPM");
	return 0;
}

void tpm_device_deinit(struct tpm_device *d)
{
	if (d->esys && d->ak_is_transient)
		Esys_FlushContext(d->esys, d->ak); /* a TPM that is gone has forgotten it */
	Esys_Free(d->ak_public);
	Esys_Finalize(&d->esys);
	Tss2_TctiLdr_Finalize(&d->tcti);
	*d = (struct tpm_device){ .ak = ESYS_TR_NONE };
}

static TPML_PCR_SELECTION selection_of(const struct tpm_bank *bank)
{
	TPML_PCR_SELECTION s = { .count = 1 };

	s.pcrSelections[0].hash = bank->hash;
	s.pcrSelections[0].sizeofSelect = SELECT_BYTES;
	for (size_t i = 0; i < SELECT_BYTES; i++)
		s.pcrSelections[0].pcrSelect[i] = (uint8_t)(bank->pcrs >> 8 * i);
	return s;
}

/* Which PCRs of the bank a TPM says that it has read. */
static uint32_t pcrs_of(const TPML_PCR_SELECTION *s, uint16_t hash)
{
	uint32_t pcrs = 0;

	if (s->count != 1 || s->pcrSelections[0].hash != hash)
		return 0;
	for (size_t i = 0; i < s->pcrSelections[0].sizeofSelect && i < SELECT_BYTES; i++)
		pcrs |= (uint32_t)s->pcrSelections[0].pcrSelect[i] << 8 * i;
	return pcrs;
}

struct reading {
	const struct tpm_bank *bank;
	uint32_t left;	  /* PCRs that are not read yet */
	uint32_t counter; /* how often PCRs had changed at the first command */
	bool has_counter;
};

/* One command's values: the lowest PCRs that are left. Returns whether the answer makes sense. */
static bool add_values(struct reading *r, const TPML_PCR_SELECTION *read, const TPML_DIGEST *values,
		       struct wspan *out)
{
	const uint32_t got = pcrs_of(read, r->bank->hash);
	const size_t size = tpm_hash_size(r->bank->hash);

	if (got == 0 || got & ~r->left || values->count != (uint32_t)__builtin_popcount(got))
		return false;
	for (uint32_t i = 0; i < values->count && i < ARRAY_LEN(values->digests); i++) {
		if (values->digests[i].size != size)
			return false;
		wspan_put(out, values->digests[i].buffer, size);
	}
	/* in ascending order: none is left below one that was read */
	r->left &= ~got;
	return (got & -(r->left & -r->left)) == 0;
}

static int read_some(struct tpm_device *d, struct reading *r, struct wspan *out,
		     struct attest_error *err)
{
	TPML_PCR_SELECTION *read = NULL, want = selection_of(&(struct tpm_bank){
						 .hash = r->bank->hash, .pcrs = r->left });
	TPML_DIGEST *values = NULL;
	uint32_t counter = 0;
	bool ok;
	TSS2_RC rc;

	rc = Esys_PCR_Read(d->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &want, &counter,
			   &read, &values);
	if (rc != TSS2_RC_SUCCESS)
		return refuse(err, -EIO, "reading PCRs", rc);
	if (r->has_counter && counter != r->counter) { /* begin again */
		r->left = r->bank->pcrs;
		r->has_counter = false;
		out->n = 0;
		ok = true;
	} else {
		r->counter = counter;
		r->has_counter = true;
		ok = add_values(r, read, values, out);
	}
	Esys_Free(read);
	Esys_Free(values);
	if (!ok)
		return attest_fail(err, -ENOTSUP, "the TPM has not all of those PCRs in bank %s",
				   tpm_hash_name(r->bank->hash));
	return 0;
}

int tpm_device_read_pcrs(struct tpm_device *d, const struct tpm_bank *bank, struct wspan *out,
			 struct attest_error *err)
{
	struct reading r = { .bank = bank, .left = bank->pcrs };

	out->n = 0;
	for (int i = 0; i < READ_COMMANDS_MAX && r.left; i++) {
		int e = read_some(d, &r, out, err);

		if (e < 0)
			return err_pass(e);
	}
	if (r.left)
		return attest_fail(err, -EBUSY, "PCRs change faster than they can be read");
	return 0;
}

/* "Structure is the wrong size", of whichever parameter: Part 2, 6.6.3. */
static bool is_size_error(TSS2_RC rc)
{
	return (rc & TSS2_RC_LAYER_MASK) == 0 && rc & TPM2_RC_FMT1 &&
	       ((rc & 0x3f) | TPM2_RC_FMT1) == TPM2_RC_SIZE;
}

static int write_quote(const TPM2B_ATTEST *quoted, const TPMT_SIGNATURE *signature,
		       struct wspan *out_quote, struct wspan *out_signature,
		       struct attest_error *err)
{
	size_t n = 0;
	TSS2_RC rc;

	wspan_put(out_quote, quoted->attestationData, quoted->size);
	rc = Tss2_MU_TPMT_SIGNATURE_Marshal(signature, out_signature->p, out_signature->size, &n);
	if (rc != TSS2_RC_SUCCESS || out_quote->overflow)
		return attest_fail(err, -EMSGSIZE, "the quote is too large");
	out_signature->n = n;
	return 0;
}

int tpm_device_quote(struct tpm_device *d, const struct tpm_bank *bank, struct span nonce,
		     struct wspan *out_quote, struct wspan *out_signature, struct attest_error *err)
{
	static const TPMT_SIG_SCHEME scheme_of_key = { .scheme = TPM2_ALG_NULL };
	const TPML_PCR_SELECTION selection = selection_of(bank);
	TPM2B_DATA data = { .size = (uint16_t)nonce.n };
	TPMT_SIGNATURE *signature = NULL;
	TPM2B_ATTEST *quoted = NULL;
	TSS2_RC rc;
	int r;

	if (nonce.n > sizeof(data.buffer))
		return err_new(-EINVAL);
	if (nonce.n > 0)
		memcpy(data.buffer, nonce.p, nonce.n);
	rc = Esys_Quote(d->esys, d->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data,
			&scheme_of_key, &selection, &quoted, &signature);
	if (is_size_error(rc))
		return TPM_DEVICE_E_NONCE;
	if (rc != TSS2_RC_SUCCESS)
		return refuse(err, -EIO, "quote", rc);
	out_quote->n = 0;
	out_signature->n = 0;
	r = write_quote(quoted, signature, out_quote, out_signature, err);
	Esys_Free(quoted);
	Esys_Free(signature);
	return err_pass(r);
}
