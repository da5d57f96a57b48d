/* Cipher suites and HKDF-Expand-Label; see suite.h. */
#include "tls/suite.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/span.h"

static const struct suite suites[] = {
	{ 0x1301, "TLS_AES_128_GCM_SHA256", AEAD_AES_128_GCM, 16, 32, EVP_sha256 },
	{ 0x1302, "TLS_AES_256_GCM_SHA384", AEAD_AES_256_GCM, 32, 48, EVP_sha384 },
	{ 0x1303, "TLS_CHACHA20_POLY1305_SHA256", AEAD_CHACHA20_POLY1305, 32, 32, EVP_sha256 },
};

const struct suite *suite_find(uint16_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(suites); i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

/* Nothing that is expanded here is longer than a hash, so that HKDF is its first block (RFC 5869
 * 2.3). */
bool suite_expand(const struct suite *s, const uint8_t *secret, const char *label, uint8_t *out,
		  size_t n)
{
	static const char prefix[] = "tls13 ";
	uint8_t info[64], block[EVP_MAX_MD_SIZE];
	struct wspan w = WSPAN(info, sizeof(info));
	unsigned n_block = 0;
	bool ok;

	wspan_be16(&w, (uint16_t)n);
	wspan_u8(&w, (uint8_t)(strlen(prefix) + strlen(label)));
	wspan_put(&w, prefix, strlen(prefix));
	wspan_put(&w, label, strlen(label));
	wspan_u8(&w, 0); /* no context */
	wspan_u8(&w, 1); /* HKDF's counter */
	ok = !w.overflow &&
	     HMAC(s->md(), secret, (int)s->n_secret, info, w.n, block, &n_block) != NULL &&
	     n <= n_block;
	if (ok)
		memcpy(out, block, n);
	OPENSSL_cleanse(block, sizeof(block));
	return ok;
}
