/*
 * What comes in: cut into records, which are the handshake's until that is done, and ours then.
 * A record is opened where it lies, straight into the caller's buffer; only one that is not there
 * as a whole goes through the stash.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/err.h"
#include "tls/session.h"

enum { NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 /* RFC 8446 4 */ };

struct feed {
	struct span in;
	uint8_t *plain;
	size_t size, n; /* of plain; written */
};

/* > 0: this feed ends here, and nothing is wrong. */
enum { FEED_E_MORE = 1, FEED_E_FULL, FEED_E_EVENT };

/* Copies into the stash until it has `want` bytes. */
static bool stash_fill(struct rtls_session *s, struct feed *f, size_t want)
{
	const size_t missing = want - s->n_stash;
	const size_t take = missing < f->in.n ? missing : f->in.n;

	memcpy(s->stash + s->n_stash, f->in.p, take);
	s->n_stash += take;
	f->in = SPAN(f->in.p + take, f->in.n - take);
	return take == missing;
}

/* How long the record is; or FEED_E_FULL, or the session has failed. */
static int measure(struct rtls_session *s, const struct feed *f, const uint8_t *head, size_t *total)
{
	int r;

	if (s->state == SESSION_HANDSHAKE) {
		if (handshake_peek(head, total))
			return 0;
		return session_fail(s, ALERT_RECORD_OVERFLOW, "handshake: not a TLS record");
	}
	r = record_peek(head, total);
	if (r == ALERT_UNEXPECTED_MESSAGE)
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "an unprotected record, type %u",
				    head[0]);
	if (r > 0)
		return session_fail(s, (enum alert)r, "a record of %u bytes", get_be16(head + 3));
	return record_room(*total) > f->size - f->n ? FEED_E_FULL : 0;
}

/* The next whole record: in the input, or in the stash. */
static int next_record(struct rtls_session *s, struct feed *f, struct span *out)
{
	size_t total = 0;
	int r;

	if (f->in.n == 0)
		return FEED_E_MORE;
	if (s->n_stash == 0 && f->in.n >= RECORD_HEAD) {
		r = measure(s, f, f->in.p, &total);
		if (r != 0)
			return r;
		if (span_take(&f->in, total, out))
			return 0;
	}
	if (!s->stash) {
		s->stash = malloc(SESSION_STASH);
		s->n_stash = 0;
	}
	if (!s->stash) {
		(void)session_fail(s, ALERT_INTERNAL_ERROR, "out of memory");
		return err_new(-ENOMEM);
	}
	if (s->n_stash < RECORD_HEAD && !stash_fill(s, f, RECORD_HEAD))
		return FEED_E_MORE;
	r = measure(s, f, s->stash, &total);
	if (r != 0)
		return r;
	if (!stash_fill(s, f, total))
		return FEED_E_MORE;
	*out = SPAN(s->stash, total);
	s->n_stash = 0; /* it is used before anything else goes in */
	return 0;
}

static int take_key_update(struct rtls_session *s, struct span rest)
{
	int r;

	if (rest.n > 0) /* RFC 8446 5.1: what follows has the new key */
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "a message behind a KeyUpdate");
	if (s->message.first > 1)
		return session_fail(s, ALERT_ILLEGAL_PARAMETER, "KeyUpdate of kind %u",
				    s->message.first);
	r = half_update(&s->rx);
	if (r < 0) {
		(void)session_fail(s, ALERT_INTERNAL_ERROR, "out of memory for a new key");
		return err_pass(r);
	}
	s->asked = false;
	return s->message.first == 1 ? session_update_key(s, false) : 0;
}

/* The head of a message is complete. */
static int check_message(struct rtls_session *s)
{
	const uint8_t type = s->message.head[0];
	const size_t n = get_be32(s->message.head) & 0xffffff;

	if (type != KEY_UPDATE && (type != NEW_SESSION_TICKET || s->config.role != RTLS_CLIENT))
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE,
				    "handshake message %u after the handshake", type);
	if (n == 0 || n > SESSION_MESSAGE_MAX || (type == KEY_UPDATE && n != 1))
		return session_fail(s, ALERT_DECODE_ERROR, "handshake message %u of %zu bytes",
				    type, n);
	s->message.left = n;
	return 0;
}

/* Messages may be cut into records anyhow, and several be in one. */
static int take_messages(struct rtls_session *s, struct span in)
{
	struct message *m = &s->message;
	int r;

	if (in.n == 0)
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "an empty handshake record");
	while (in.n > 0) {
		size_t take;

		if (m->n_head < sizeof(m->head)) {
			m->head[m->n_head++] = in.p[0];
			in = SPAN(in.p + 1, in.n - 1);
			r = m->n_head == sizeof(m->head) ? check_message(s) : 0;
			if (r < 0)
				return err_pass(r);
			continue;
		}
		take = m->left < in.n ? m->left : in.n;
		m->first = in.p[0]; /* of a KeyUpdate: there is no other byte */
		m->left -= take;
		in = SPAN(in.p + take, in.n - take);
		if (m->left > 0)
			return 0;
		r = m->head[0] == KEY_UPDATE ? take_key_update(s, in) : 0;
		if (r < 0)
			return err_pass(r);
		*m = (struct message){ 0 };
	}
	return 0;
}

