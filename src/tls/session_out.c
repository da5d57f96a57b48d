/*
 * What a session says: the bytes of the handshake, then alerts and KeyUpdates of its own, and
 * between them the caller's plaintext, always in the order in which it was sealed.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "tls/session.h"

enum {
	KEY_UPDATE = 24, /* RFC 8446 4.6.3 */
	ALERT_WARNING = 1,
	ALERT_FATAL = 2,
};

static int say(struct rtls_session *s, enum content_type type, const uint8_t *bytes, size_t n)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct iov_cursor in = { .iov = &iov, .n_iov = 1 };
	int r;

	if (s->n_says + n + RTLS_RECORD_OVERHEAD > sizeof(s->says))
		return err_new(-EPROTO); /* there is one of each at most: it fits */
	r = half_seal(&s->tx, &in, n, type, s->says + s->n_says);
	if (r < 0)
		return err_pass(r);
	s->n_says += n + RTLS_RECORD_OVERHEAD;
	return 0;
}

static int say_alert(struct rtls_session *s, enum alert alert)
{
	const uint8_t body[2] = { alert == ALERT_CLOSE_NOTIFY ? ALERT_WARNING : ALERT_FATAL,
				  (uint8_t)alert };

	return say(s, CONTENT_ALERT, body, sizeof(body));
}

int session_drop(struct rtls_session *s, const char *why)
{
	if (s->state == SESSION_FAILED)
		return -EPROTO;
	s->state = SESSION_FAILED;
	snprintf(s->why, sizeof(s->why), "%s", why);
	s->has_event[RTLS_EVENT_FAILED] = true;
	half_deinit(&s->tx);
	half_deinit(&s->rx);
	handshake_free(TAKE(s->handshake));
	free(TAKE(s->stash));
	s->n_stash = 0;
	return -EPROTO;
}

int session_fail(struct rtls_session *s, enum alert alert, const char *fmt, ...)
{
	char why[WHY_MAX];
	va_list args;

	if (s->state == SESSION_FAILED)
		return -EPROTO;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	if (s->handshake) {
		handshake_abort(s->handshake, why);
		(void)session_take_flight(s);
	} else if (!s->tx_closed) {
		(void)say_alert(s, alert); /* the session ends whether or not that works */
	}
	return session_drop(s, why);
}

int session_update_key(struct rtls_session *s, bool asks)
{
	const uint8_t message[5] = { KEY_UPDATE, 0, 0, 1, asks };
	int r;

	if (s->says_update || s->tx_closed)
		return 0; /* the peer will see one */
	r = say(s, CONTENT_HANDSHAKE, message, sizeof(message));
	if (r == 0)
		r = half_update(&s->tx);
	if (r < 0) {
		(void)session_drop(s, "out of memory for a new key");
		return err_pass(r);
	}
	s->says_update = true;
	s->asked = s->asked || asks;
	return 0;
}

int session_take_flight(struct rtls_session *s)
{
	const struct span more = handshake_output(s->handshake);
	uint8_t *p;

	if (more.n == 0)
		return 0;
	p = realloc(s->flight, s->n_flight + more.n);
	if (!p)
		return err_new(-ENOMEM);
	s->flight = p;
	memcpy(p + s->n_flight, more.p, more.n);
	s->n_flight += more.n;
	handshake_output_done(s->handshake);
	return 0;
}

/* Moves from q[at..n) to out; returns how many bytes. */
static size_t move(uint8_t *out, size_t size, const uint8_t *q, size_t n, size_t *at)
{
	const size_t take = n - *at < size ? n - *at : size;

	if (take > 0)
		memcpy(out, q + *at, take);
	*at += take;
	return take;
}

size_t session_flush(struct rtls_session *s, uint8_t *out, size_t size)
{
	size_t n = move(out, size, s->flight, s->n_flight, &s->flight_at);

	if (s->flight_at < s->n_flight)
		return n;
	free(TAKE(s->flight));
	s->n_flight = s->flight_at = 0;
	n += move(out + n, size - n, s->says, s->n_says, &s->says_at);
	if (s->says_at == s->n_says) {
		s->n_says = s->says_at = 0;
		s->says_update = false;
	}
	return n;
}

int rtls_session_drain(struct rtls_session *s, void *out, size_t out_size, size_t *out_n)
{
	if (!s || !out_n || (out_size > 0 && !out))
		return err_new(-EINVAL);
	*out_n = out_size > 0 ? session_flush(s, out, out_size) : 0;
	return 0;
}

bool rtls_session_has_output(const struct rtls_session *s)
{
	return s && (s->flight_at < s->n_flight || s->says_at < s->n_says);
}

void rtls_session_close(struct rtls_session *s)
{
	if (!s || s->state == SESSION_FAILED || s->tx_closed)
		return;
	if (s->state == SESSION_HANDSHAKE) {
		(void)session_fail(s, ALERT_USER_CANCELED, "closed before the handshake was done");
		return;
	}
	if (say_alert(s, ALERT_CLOSE_NOTIFY) < 0)
		(void)session_drop(s, "close_notify cannot be sealed");
	s->tx_closed = true;
}

/* Bytes that may be sealed: all, or what is left of untrusted_max. */
static size_t allowance(const struct rtls_session *s)
{
	if (s->state == SESSION_TRUSTED)
		return SIZE_MAX;
	return s->config.untrusted_max - s->untrusted_out;
}

static size_t at_most(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Records while they fit; a short one only if nothing more is there, or as the only one. */
static int seal_records(struct rtls_session *s, struct iov_cursor *in, size_t total, uint8_t *out,
			size_t size, size_t *taken, size_t *n)
{
	while (total > *taken) {
		const size_t wanted = at_most(total - *taken, RTLS_RECORD_MAX);
		size_t len;
		int r;

		if (s->tx.seq >= RECORD_KEY_SOFT) {
			r = session_update_key(s, false);
			if (r < 0)
				return err_pass(r);
			*n += session_flush(s, out + *n, size - *n);
		}
		if (rtls_session_has_output(s) || size - *n <= RTLS_RECORD_OVERHEAD)
			return 0;
		len = at_most(wanted, size - *n - RTLS_RECORD_OVERHEAD);
		if (len<wanted && * taken> 0)
			return 0;
		r = half_seal(&s->tx, in, len, CONTENT_DATA, out + *n);
		if (r < 0) {
			(void)session_drop(s, "a record cannot be sealed");
			return err_pass(r);
		}
		*taken += len;
		*n += len + RTLS_RECORD_OVERHEAD;
	}
	return 0;
}

int rtls_session_seal(struct rtls_session *s, const struct iovec *iov, int n_iov, size_t skip,
		      void *out, size_t out_size, size_t *out_taken, size_t *out_n)
{
	struct iov_cursor in = { .iov = iov, .n_iov = n_iov, .skip = skip };
	size_t total, taken = 0, n;
	int r;

	if (!s || n_iov < 0 || (n_iov > 0 && !iov) || !out || !out_taken || !out_n)
		return err_new(-EINVAL);
	if (s->state == SESSION_HANDSHAKE)
		return -EAGAIN;
	if (s->state == SESSION_FAILED || s->tx_closed)
		return -EPROTO;
	total = iov_cursor_left(&in);
	if (total > 0 && allowance(s) == 0)
		return -EACCES;
	total = at_most(total, allowance(s));
	n = session_flush(s, out, out_size);
	r = seal_records(s, &in, total, out, out_size, &taken, &n);
	if (r < 0)
		return err_pass(r);
	if (s->state == SESSION_UNDECIDED)
		s->untrusted_out += taken;
	*out_taken = taken;
	*out_n = n;
	return 0;
}
