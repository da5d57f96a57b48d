/*
 * Sessions: what is between the handshake (handshake.c), the record layer (record.c) and the
 * caller, who moves the bytes and decides about the peer. It has four states, and goes forward
 * only:
 *
 *   HANDSHAKE -> UNDECIDED -> TRUSTED
 *        \-----------\-----------\---> FAILED, which is 0 and final
 *
 * When the handshake is done OpenSSL's objects are freed; what stays of a session that is idle are
 * two AEAD keys, the peer's certificate and some hundred bytes.
 */
#include "tls/session.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

static bool config_is_sane(const struct rtls_session_config *c)
{
	return c && c->size >= sizeof(*c) && (c->role == RTLS_CLIENT || c->role == RTLS_SERVER) &&
	       (!c->alpn || (c->alpn[0] && strlen(c->alpn) <= HANDSHAKE_ALPN_MAX));
}

/* The name of a backend is turned into the table's: nothing of the caller's is kept. NULL: no
 * memory. */
static struct rtls_session *session_alloc(const struct rtls_session_config *config)
{
	struct rtls_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->state = SESSION_HANDSHAKE;
	s->config = *config;
	if (config->cipher_backend)
		s->config.cipher_backend =
			aead_find(config->cipher_backend, AEAD_AES_128_GCM)->name;
	if (!config->alpn)
		return s;
	s->config.alpn = s->alpn = strdup(config->alpn);
	if (s->alpn)
		return s;
	rtls_session_free(s);
	return NULL;
}

int rtls_session_new(const struct rtls_session_config *config, struct rtls_session **out)
{
	struct rtls_session *s;
	int r;

	if (!out || !config_is_sane(config) || !config->identity)
		return err_new(-EINVAL);
	if (config->cipher_backend && !aead_is_here(config->cipher_backend))
		return -ENOTSUP;
	s = session_alloc(config);
	if (!s)
		return err_new(-ENOMEM);
	r = handshake_new(&s->config, &s->handshake);
	if (r == 0)
		r = session_take_flight(s);
	if (r < 0) {
		rtls_session_free(s);
		return err_pass(r);
	}
	*out = s;
	return 0;
}

int session_new_established(const struct rtls_session_config *config,
			    const struct handshake_result *result, struct rtls_session **out)
{
	struct rtls_session *s;
	int r;

	if (!config_is_sane(config) ||
	    (config->cipher_backend && !aead_is_here(config->cipher_backend)))
		return err_new(-EINVAL);
	s = session_alloc(config);
	if (!s)
		return err_new(-ENOMEM);
	r = session_start(s, result);
	if (r < 0) {
		rtls_session_free(s);
		return err_pass(r);
	}
	*out = s;
	return 0;
}

void rtls_session_free(struct rtls_session *s)
{
	if (!s)
		return;
	half_deinit(&s->tx);
	half_deinit(&s->rx);
	handshake_free(s->handshake);
	free(s->alpn);
	free(s->stash);
	free(s->flight);
	free(s->peer_cert);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

/* Another suite than AES-GCM is what only EVP has: then a backend that was named gives way. */
static const struct aead_backend *choose_backend(const struct rtls_session *s, enum aead_alg alg)
{
	const struct aead_backend *b = aead_find(s->config.cipher_backend, alg);

	return b ? b : aead_find(NULL, alg);
}

static int start_halves(struct rtls_session *s, const struct handshake_result *r)
{
	const struct aead_backend *b = choose_backend(s, r->suite->alg);
	const size_t own = s->config.role - 1;
	int error;

	if (!b)
		return err_new(-ENOTSUP);
	error = half_init(&s->tx, r->suite, b, true, r->secret[own]);
	if (error < 0)
		return err_pass(error);
	snprintf(s->cipher, sizeof(s->cipher), "%s %s", r->suite->name, b->name);
	return half_init(&s->rx, r->suite, b, false, r->secret[1 - own]);
}

int session_start(struct rtls_session *s, const struct handshake_result *r)
{
	int error;

	memcpy(s->exporter, r->exporter, sizeof(s->exporter));
	memcpy(s->spki, r->spki, sizeof(s->spki));
	memcpy(s->has_certificate, r->has_certificate, sizeof(s->has_certificate));
	s->peer_cert = r->peer_cert;
	s->n_peer_cert = r->n_peer_cert;
	s->has_alpn = r->has_alpn;
	s->has_result = true;
	error = start_halves(s, r);
	if (error < 0) {
		(void)session_drop(s, "out of memory for the keys");
		return err_pass(error);
	}
	s->state = SESSION_UNDECIDED;
	if (r->has_rest)
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "a message behind the handshake");
	if (r->wants_alpn && !r->has_alpn)
		return session_fail(s, ALERT_NO_APPLICATION_PROTOCOL, "the peer does not speak %s",
				    s->config.alpn);
	s->has_event[RTLS_EVENT_HANDSHAKE_DONE] = true;
	return 0;
}

enum rtls_event rtls_session_next_event(struct rtls_session *s)
{
	if (!s)
		return RTLS_EVENT_NONE;
	for (int e = RTLS_EVENT_HANDSHAKE_DONE; e <= RTLS_EVENT_FAILED; e++)
		if (s->has_event[e]) {
			s->has_event[e] = false;
			return (enum rtls_event)e;
		}
	return RTLS_EVENT_NONE;
}

void rtls_session_decide(struct rtls_session *s, enum rtls_result result)
{
	if (!s)
		return;
	if (s->state == SESSION_HANDSHAKE)
		(void)session_fail(s, ALERT_ACCESS_DENIED, "decided before the handshake was done");
	else if (result != RTLS_TRUSTED)
		(void)session_fail(s, ALERT_ACCESS_DENIED, "the peer is not trusted");
	else if (s->state == SESSION_UNDECIDED)
		s->state = SESSION_TRUSTED;
}

const char *rtls_session_why(const struct rtls_session *s)
{
	return s ? s->why : "";
}

const char *rtls_session_alpn(const struct rtls_session *s)
{
	return s && s->has_alpn ? s->alpn : "";
}

const char *rtls_session_cipher(const struct rtls_session *s)
{
	return s ? s->cipher : "";
}

const void *rtls_session_peer_certificate(const struct rtls_session *s, size_t *out_n)
{
	if (!s || !out_n)
		return NULL;
	*out_n = s->n_peer_cert;
	return s->peer_cert;
}

int rtls_session_report_data(const struct rtls_session *s, enum rtls_role of, const void *nonce,
			     size_t n, uint8_t out[64])
{
	static const char prefix[] = "ENG-attest-v1";
	uint8_t bytes[sizeof(prefix) + 1 + EXPORTER_SIZE + SPKI_DIGEST + RTLS_SESSION_NONCE_MAX];
	struct wspan w = WSPAN(bytes, sizeof(bytes));

	if (!s || !out || (of != RTLS_CLIENT && of != RTLS_SERVER) || (n > 0 && !nonce) ||
	    n > RTLS_SESSION_NONCE_MAX)
		return err_new(-EINVAL);
	if (!s->has_result)
		return -EAGAIN;
	if (!s->has_certificate[of - 1])
		return -ENOENT;
	wspan_put(&w, prefix, strlen(prefix));
	wspan_u8(&w, (uint8_t)of);
	wspan_put(&w, s->exporter[of - 1], EXPORTER_SIZE);
	wspan_put(&w, s->spki[of - 1], SPKI_DIGEST);
	wspan_put(&w, nonce, n);
	if (w.overflow || EVP_Digest(bytes, w.n, out, NULL, EVP_sha512(), NULL) != 1)
		return err_new(-ENOMEM);
	return 0;
}