static int take_alert(struct rtls_session *s, struct span in)
{
	char why[WHY_MAX];

	if (in.n != 2)
		return session_fail(s, ALERT_DECODE_ERROR, "an alert of %zu bytes", in.n);
	if (in.p[1] == ALERT_USER_CANCELED)
		return 0; /* close_notify follows */
	if (in.p[1] == ALERT_CLOSE_NOTIFY) {
		s->rx_closed = true;
		s->has_event[RTLS_EVENT_CLOSED] = true;
		half_deinit(&s->rx);
		return FEED_E_EVENT;
	}
	snprintf(why, sizeof(why), "alert %u from the peer: %s", in.p[1],
		 SSL_alert_desc_string_long(in.p[1]));
	return session_drop(s, why);
}

/* Application data, which stands where it belongs already. */
static int take_data(struct rtls_session *s, struct feed *f, size_t n)
{
	if (n == 0)
		return 0;
	if (s->state == SESSION_UNDECIDED) {
		if (n > s->config.untrusted_max - s->untrusted_in) {
			OPENSSL_cleanse(f->plain + f->n, n);
			return session_fail(s, ALERT_UNEXPECTED_MESSAGE,
					    "more than %zu bytes before the peer is trusted",
					    s->config.untrusted_max);
		}
		s->untrusted_in += n;
	}
	s->n_quiet = 0;
	f->n += n;
	return 0;
}

/* A peer that does not renew its key is asked to; one that does not then, runs into the limit. */
static int ask_for_key(struct rtls_session *s)
{
	if (s->rx.seq < RECORD_KEY_SOFT || s->asked || s->says_update)
		return 0;
	return session_update_key(s, true);
}

static int open_record(struct rtls_session *s, struct feed *f, struct span record)
{
	const uint64_t seq = s->rx.seq;
	uint8_t type = 0;
	size_t n = 0;
	int r;

	r = half_open(&s->rx, record, f->plain + f->n, f->size - f->n, &n, &type);
	if (r > 0)
		return session_fail(s, (enum alert)r, "record %llu does not open",
				    (unsigned long long)seq);
	if (type != CONTENT_HANDSHAKE && s->message.n_head > 0)
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "a handshake message is cut off");
	if (++s->n_quiet > SESSION_QUIET_MAX && (type != CONTENT_DATA || n == 0))
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "%d records without data",
				    SESSION_QUIET_MAX);
	switch (type) {
	case CONTENT_DATA:
		r = take_data(s, f, n);
		break;
	case CONTENT_HANDSHAKE:
		r = take_messages(s, SPAN(f->plain + f->n, n));
		break;
	case CONTENT_ALERT:
		return take_alert(s, SPAN(f->plain + f->n, n));
	default:
		return session_fail(s, ALERT_UNEXPECTED_MESSAGE, "a record of type %u", type);
	}
	return r == 0 ? ask_for_key(s) : err_pass(r);
}

static int finish_handshake(struct rtls_session *s)
{
	struct handshake_result result = { 0 };
	int r;

	r = handshake_finish(s->handshake, &result);
	if (r < 0) {
		(void)session_drop(s, "out of memory at the end of the handshake");
		return err_pass(r);
	}
	handshake_free(TAKE(s->handshake));
	r = session_start(s, &result);
	OPENSSL_cleanse(&result, sizeof(result));
	return r == 0 ? FEED_E_EVENT : err_pass(r);
}

static int handshake_record(struct rtls_session *s, struct span record)
{
	const int r = handshake_feed(s->handshake, record);

	if (session_take_flight(s) < 0) {
		(void)session_drop(s, "out of memory in the handshake");
		return err_new(-ENOMEM);
	}
	if (r == HANDSHAKE_E_DONE)
		return finish_handshake(s);
	if (r == HANDSHAKE_E_FAILED)
		return session_drop(s, handshake_why(s->handshake));
	return 0;
}

int rtls_session_feed(struct rtls_session *s, void *in, size_t n, size_t *out_used, void *plain,
		      size_t plain_size, size_t *out_plain)
{
	struct feed f = { .in = SPAN(in, n), .plain = plain, .size = plain_size };
	struct span record = { 0 };
	int r = 0;

	if (!s || (n > 0 && !in) || !out_used || !plain || plain_size < RTLS_RECORD_MAX ||
	    !out_plain)
		return err_new(-EINVAL);
	*out_used = n;
	*out_plain = 0;
	if (s->state == SESSION_FAILED)
		return -EPROTO;
	if (s->rx_closed)
		return 0; /* RFC 8446 6.1: what follows is ignored */
	while (r == 0) {
		r = next_record(s, &f, &record);
		if (r != 0)
			break;
		r = s->state == SESSION_HANDSHAKE ? handshake_record(s, record)
						  : open_record(s, &f, record);
	}
	*out_plain = f.n;
	if (r < 0)
		return err_pass(r);
	*out_used = s->rx_closed ? n : n - f.in.n;
	if (s->n_stash == 0)
		free(TAKE(s->stash));
	return 0;
}
