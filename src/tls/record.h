/*
 * The record layer of TLS 1.3 (RFC 8446 5) after the handshake: one `half` for each direction.
 * Only application traffic keys, so every record is encrypted. No I/O and no memory of its own but
 * the key of its AEAD.
 */
#ifndef ENG_TLS_RECORD_H
#define ENG_TLS_RECORD_H

#include "base/cleanup.h"
#include "rats_tls.h"
#include "tls/suite.h"

enum {
	RECORD_HEAD = 5,
	RECORD_INNER_MAX = RTLS_RECORD_MAX + 1,	       /* RFC 8446 5.4: with type and padding */
	RECORD_BODY_MAX = RECORD_INNER_MAX + AEAD_TAG, /* of what our three AEADs can make of it */
	RECORD_ANY_MAX = RTLS_RECORD_MAX + 256,	       /* RFC 8446 5.2: of any record */
	/*
	 * Records under one key. AES-GCM may seal 2^24.5 full records (RFC 8446 5.5); we renew
	 * ours, and ask the peer for a new one, at half of 2^24, and take none past 2^24.
	 */
	RECORD_KEY_SOFT = 1 << 23,
	RECORD_KEY_MAX = 1 << 24,
};

_Static_assert(RTLS_RECORD_OVERHEAD == RECORD_HEAD + 1 + AEAD_TAG, "as the header says");

enum content_type {
	CONTENT_CHANGE_CIPHER_SPEC = 20,
	CONTENT_ALERT = 21,
	CONTENT_HANDSHAKE = 22,
	CONTENT_DATA = 23,
};

enum alert { /* RFC 8446 6; all but the first two end a session */
	     ALERT_CLOSE_NOTIFY = 0,
	     ALERT_USER_CANCELED = 90,
	     ALERT_UNEXPECTED_MESSAGE = 10,
	     ALERT_BAD_RECORD_MAC = 20,
	     ALERT_RECORD_OVERFLOW = 22,
	     ALERT_ILLEGAL_PARAMETER = 47,
	     ALERT_ACCESS_DENIED = 49,
	     ALERT_DECODE_ERROR = 50,
	     ALERT_INTERNAL_ERROR = 80,
	     ALERT_NO_APPLICATION_PROTOCOL = 120,
};

struct half {
	const struct suite *suite;
	const struct aead_backend *backend;
	void *key; /* the backend's; NULL: there is none (any more), nothing passes */
	uint64_t seq;
	uint8_t iv[AEAD_NONCE];
	uint8_t secret[SUITE_SECRET_MAX];
};

/* seals: this half is ours. 0 or -ENOMEM. h may be deinitialised either way. */
int half_init(struct half *h, const struct suite *suite, const struct aead_backend *backend,
	      bool seals, const uint8_t *secret);
void half_deinit(struct half *h); /* wipes */
int half_update(struct half *h);  /* the next key (RFC 8446 7.2); 0 or -ENOMEM */

/*
 * Seals the next n <= RTLS_RECORD_MAX bytes of `in` into RTLS_RECORD_OVERHEAD + n bytes at out.
 * 0, or -EPROTO if the half has no key or its key is used up.
 */
MUST_USE int half_seal(struct half *h, struct iov_cursor *in, size_t n, enum content_type type,
		       uint8_t *out);

/* What the head of a record says: 0 and the whole record's length, or the alert that it earns. */
MUST_USE int record_peek(const uint8_t head[RECORD_HEAD], size_t *out_total);
/* Room that half_open() needs for a record of that length. */
static inline size_t record_room(size_t total)
{
	return total - RECORD_HEAD - AEAD_TAG - 1;
}

/*
 * Opens a whole record, as record_peek() has measured it, into its content at out, which has room
 * for record_room() bytes or (out_size) more. 0, or the alert that it earns; then out is wiped.
 */
MUST_USE int half_open(struct half *h, struct span record, uint8_t *out, size_t out_size,
		       size_t *out_n, uint8_t *out_type);

#endif
