/*
 * What a peer, or somebody in between, may do to the bytes of a session that stands. Whatever it
 * is, the session has ended afterwards, an alert says so, and nothing came out that had not been
 * sent.
 */
#include "tls/tls_test.h"

#include <errno.h>
#include <stdio.h>

static const char *const backends[] = { "evp", "ipsec-mb" };

enum { N_RECORDS = 4, RECORD_N = 40 + RTLS_RECORD_OVERHEAD };

struct pair {
	struct test_end *from, *to;
	struct half *tx; /* of from */
};

static struct rtls_session *established(enum rtls_role role, const char *backend)
{
	const struct rtls_session_config config = { .size = sizeof(config),
						    .role = role,
						    .cipher_backend = backend };
	struct handshake_result secrets = { .suite = suite_find(0x1301) };
	struct rtls_session *s = NULL;

	memset(secrets.secret[0], 'c', 32);
	memset(secrets.secret[1], 's', 32);
	assert_int_equal(session_new_established(&config, &secrets, &s), 0);
	rtls_session_decide(s, RTLS_TRUSTED);
	return s;
}

/* from is the server, so that what only a server may say can be tried. */
static void pair_open(struct pair *p, const char *backend)
{
	p->from = calloc(1, sizeof(*p->from));
	p->to = calloc(1, sizeof(*p->to));
	assert_true(p->from && p->to);
	p->from->s = established(RTLS_SERVER, backend);
	p->to->s = established(RTLS_CLIENT, backend);
	p->tx = &p->from->s->tx;
}

static void pair_close(struct pair *p)
{
	test_end_free(p->from);
	test_end_free(p->to);
}

/* A record of the sender's key with any content. */
static void put_record(struct pair *p, uint8_t type, const void *bytes, size_t n)
{
	static uint8_t record[RTLS_RECORD_MAX + RTLS_RECORD_OVERHEAD];
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct iov_cursor in = { .iov = &iov, .n_iov = 1 };

	assert_int_equal(half_seal(p->tx, &in, n, (enum content_type)type, record), 0);
	test_wire_put(&p->to->in, record, n + RTLS_RECORD_OVERHEAD);
}

static void put_four(struct pair *p)
{
	for (int i = 0; i < N_RECORDS; i++) {
		uint8_t bytes[RECORD_N - RTLS_RECORD_OVERHEAD];

		memset(bytes, 'a' + i, sizeof(bytes));
		put_record(p, CONTENT_DATA, bytes, sizeof(bytes));
	}
	assert_int_equal(p->to->in.n, N_RECORDS * RECORD_N);
}

static void feed_all(struct pair *p)
{
	while (p->to->in.n > 0 && p->to->feed == 0)
		test_feed(p->to, 1 + test_random(100));
	if (p->to->feed < 0)
		p->to->in.n = 0;
}

/* It has ended, after `n` bytes of data; the sender learns why; and nothing revives it. */
static void check_ended(struct pair *p, size_t n, const char *alert)
{
	struct test_wire *in = &p->to->in;

	assert_true(p->to->failed);
	assert_int_equal(p->to->feed, -EPROTO);
	assert_int_equal(p->to->n_plain, n);
	assert_true(rtls_session_why(p->to->s)[0]);
	assert_true(rtls_session_has_output(p->to->s));
	test_drain(p->to, &p->from->in);
	test_feed(p->from, TEST_BUF);
	assert_true(p->from->failed);
	if (!strstr(rtls_session_why(p->from->s), alert))
		fail_msg("%s, not %s", rtls_session_why(p->from->s), alert);
	assert_null(p->to->s->rx.key);
	in->n = 0;
	test_wire_put(in, "\x17\x03\x03\x00\x11", 5);
	test_feed(p->to, 5);
	assert_int_equal(p->to->feed, -EPROTO);
	assert_int_equal(p->to->n_plain, n);
}

/* Every bit of the second record. */
static void test_flip(void **state)
{
	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(backends); b++)
		for (size_t bit = 0; aead_is_here(backends[b]) && bit < RECORD_N * 8; bit++) {
			const size_t at = RECORD_N + bit / 8;
			struct pair p;

			pair_open(&p, backends[b]);
			put_four(&p);
			p.to->in.bytes[at] ^= (uint8_t)(1 << bit % 8);
			/* A length that grew may want more than is there. */
			put_record(&p, CONTENT_DATA, p.to->plain, RTLS_RECORD_MAX);
			put_record(&p, CONTENT_DATA, p.to->plain, RTLS_RECORD_MAX);
			feed_all(&p);
			check_ended(&p, 40,
				    at == RECORD_N	 ? "unexpected_message"
				    : at == RECORD_N + 3 ? "" /* overflow, or as below */
							 : "bad record mac");
			pair_close(&p);
		}
}

