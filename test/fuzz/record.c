/*
 * An established session gets any bytes, in any pieces. The first byte says how the input is cut
 * and which side it goes to; then come commands, each a byte with its length behind it: bytes as
 * they are, or sealed under the peer's key, so that what is behind the encryption is reached, too.
 */
#include "fuzz.h"

#include <string.h>

#include "tls/session.h"

enum { OUT_MAX = 4096 };

struct bench {
	struct rtls_session *us, *peer;
	uint64_t sent;	  /* bytes of data that the peer has sealed */
	uint64_t got;	  /* and that came out */
	bool is_tampered; /* anything but whole records of the peer went in */
	size_t piece;
};

static struct rtls_session *make(enum rtls_role role, const char *backend)
{
	const struct rtls_session_config config = { .size = sizeof(config),
						    .role = role,
						    .cipher_backend = backend };
	const struct handshake_result secrets = { .suite = suite_find(0x1301) };
	struct rtls_session *s = NULL;

	must(session_new_established(&config, &secrets, &s) == 0);
	rtls_session_decide(s, RTLS_TRUSTED);
	return s;
}

static void feed(struct bench *b, const uint8_t *bytes, size_t n)
{
	static uint8_t plain[RTLS_RECORD_MAX];
	uint8_t in[512];

	while (n > 0) {
		size_t take = n < b->piece ? n : b->piece, used, got;
		int r;

		memcpy(in, bytes, take);
		r = rtls_session_feed(b->us, in, take, &used, plain, sizeof(plain), &got);
		must(r == 0 || r == -71 /* EPROTO */);
		must(used <= take && got <= sizeof(plain));
		must((r < 0) == (rtls_session_why(b->us)[0] != '\0'));
		b->got += got;
		if (r < 0)
			return;
		bytes += used;
		n -= used;
	}
}

/* The peer's key seals any content of any type. */
static void feed_sealed(struct bench *b, uint8_t type, const uint8_t *bytes, size_t n)
{
	uint8_t record[256 + RTLS_RECORD_OVERHEAD];
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct iov_cursor in = { .iov = &iov, .n_iov = 1 };

	if (half_seal(&b->peer->tx, &in, n, (enum content_type)type, record) != 0)
		return;
	b->sent += n; /* padding may make it less */
	feed(b, record, n + RTLS_RECORD_OVERHEAD);
	if (type == CONTENT_HANDSHAKE && n == 5 && bytes[0] == 24 && half_update(&b->peer->tx) != 0)
		abort();
}

static void drain(struct bench *b)
{
	uint8_t out[OUT_MAX];
	size_t n;

	must(rtls_session_drain(b->us, out, sizeof(out), &n) == 0);
	must(!rtls_session_has_output(b->us));
	while (rtls_session_next_event(b->us) != RTLS_EVENT_NONE)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct span in = SPAN(bytes, n), body;
	struct bench b = { 0 };
	uint8_t how, command, len;

	if (!span_u8(&in, &how))
		return 0;
	b.us = make(how & 1 ? RTLS_CLIENT : RTLS_SERVER, how & 2 ? "evp" : NULL);
	b.peer = make(how & 1 ? RTLS_SERVER : RTLS_CLIENT, NULL);
	b.piece = 1 + (how >> 2) * 8u;
	while (span_u8(&in, &command) && span_u8(&in, &len)) {
		if (!span_take(&in, len < in.n ? len : in.n, &body))
			break;
		if (command == 0)
			feed(&b, body.p, body.n);
		else if (command == 1)
			drain(&b);
		else
			feed_sealed(&b, command, body.p, body.n);
	}
	must(b.got <= b.sent); /* nothing comes out that the peer has not sealed */
	drain(&b);
	rtls_session_free(b.us);
	rtls_session_free(b.peer);
	return 0;
}
