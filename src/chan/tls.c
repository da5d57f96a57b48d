/*
 * A channel over TLS: librats_tls encrypts and decrypts (rats_session(3)), the channel moves bytes.
 *
 *   socket ─► sealed_in ─ feed ─► rxbuf or stash ─► frames          (one buffer each per process)
 *   frames ─ seal ─► sealed_out ─► socket ─► what it does not take: `pending` of the channel
 *
 * Nothing is copied on the way but by the cipher itself: it decrypts to where rx.h wants the bytes,
 * and encrypts from where the frames lie. When the handshake is done nobody is trusted yet:
 * attestation.c goes on.
 */
#include "chan/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "io/stream.h"

static const char alpn[] = "eng/1";

static int make_buffers(struct chan_loop *l)
{
	if (!l->sealed_in)
		l->sealed_in = malloc(CHAN_SEAL_BUF);
	if (!l->sealed_out)
		l->sealed_out = malloc(CHAN_SEAL_BUF);
	return l->sealed_in && l->sealed_out ? 0 : err_new(-ENOMEM);
}

int tls_start(struct chan *c)
{
	struct rtls_session_config cfg = { .size = sizeof(cfg),
					   .role = c->dialled ? RTLS_CLIENT : RTLS_SERVER,
					   .identity = c->cfg.trust->identity,
					   .alpn = alpn,
					   .cipher_backend = c->cfg.trust->cipher_backend,
					   .untrusted_max = CHAN_UNTRUSTED_MAX };
	int r;

	if (c->cfg.compat) { /* the original's: it negotiates no protocol, and not all have keys */
		cfg.alpn = c->dialled ? NULL : alpn;
		cfg.alpn_optional = true;
		cfg.peer_certificate_optional = true;
	}
	r = make_buffers(c->loop);
	if (r == 0)
		r = rtls_session_new(&cfg, &c->tls);
	if (r == 0)
		r = attestation_new(c);
	return r;
}

static void fail(struct chan *c)
{
	chan_close_detail(c, CHAN_R_HANDSHAKE, rtls_session_why(c->tls));
}

bool tls_talk(struct chan *c)
{
	size_t n;

	while (c->fd >= 0 && !c->pending && rtls_session_has_output(c->tls)) {
		if (rtls_session_drain(c->tls, c->loop->sealed_out, CHAN_SEAL_BUF, &n) != 0)
			return true; /* nothing that could be said */
		if (n == 0)
			return true;
		if (!chan_send_sealed(c, c->loop->sealed_out, n))
			return false;
	}
	return c->state != CHAN_CLOSED;
}

bool tls_send(struct chan *c, const struct iovec *iov, int n_iov, size_t *out_taken)
{
	size_t taken, n;
	int r;

	*out_taken = 0;
	while (!c->pending) {
		r = rtls_session_seal(c->tls, iov, n_iov, *out_taken, c->loop->sealed_out,
				      CHAN_SEAL_BUF, &taken, &n);
		if (r < 0) {
			fail(c);
			return false;
		}
		if (n == 0)
			break;
		*out_taken += taken;
		if (!chan_send_sealed(c, c->loop->sealed_out, n))
			return false;
	}
	return true;
}

void tls_farewell(struct chan *c, struct span frame)
{
	struct iovec iov = { (void *)(uintptr_t)frame.p, frame.n };
	size_t taken, n = 0, sent, at = 0;

	if (c->pending)
		return; /* it would come in the middle of a record */
	if (frame.n > 0 && rtls_session_seal(c->tls, &iov, 1, 0, c->loop->sealed_out, CHAN_SEAL_BUF,
					     &taken, &n) == 0)
		at = n;
	rtls_session_close(c->tls);
	if (rtls_session_drain(c->tls, c->loop->sealed_out + at, CHAN_SEAL_BUF - at, &n) == 0)
		at += n;
	iov = (struct iovec){ c->loop->sealed_out, at };
	if (at > 0 && stream_sendv(c->fd, &iov, 1, &sent) < 0)
		return; /* it will see the connection close */
}

/* The keys are there. Who speaks v0 has negotiated nothing; everybody else introduces itself. */
static void on_handshake_done(struct chan *c)
{
	if (c->cfg.compat && rtls_session_alpn(c->tls)[0] == '\0') {
		chan_step(c, CHAN_EV_HELLO);
		if (c->state == CHAN_APPRAISING)
			attestation_certificate(c);
		return;
	}
	if (c->dialled) {
		chan_say_hello(c);
		attestation_challenge(c);
	}
}

/* False: the peer has said its last word, or the session has failed. */
static bool take_events(struct chan *c, bool *out_failed)
{
	for (;;) {
		switch (rtls_session_next_event(c->tls)) {
		case RTLS_EVENT_NONE:
			return true;
		case RTLS_EVENT_HANDSHAKE_DONE:
			on_handshake_done(c);
			break;
		case RTLS_EVENT_CLOSED:
			return false;
		case RTLS_EVENT_FAILED:
			*out_failed = true;
			return false;
		}
		if (c->state == CHAN_CLOSED)
			return false;
	}
}

/* Decrypts once and hands on what came out; *at moves on. */
static bool take_some(struct chan *c, uint8_t **at, size_t *n)
{
	uint8_t *buf = c->loop->rxbuf + RX_HEADROOM, *room;
	size_t size, used = 0, got = 0;
	bool failed = false, more;
	struct rx_batch batch;
	int r;

	room = rx_room(&c->rx, buf, CHAN_RX_BUF, RTLS_RECORD_MAX, &size);
	r = rtls_session_feed(c->tls, *at, *n, &used, room, size, &got);
	*at += used;
	*n -= used;
	if (!tls_talk(c))
		return false;
	more = take_events(c, &failed);
	if (c->state == CHAN_CLOSED)
		return false;
	if (got > 0) {
		rx_filled(&c->rx, buf, room, got, &batch);
		if (!chan_take_batch(c, &batch))
			return false;
	}
	if (failed || r < 0) {
		(void)tls_talk(c); /* the alert */
		fail(c);
		return false;
	}
	if (!more) {
		chan_close(c, CHAN_R_EOF);
		return false;
	}
	return used > 0 || got > 0;
}

void tls_received(struct chan *c, size_t n)
{
	uint8_t *at = c->loop->sealed_in;

	while (n > 0)
		if (!take_some(c, &at, &n))
			return;
	(void)tls_talk(c);
}
