/*
 * AES-GCM by intel-ipsec-mb, which makes use of vector AES where the CPU has it, as OpenSSL 3.0
 * does not. Its direct functions are called, in pieces, so that scattered plaintext needs no
 * gathering; the multi-buffer manager, after which the library is named, holds nothing here but the
 * table of functions for this CPU: read-only, one for the process.
 *
 * The functions check no tag: they compute it. It is compared here.
 */
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "tls/aead.h"

enum { KEY_ALIGN = 64 /* that of struct gcm_key_data */ };

struct gcm_key {
	_Alignas(KEY_ALIGN) struct gcm_key_data data; /* pads the whole to a multiple, too */
	struct gcm_context_data ctx;
	aes_gcm_pre_t pre;
	aes_gcm_init_t init;
	aes_gcm_enc_dec_update_t update;
	aes_gcm_enc_dec_finalize_t finalize;
};

static IMB_MGR *manager; /* NULL: not on this machine */

static void make_manager(void)
{
	const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
	IMB_MGR *m = alloc_mb_mgr(0);

	if (!m)
		return;
	init_mb_mgr_auto(m, NULL);
	/* What it does without those is slower than EVP, and reads tables at secret places. */
	if (imb_get_errno(m) == 0 && (m->features & needed) == needed)
		manager = m;
	else
		free_mb_mgr(m);
}

static bool gcm_has(enum aead_alg alg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (alg != AEAD_AES_128_GCM && alg != AEAD_AES_256_GCM)
		return false;
	(void)pthread_once(&once, make_manager);
	return manager != NULL;
}

static void *gcm_key_new(enum aead_alg alg, bool seals)
{
	/* The size has to be a multiple of the alignment (C11, 7.22.3.1). */
	const size_t size = (sizeof(struct gcm_key) + KEY_ALIGN - 1) / KEY_ALIGN * KEY_ALIGN;
	struct gcm_key *k = aligned_alloc(KEY_ALIGN, size);
	const IMB_MGR *m = manager;

	if (!k)
		return NULL;
	if (alg == AEAD_AES_128_GCM) {
		k->pre = m->gcm128_pre;
		k->init = m->gcm128_init;
		k->update = seals ? m->gcm128_enc_update : m->gcm128_dec_update;
		k->finalize = seals ? m->gcm128_enc_finalize : m->gcm128_dec_finalize;
	} else {
		k->pre = m->gcm256_pre;
		k->init = m->gcm256_init;
		k->update = seals ? m->gcm256_enc_update : m->gcm256_dec_update;
		k->finalize = seals ? m->gcm256_enc_finalize : m->gcm256_dec_finalize;
	}
	return k;
}

static bool gcm_key_set(void *key, const uint8_t *bytes)
{
	struct gcm_key *k = key;

	k->pre(bytes, &k->data);
	return true;
}

static void gcm_key_free(void *key)
{
	if (key)
		OPENSSL_cleanse(key, sizeof(struct gcm_key));
	free(key);
}

static bool gcm_seal(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad,
		     struct iov_cursor *in, size_t n, uint8_t type, uint8_t *out)
{
	struct gcm_key *k = key;

	k->init(&k->data, &k->ctx, nonce, aad.p, aad.n);
	while (n > 0) {
		struct span run = iov_cursor_next(in, n);

		if (run.n == 0)
			return false;
		k->update(&k->data, &k->ctx, out, run.p, run.n);
		out += run.n;
		n -= run.n;
	}
	k->update(&k->data, &k->ctx, out, &type, 1);
	k->finalize(&k->data, &k->ctx, out + 1, AEAD_TAG);
	return true;
}

static bool gcm_open(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad, struct span in,
		     uint8_t *out, uint8_t *last)
{
	struct gcm_key *k = key;
	const size_t n = in.n - AEAD_TAG;
	uint8_t tag[AEAD_TAG];

	k->init(&k->data, &k->ctx, nonce, aad.p, aad.n);
	if (n > 1)
		k->update(&k->data, &k->ctx, out, in.p, n - 1);
	k->update(&k->data, &k->ctx, last, in.p + n - 1, 1);
	k->finalize(&k->data, &k->ctx, tag, sizeof(tag));
	if (CRYPTO_memcmp(tag, in.p + n, sizeof(tag)) == 0)
		return true;
	OPENSSL_cleanse(out, n - 1);
	*last = 0;
	return false;
}

const struct aead_backend aead_ipsec_mb = {
	.name = "ipsec-mb",
	.has = gcm_has,
	.key_new = gcm_key_new,
	.key_set = gcm_key_set,
	.key_free = gcm_key_free,
	.seal = gcm_seal,
	.open = gcm_open,
};
