/*
 * Sealing and opening records; see record.h. A record is authenticated as a whole, with its number
 * in the nonce: one that was changed, left out, repeated or moved does not open, and one that does
 * not open ends the session.
 */
#include "tls/record.h"

#include <errno.h>
#include <openssl/crypto.h>

#include "base/err.h"

/* RFC 8446 7.3 */
static bool load_key(struct half *h)
{
	uint8_t key[AEAD_KEY_MAX];
	bool ok;

	ok = suite_expand(h->suite, h->secret, "key", key, h->suite->n_key) &&
	     suite_expand(h->suite, h->secret, "iv", h->iv, sizeof(h->iv)) &&
	     h->backend->key_set(h->key, key);
	OPENSSL_cleanse(key, sizeof(key));
	h->seq = 0;
	return ok;
}

int half_init(struct half *h, const struct suite *suite, const struct aead_backend *backend,
	      bool seals, const uint8_t *secret)
{
	*h = (struct half){ .suite = suite, .backend = backend };
	memcpy(h->secret, secret, suite->n_secret);
	h->key = backend->key_new(suite->alg, seals);
	if (h->key && load_key(h))
		return 0;
	half_deinit(h);
	return err_new(-ENOMEM);
}

void half_deinit(struct half *h)
{
	if (h->backend)
		h->backend->key_free(h->key);
	OPENSSL_cleanse(h, sizeof(*h));
}

int half_update(struct half *h)
{
	uint8_t next[SUITE_SECRET_MAX];
	bool ok;

	ok = h->key && suite_expand(h->suite, h->secret, "traffic upd", next, h->suite->n_secret);
	if (ok) {
		memcpy(h->secret, next, h->suite->n_secret);
		ok = load_key(h);
	}
	OPENSSL_cleanse(next, sizeof(next));
	if (ok)
		return 0;
	half_deinit(h); /* rather no key than an old one */
	return err_new(-ENOMEM);
}

/* RFC 8446 5.3 */
static void make_nonce(const struct half *h, uint8_t nonce[AEAD_NONCE])
{
	memcpy(nonce, h->iv, AEAD_NONCE);
	for (unsigned i = 0; i < 8; i++)
		nonce[AEAD_NONCE - 1 - i] ^= (uint8_t)(h->seq >> 8 * i);
}

int half_seal(struct half *h, struct iov_cursor *in, size_t n, enum content_type type, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE];

	if (!h->key || h->seq >= RECORD_KEY_MAX)
		return err_new(-EPROTO);
	out[0] = CONTENT_DATA;
	put_be16(out + 1, 0x0303);
	put_be16(out + 3, (uint16_t)(n + 1 + AEAD_TAG));
	make_nonce(h, nonce);
	h->seq++;
	if (!h->backend->seal(h->key, nonce, SPAN(out, RECORD_HEAD), in, n, (uint8_t)type,
			      out + RECORD_HEAD))
		return err_new(-EPROTO);
	return 0;
}

/* The version is not looked at (RFC 8446 5.1), but it is authenticated. */
int record_peek(const uint8_t head[RECORD_HEAD], size_t *out_total)
{
	const size_t n = get_be16(head + 3);

	if (head[0] != CONTENT_DATA)
		return ALERT_UNEXPECTED_MESSAGE;
	if (n > RECORD_BODY_MAX)
		return ALERT_RECORD_OVERFLOW;
	if (n < 1 + AEAD_TAG)
		return ALERT_BAD_RECORD_MAC; /* no type: nothing that was sealed is so short */
	*out_total = RECORD_HEAD + n;
	return 0;
}

int half_open(struct half *h, struct span record, uint8_t *out, size_t out_size, size_t *out_n,
	      uint8_t *out_type)
{
	uint8_t nonce[AEAD_NONCE], spare, *last = &spare;
	size_t n = record_room(record.n);

	if (!h->key || h->seq >= RECORD_KEY_MAX || n > out_size)
		return ALERT_INTERNAL_ERROR;
	if (n < out_size)
		last = out + n;
	make_nonce(h, nonce);
	h->seq++;
	if (!h->backend->open(h->key, nonce, SPAN(record.p, RECORD_HEAD),
			      SPAN(record.p + RECORD_HEAD, record.n - RECORD_HEAD), out, last))
		return ALERT_BAD_RECORD_MAC;
	*out_type = *last;
	while (*out_type == 0 && n > 0) /* padding (RFC 8446 5.4) */
		*out_type = out[--n];
	if (*out_type == 0)
		return ALERT_UNEXPECTED_MESSAGE;
	*out_n = n;
	return 0;
}
