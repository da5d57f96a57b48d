/*
 * An SM2 signature also covers the signer's identity (GB/T 32918.2, 5.5): without the right one it
 * does not verify. Hygon's signers use the uid that stands in their own certificate.
 */
#include "rats/csv/csv_sm2.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static EVP_PKEY *make_key(const struct csv_key *key)
{
	uint8_t point[1 + 2 * CSV_INT_USED] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[] = "SM2";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "SM2", NULL);
	EVP_PKEY *made = NULL;

	memcpy(point + 1, key->x, CSV_INT_USED);
	memcpy(point + 1 + CSV_INT_USED, key->y, CSV_INT_USED);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, params) != 1)
		made = NULL;
	EVP_PKEY_CTX_free(ctx);
	return made;
}

static uint8_t *sig_to_der(const struct csv_sig *sig, int *out_n)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *br = BN_bin2bn(sig->r, CSV_INT_USED, NULL);
	BIGNUM *bs = BN_bin2bn(sig->s, CSV_INT_USED, NULL);
	uint8_t *der = NULL;

	if (s && br && bs && ECDSA_SIG_set0(s, br, bs) == 1) {
		br = bs = NULL; /* now s's */
		*out_n = i2d_ECDSA_SIG(s, &der);
	}
	BN_free(br);
	BN_free(bs);
	ECDSA_SIG_free(s);
	return der;
}

bool csv_sm2_verify(const struct csv_key *key, struct span msg, const struct csv_sig *sig)
{
	EVP_PKEY *pkey = make_key(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* ctx's */
	bool ok = false;
	int n = 0;
	uint8_t *der = sig_to_der(sig, &n);

	if (pkey && ctx && der && n > 0 &&
	    EVP_DigestVerifyInit(ctx, &pctx, EVP_sm3(), NULL, pkey) == 1 &&
	    EVP_PKEY_CTX_set1_id(pctx, key->uid.p, (int)key->uid.n) == 1)
		ok = EVP_DigestVerify(ctx, der, (size_t)n, msg.p, msg.n) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

bool csv_sm3_hmac_equal(struct span key, struct span msg, struct span mac)
{
	uint8_t got[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return HMAC(EVP_sm3(), key.p, (int)key.n, msg.p, msg.n, got, &n) && n == mac.n &&
	       CRYPTO_memcmp(got, mac.p, n) == 0;
}
