/* AEAD by OpenSSL's EVP: works everywhere, for all three suites. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "tls/aead.h"

static const EVP_CIPHER *cipher_of(enum aead_alg alg)
{
	switch (alg) {
	case AEAD_AES_128_GCM:
		return EVP_aes_128_gcm();
	case AEAD_AES_256_GCM:
		return EVP_aes_256_gcm();
	case AEAD_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case AEAD_NONE:
		break;
	}
	return NULL;
}

static bool evp_has(enum aead_alg alg)
{
	return cipher_of(alg) != NULL;
}

static void evp_key_free(void *key)
{
	EVP_CIPHER_CTX_free(key); /* which wipes */
}

static void *evp_key_new(enum aead_alg alg, bool seals)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_CipherInit_ex(ctx, cipher_of(alg), NULL, NULL, NULL, seals) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static bool evp_key_set(void *key, const uint8_t *bytes)
{
	return EVP_CipherInit_ex(key, NULL, NULL, bytes, NULL, -1) == 1;
}

static bool evp_start(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, struct span aad)
{
	int n;

	return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1;
}

/* All three are stream ciphers: as many bytes come out as went in. */
static bool evp_update(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, size_t n)
{
	int n_out;

	return EVP_CipherUpdate(ctx, out, &n_out, in, (int)n) == 1 && n_out == (int)n;
}

static bool evp_seal(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad,
		     struct iov_cursor *in, size_t n, uint8_t type, uint8_t *out)
{
	uint8_t none[AEAD_TAG];
	int n_none;

	if (!evp_start(key, nonce, aad))
		return false;
	while (n > 0) {
		struct span run = iov_cursor_next(in, n);

		if (run.n == 0 || !evp_update(key, out, run.p, run.n))
			return false;
		out += run.n;
		n -= run.n;
	}
	return evp_update(key, out, &type, 1) && EVP_CipherFinal_ex(key, none, &n_none) == 1 &&
	       EVP_CIPHER_CTX_ctrl(key, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + 1) == 1;
}

static bool evp_open(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad, struct span in,
		     uint8_t *out, uint8_t *last)
{
	const size_t n = in.n - AEAD_TAG;
	uint8_t tag[AEAD_TAG], none[AEAD_TAG];
	int n_none;

	memcpy(tag, in.p + n, sizeof(tag)); /* the call below wants it writable */
	if (evp_start(key, nonce, aad) && (n == 1 || evp_update(key, out, in.p, n - 1)) &&
	    evp_update(key, last, in.p + n - 1, 1) &&
	    EVP_CIPHER_CTX_ctrl(key, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) == 1 &&
	    EVP_CipherFinal_ex(key, none, &n_none) == 1)
		return true;
	OPENSSL_cleanse(out, n - 1);
	*last = 0;
	return false;
}

const struct aead_backend aead_evp = {
	.name = "evp",
	.has = evp_has,
	.key_new = evp_key_new,
	.key_set = evp_key_set,
	.key_free = evp_key_free,
	.seal = evp_seal,
	.open = evp_open,
};