static void test_order(void **state)
{
	static const struct {
		const char *what, order[7]; /* of records 0 to 3 */
		size_t n;		    /* records that come out before it ends */
	} cases[] = { { "replayed", "00", 1 },	{ "replayed later", "01230", 4 },
		      { "left out", "023", 1 }, { "first left out", "123", 0 },
		      { "swapped", "0213", 1 }, { "last first", "3012", 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		static struct test_wire sent;
		struct pair p;

		pair_open(&p, NULL);
		put_four(&p);
		sent = p.to->in;
		p.to->in.n = 0;
		for (const char *o = cases[i].order; *o; o++)
			test_wire_put(&p.to->in, sent.bytes + (*o - '0') * RECORD_N, RECORD_N);
		feed_all(&p);
		check_ended(&p, cases[i].n * 40, "bad record mac");
		pair_close(&p);
	}
}

/* A record that lacks its end is no record; and its end cannot come from the next one. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < RECORD_N; cut++) {
		struct pair p;

		pair_open(&p, NULL);
		put_four(&p);
		memmove(p.to->in.bytes + RECORD_N - cut, p.to->in.bytes + RECORD_N, 3 * RECORD_N);
		p.to->in.n -= cut;
		put_record(&p, CONTENT_DATA, p.to->plain, RTLS_RECORD_MAX); /* for a long length */
		feed_all(&p);
		check_ended(&p, 0, "");
		pair_close(&p);

		pair_open(&p, NULL);
		put_four(&p);
		p.to->in.n = RECORD_N - cut;
		feed_all(&p);
		assert_true(p.to->n_plain == 0 && !p.to->failed);
		pair_close(&p);
	}
}

static void raw_case(const void *bytes, size_t n, const char *alert)
{
	struct pair p;

	pair_open(&p, NULL);
	put_record(&p, CONTENT_DATA, "ok", 2);
	test_wire_put(&p.to->in, bytes, n);
	feed_all(&p);
	check_ended(&p, 2, alert);
	pair_close(&p);
}

/* What is no record of ours at all, above all nothing without protection. */
static void test_raw(void **state)
{
	static uint8_t full[5 + RECORD_ANY_MAX] = { CONTENT_DATA, 3, 3, 0x40, 0x12 };

	(void)state;
	raw_case("\x15\x03\x03\x00\x02\x01\x00", 7, "unexpected_message"); /* close_notify */
	raw_case("\x15\x03\x03\x00\x02\x02\x28", 7, "unexpected_message");
	raw_case("\x14\x03\x03\x00\x01\x01", 6, "unexpected_message"); /* change_cipher_spec */
	raw_case("\x16\x03\x03\x00\x05\x18\x00\x00\x01\x00", 10, "unexpected_message");
	raw_case("\x17\x03\x03\x00\x00", 5, "bad record mac");
	raw_case("\x17\x03\x03\x00\x10", 5, "bad record mac");
	raw_case("\x17\x03\x03\x40\x12", 5, "record overflow");
	raw_case("\x17\x03\x03\xff\xff", 5, "record overflow");
	raw_case(full, sizeof(full), "record overflow");
	full[4] = 0x11;
	raw_case(full, 5 + 0x4011, "bad record mac");
	raw_case("GET / HTTP/1.1\r\n\r\n", 18, "unexpected_message");
}

static void sealed_case(uint8_t type, const void *bytes, size_t n, const char *alert)
{
	struct pair p;

	pair_open(&p, NULL);
	put_record(&p, CONTENT_DATA, "ok", 2);
	put_record(&p, type, bytes, n);
	feed_all(&p);
	check_ended(&p, 2, alert);
	pair_close(&p);
}

/* What a peer may not say even under its key. */
static void test_sealed(void **state)
{
	(void)state;
	sealed_case(CONTENT_CHANGE_CIPHER_SPEC, "\1", 1, "unexpected_message");
	sealed_case(99, "x", 1, "unexpected_message");
	sealed_case(0, "\0\0\0", 3, "unexpected_message"); /* only padding */
	sealed_case(CONTENT_ALERT, "\1", 1, "decode error");
	sealed_case(CONTENT_ALERT, "\1\0\1\0", 4, "decode error");
	sealed_case(CONTENT_HANDSHAKE, "", 0, "unexpected_message");
	sealed_case(CONTENT_HANDSHAKE, "\1\0\0\1x", 5, "unexpected_message"); /* ClientHello */
	sealed_case(CONTENT_HANDSHAKE, "\15\0\0\1x", 5,
		    "unexpected_message"); /* CertificateRequest */
	sealed_case(CONTENT_HANDSHAKE, "\30\0\0\0", 4, "decode error");
	sealed_case(CONTENT_HANDSHAKE, "\30\0\0\2\0\0", 6, "decode error");
	sealed_case(CONTENT_HANDSHAKE, "\30\0\0\1\2", 5, "illegal parameter");
	sealed_case(CONTENT_HANDSHAKE, "\30\0\0\1\0\30\0\0\1\0", 10, "unexpected_message");
	sealed_case(CONTENT_HANDSHAKE, "\4\377\377\377", 4, "decode error");
	sealed_case(CONTENT_HANDSHAKE, "\4\0\0\0", 4, "decode error");
}

