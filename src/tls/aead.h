/*
 * AEAD as the record layer uses it: one table per implementation, chosen once per session.
 *
 * The plaintext to be sealed lies scattered in the caller's buffers and goes from there straight
 * into the record; opened plaintext goes from the record straight to where the caller wants it.
 */
#ifndef ENG_TLS_AEAD_H
#define ENG_TLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

enum {
	AEAD_NONCE = 12,
	AEAD_TAG = 16,
	AEAD_KEY_MAX = 32,
};

enum aead_alg { AEAD_NONE = 0, AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305 };

/* Where reading in a list of buffers has come to. */
struct iov_cursor {
	const struct iovec *iov;
	int n_iov;
	size_t skip; /* bytes of iov[0] that are done */
};

/* The next run, of 1 to max bytes, and past it; empty at the end. */
struct span iov_cursor_next(struct iov_cursor *c, size_t max);
size_t iov_cursor_left(const struct iov_cursor *c);

struct aead_backend {
	const char *name;
	bool (*has)(enum aead_alg alg); /* on this machine */
	/* A key for one direction; it is used only after key_set(). NULL: no memory. */
	void *(*key_new)(enum aead_alg alg, bool seals);
	bool (*key_set)(void *key, const uint8_t *bytes);
	void (*key_free)(void *key); /* wipes it; takes NULL */
	/*
	 * The next n bytes of `in` (which has that many) and then the byte `type`, encrypted:
	 * n + 1 + AEAD_TAG bytes at out.
	 */
	bool (*seal)(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad,
		     struct iov_cursor *in, size_t n, uint8_t type, uint8_t *out);
	/*
	 * in: ciphertext of at least one byte, and tag. All bytes but the last one go to out, that
	 * one to *last, which may be the place behind them. False: the tag is wrong; then what
	 * stands at out must not be used, and is wiped.
	 */
	bool (*open)(void *key, const uint8_t nonce[AEAD_NONCE], struct span aad, struct span in,
		     uint8_t *out, uint8_t *last);
};

extern const struct aead_backend aead_evp;
extern const struct aead_backend aead_ipsec_mb; /* has() nothing where it is not built in */

/* By name, NULL meaning the fastest, for alg; NULL: that is not here. */
const struct aead_backend *aead_find(const char *name, enum aead_alg alg);
/* Whether a backend of that name works here at all, for any algorithm. */
bool aead_is_here(const char *name);

#endif
