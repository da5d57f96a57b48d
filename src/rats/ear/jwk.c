/*
 * JWK to EVP_PKEY. "x" and "y" must have the length of the field (RFC 7518, 6.2.1.2); but an
 * attestation service is known that drops leading zeros, so that shorter ones are padded. The
 * point is on the curve or the key is refused: OpenSSL checks that.
 */
#include "rats/ear/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <stdio.h>

#include "rats/json.h"
#include "rats/text.h"

enum { RSA_BYTES_MIN = 256, RSA_BYTES_MAX = 1024, RSA_E_BYTES_MAX = 8, FIELD_BYTES_MAX = 66 };

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool get_bytes(const json_t *jwk, const char *name, uint8_t *out, size_t size, size_t *out_n)
{
	struct span text;

	return json_text(jwk, name, &text) && base64_parse(text, out, size, out_n);
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
	uint8_t n[RSA_BYTES_MAX], e[RSA_E_BYTES_MAX];
	size_t n_n, n_e;
	BIGNUM *bn, *be;
	OSSL_PARAM_BLD *build;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key;

	if (!get_bytes(jwk, "n", n, sizeof(n), &n_n) || !get_bytes(jwk, "e", e, sizeof(e), &n_e))
		return NULL;
	bn = BN_bin2bn(n, (int)n_n, NULL);
	be = BN_bin2bn(e, (int)n_e, NULL);
	build = OSSL_PARAM_BLD_new();
	if (bn && be && build && BN_num_bytes(bn) >= RSA_BYTES_MIN && BN_is_odd(be) &&
	    !BN_is_one(be) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	key = from_params("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(be);
	BN_free(bn);
	return key;
}

static bool get_coordinate(const json_t *jwk, const char *name, uint8_t *out, size_t size)
{
	uint8_t v[FIELD_BYTES_MAX];
	size_t n;

	if (!get_bytes(jwk, name, v, size, &n) || n == 0)
		return false;
	memset(out, 0, size - n);
	memcpy(out + size - n, v, n);
	return true;
}

static EVP_PKEY *ec_key_on(const json_t *jwk, const char *curve, size_t size)
{
	uint8_t point[1 + 2 * FIELD_BYTES_MAX] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[8];
	OSSL_PARAM params[3];

	if (!get_coordinate(jwk, "x", point + 1, size) ||
	    !get_coordinate(jwk, "y", point + 1 + size, size))
		return NULL;
	snprintf(group, sizeof(group), "%s", curve);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size);
	params[2] = OSSL_PARAM_construct_end();
	return from_params("EC", params);
}

static EVP_PKEY *ec_key(const json_t *jwk)
{
	static const struct {
		const char *name; /* the same for JOSE and OpenSSL */
		size_t size;
	} curves[] = { { "P-256", 32 }, { "P-384", 48 }, { "P-521", 66 } };
	struct span crv;

	if (!json_text(jwk, "crv", &crv))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (span_equal(crv, SPAN(curves[i].name, strlen(curves[i].name))))
			return ec_key_on(jwk, curves[i].name, curves[i].size);
	return NULL;
}

EVP_PKEY *jwk_to_key(const json_t *jwk)
{
	struct span kty;

	if (!json_text(jwk, "kty", &kty))
		return NULL;
	if (span_equal(kty, SPAN("RSA", 3)))
		return rsa_key(jwk);
	if (span_equal(kty, SPAN("EC", 2)))
		return ec_key(jwk);
	return NULL;
}