/* A ticket is for clients. */
static void test_ticket_to_server(void **state)
{
	struct test_end *turn;
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	turn = p.from;
	p.from = p.to;
	p.to = turn;
	p.tx = &p.from->s->tx;
	put_record(&p, CONTENT_HANDSHAKE, "\4\0\0\1x", 5);
	feed_all(&p);
	check_ended(&p, 0, "unexpected_message");
	pair_close(&p);
}

static void test_cut_message(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	put_record(&p, CONTENT_HANDSHAKE, "\30\0", 2);
	put_record(&p, CONTENT_DATA, "x", 1);
	feed_all(&p);
	check_ended(&p, 0, "unexpected_message");
	pair_close(&p);
}

/* The same message in pieces, and behind another one, is as good as whole. */
static void test_fragments(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	for (int i = 0; i < 5; i++)
		put_record(&p, CONTENT_HANDSHAKE, &"\30\0\0\1\1"[i], 1);
	assert_int_equal(half_update(p.tx), 0);
	put_record(&p, CONTENT_HANDSHAKE, "\4\0\0\2xy\30\0\0\1", 10);
	put_record(&p, CONTENT_HANDSHAKE, "\0", 1);
	assert_int_equal(half_update(p.tx), 0);
	put_record(&p, CONTENT_DATA, "data", 4);
	feed_all(&p);
	assert_true(!p.to->failed && p.to->n_plain == 4);
	/* The first has been answered, once. */
	assert_int_equal(p.to->s->n_says, 5 + RTLS_RECORD_OVERHEAD);
	test_exchange(p.from, p.to, 0);
	assert_int_equal(test_send(p.to, p.from, "answer", 6), 0);
	test_exchange(p.from, p.to, 0);
	assert_int_equal(p.from->n_plain, 6);
	assert_memory_equal(p.from->plain, "answer", 6);
	pair_close(&p);
}

/* Key updates, tickets and empty records cost us work and the peer nothing. */
static void test_flood(void **state)
{
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t n;
	} floods[] = { { CONTENT_DATA, "", 0 },
		       { CONTENT_HANDSHAKE, "\4\0\0\1x", 5 },
		       { CONTENT_HANDSHAKE, "\30\0\0\1\1", 5 },
		       { CONTENT_ALERT, "\1\132", 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
		struct pair p;

		pair_open(&p, NULL);
		for (int k = 0; k < 3 * SESSION_QUIET_MAX; k++) {
			put_record(&p, floods[i].type, floods[i].bytes, floods[i].n);
			if (floods[i].bytes[0] == 24)
				assert_int_equal(half_update(p.tx), 0);
			if (k < SESSION_QUIET_MAX && k % 8 == 0)
				put_record(&p, CONTENT_DATA, "x", 1);
		}
		feed_all(&p);
		check_ended(&p, SESSION_QUIET_MAX / 8, "unexpected_message");
		pair_close(&p);
	}
}

static void test_after_close(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	put_record(&p, CONTENT_DATA, "ok", 2);
	put_record(&p, CONTENT_ALERT, "\1\0", 2);
	put_record(&p, CONTENT_DATA, "late", 4);
	feed_all(&p);
	assert_true(p.to->closed && !p.to->failed && p.to->n_plain == 2);
	pair_close(&p);
}

static void test_fatal_alert(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	put_record(&p, CONTENT_ALERT, "\1\50", 2); /* the level says "warning": it is not one */
	feed_all(&p);
	assert_true(p.to->failed && p.to->feed == -EPROTO);
	assert_string_equal(rtls_session_why(p.to->s), "alert 40 from the peer: handshake failure");
	assert_false(rtls_session_has_output(p.to->s)); /* an alert is not answered by one */
	pair_close(&p);
}

/* An idle session is small: it has neither a record's buffer nor OpenSSL's objects. */
static void test_idle(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL);
	put_four(&p);
	test_feed(p.to, RECORD_N + 30);
	assert_non_null(p.to->s->stash);
	feed_all(&p);
	assert_int_equal(p.to->n_plain, 160);
	assert_null(p.to->s->stash);
	assert_null(p.to->s->handshake);
	assert_null(p.to->s->flight);
	assert_true(sizeof(struct rtls_session) < 2048);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flip),	    cmocka_unit_test(test_order),
		cmocka_unit_test(test_truncated),   cmocka_unit_test(test_raw),
		cmocka_unit_test(test_sealed),	    cmocka_unit_test(test_ticket_to_server),
		cmocka_unit_test(test_cut_message), cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_flood),	    cmocka_unit_test(test_after_close),
		cmocka_unit_test(test_fatal_alert), cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
