/*
 * The public part of a TPM's key as everybody else writes it: SubjectPublicKeyInfo. The numbers
 * come from the TPM; that they are a key at all, OpenSSL checks.
 */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "rats/attest/attest_tpm_device.h"
#include "rats/x509.h"

enum { RSA_EXPONENT_DEFAULT = 65537 /* written as 0: Part 2, 12.2.3.5 */ };

static EVP_PKEY *make(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *rsa_key(const TPM2B_PUBLIC_KEY_RSA *modulus, uint32_t e)
{
	BIGNUM *n = BN_bin2bn(modulus->buffer, modulus->size, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key;

	if (n && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_uint32(build, OSSL_PKEY_PARAM_RSA_E,
				       e ? e : RSA_EXPONENT_DEFAULT) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	key = make("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	return key;
}

/* Zeros that a TPM leaves out in front are put back. */
static bool put_coordinate(struct wspan *w, const TPM2B_ECC_PARAMETER *c, size_t size)
{
	static const uint8_t zeros[EVP_MAX_MD_SIZE];

	if (c->size > size)
		return false;
	wspan_put(w, zeros, size - c->size);
	wspan_put(w, c->buffer, c->size);
	return true;
}

static EVP_PKEY *ec_key(TPM2_ECC_CURVE curve, const TPMS_ECC_POINT *point)
{
	const bool is_p384 = curve == TPM2_ECC_NIST_P384;
	const size_t size = is_p384 ? 48 : 32;
	uint8_t bytes[1 + 2 * 48];
	struct wspan w = WSPAN(bytes, sizeof(bytes));
	char group[8];
	OSSL_PARAM params[3];

	if (!is_p384 && curve != TPM2_ECC_NIST_P256)
		return NULL;
	wspan_u8(&w, POINT_CONVERSION_UNCOMPRESSED);
	if (!put_coordinate(&w, &point->x, size) || !put_coordinate(&w, &point->y, size))
		return NULL;
	memcpy(group, is_p384 ? "P-384" : "P-256", 6);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, w.n);
	params[2] = OSSL_PARAM_construct_end();
	return make("EC", params);
}

size_t tpm_public_to_spki(const TPM2B_PUBLIC *public, uint8_t **out)
{
	const TPMT_PUBLIC *p = &public->publicArea;
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;
	int n;

	if (p->type == TPM2_ALG_RSA)
		key = rsa_key(&p->unique.rsa, p->parameters.rsaDetail.exponent);
	if (p->type == TPM2_ALG_ECC)
		key = ec_key(p->parameters.eccDetail.curveID, &p->unique.ecc);
	if (!key)
		return 0;
	*out = NULL;
	n = i2d_PUBKEY(key, out);
	return n > 0 ? (size_t)n : 0;
}
