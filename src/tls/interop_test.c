/*
 * Our sessions against OpenSSL's own, in both roles: data in sizes and pieces that vary, key
 * updates from both sides, tickets, exporters, and who is refused. ENG_TLS_TEST_MB says how many
 * megabytes go each way (64 unless it does, fewer for the rarer combinations).
 */
#include "tls/tls_test.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

enum { MB = 1 << 20, DEFAULT_MB = 64 };

struct stock {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
};

struct link {
	struct rtls_identity *id[2]; /* ours, and the stock side's: its key and certificate */
	struct test_end *ours;
	struct stock stock;
};

static int accept_any(X509_STORE_CTX *store, void *unused)
{
	(void)unused;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int select_eng(SSL *ssl, const uint8_t **out, uint8_t *n_out, const uint8_t *in,
		      unsigned n_in, void *unused)
{
	(void)ssl, (void)unused;
	return SSL_select_next_proto((uint8_t **)(uintptr_t)out, n_out, (const uint8_t *)"\5eng/1",
				     6, in, n_in) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

static int stock_alert; /* the last one that the stock side has got */

static void see_alert(const SSL *ssl, int where, int value)
{
	(void)ssl;
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		stock_alert = value & 0xff;
}

static void stock_open(struct stock *p, const struct rtls_identity *id)
{
	p->ctx = SSL_CTX_new(TLS_method());
	assert_non_null(p->ctx);
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, SSL_CTX_get0_certificate(id->tls)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, id->key), 1);
	stock_alert = -1;
	SSL_CTX_set_info_callback(p->ctx, see_alert);
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(p->ctx, accept_any, NULL);
	assert_int_equal(SSL_CTX_set_session_id_context(p->ctx, (const uint8_t *)"t", 1), 1);
	SSL_CTX_set_alpn_select_cb(p->ctx, select_eng, NULL);
	assert_int_equal(SSL_CTX_set_alpn_protos(p->ctx, (const uint8_t *)"\5eng/1", 6), 0);
}

static void stock_start(struct stock *p, bool is_server)
{
	p->ssl = SSL_new(p->ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	assert_true(p->ssl && p->in && p->out);
	SSL_set_bio(p->ssl, p->in, p->out);
	if (is_server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

/* Ours has the role; the stock side may be changed until link_start(). */
static void link_open(struct link *l, struct rtls_session_config config)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(rtls_identity_new(&l->id[i]), 0);
	config.identity = l->id[0];
	l->ours = test_end_new(&config);
	stock_open(&l->stock, l->id[1]);
}

static void link_close(struct link *l)
{
	test_end_free(l->ours);
	SSL_free(l->stock.ssl);
	SSL_CTX_free(l->stock.ctx);
	for (int i = 0; i < 2; i++)
		rtls_identity_free(l->id[i]);
	ERR_clear_error();
}

/* What each has to say goes to the other, ours in random pieces. */
static void carry(struct link *l)
{
	static struct test_wire up;
	uint8_t bytes[20000];
	int n;

	up.n = 0;
	test_drain(l->ours, &up);
	if (up.n > 0)
		assert_int_equal(BIO_write(l->stock.in, up.bytes, (int)up.n), (int)up.n);
	while (sizeof(l->ours->in.bytes) - l->ours->in.n > sizeof(bytes) &&
	       (n = BIO_read(l->stock.out, bytes, sizeof(bytes))) > 0)
		test_wire_put(&l->ours->in, bytes, (size_t)n);
	while (l->ours->in.n > 0 && l->ours->feed == 0)
		test_feed(l->ours, 1 + test_random(40000));
	if (l->ours->feed < 0)
		l->ours->in.n = 0;
}

/* True: both are done. */
static bool shake(struct link *l, bool stock_is_server)
{
	stock_start(&l->stock, stock_is_server);
	for (int i = 0; i < 10; i++) {
		carry(l);
		(void)SSL_do_handshake(l->stock.ssl);
		carry(l);
	}
	return l->ours->done && !l->ours->failed && SSL_is_init_finished(l->stock.ssl);
}

/* The stream is a function of its position, so that nothing need be kept. */
static uint8_t stream_byte(uint64_t at, unsigned salt)
{
	const uint64_t x = (at / 8 + salt) * 0x9e3779b97f4a7c15u;

	return (uint8_t)((x ^ x >> 29) >> 8 * (at % 8));
}

static void stream_fill(uint8_t *p, size_t n, uint64_t at, unsigned salt)
{
	for (size_t i = 0; i < n; i++)
		p[i] = stream_byte(at + i, salt);
}

static void stream_check(const uint8_t *p, size_t n, uint64_t at, unsigned salt)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != stream_byte(at + i, salt))
			fail_msg("byte %llu differs", (unsigned long long)(at + i));
}

struct flow {
	uint64_t sent, got;
};

static void ours_to_stock(struct link *l, struct flow *f)
{
	static uint8_t bytes[60000], out[TEST_BUF], got[70000];
	struct iovec iov[3];
	size_t n = 1 + test_random(test_random(3) ? sizeof(bytes) : 50), cut = test_random(1000);
	size_t taken, n_out, done = 0;
	int r;

	stream_fill(bytes, n, f->sent, 1);
	cut = cut < n ? cut : n;
	iov[0] = (struct iovec){ bytes, cut };
	iov[1] = (struct iovec){ NULL, 0 };
	iov[2] = (struct iovec){ bytes + cut, n - cut };
	while (done < n) {
		const size_t room = 100 + test_random(sizeof(out) - 100);

		assert_int_equal(
			rtls_session_seal(l->ours->s, iov, 3, done, out, room, &taken, &n_out), 0);
		assert_true(taken > 0 && n_out <= room);
		assert_int_equal(BIO_write(l->stock.in, out, (int)n_out), (int)n_out);
		done += taken;
	}
	f->sent += n;
	while ((r = SSL_read(l->stock.ssl, got, sizeof(got))) > 0) {
		stream_check(got, (size_t)r, f->got, 1);
		f->got += (size_t)r;
	}
	assert_int_equal(SSL_get_error(l->stock.ssl, r), SSL_ERROR_WANT_READ);
}

static void stock_to_ours(struct link *l, struct flow *f)
{
	static uint8_t bytes[60000];
	const size_t n = 1 + test_random(test_random(3) ? sizeof(bytes) : 50);

	stream_fill(bytes, n, f->sent, 2);
	if (test_random(10) == 0)
		assert_int_equal(
			SSL_set_max_send_fragment(l->stock.ssl, 512 + (long)test_random(15873)), 1);
	assert_int_equal(SSL_write(l->stock.ssl, bytes, (int)n), (int)n);
	f->sent += n;
	l->ours->n_plain = 0;
	carry(l);
	assert_int_equal(l->ours->feed, 0);
	stream_check(l->ours->plain, l->ours->n_plain, f->got, 2);
	f->got += l->ours->n_plain;
}

/* Either side may want new keys at any time. */
static void update_keys(struct link *l)
{
	if (test_random(20) == 0)
		assert_int_equal(
			SSL_key_update(l->stock.ssl, test_random(2) ? SSL_KEY_UPDATE_REQUESTED
								    : SSL_KEY_UPDATE_NOT_REQUESTED),
			1);
	if (test_random(20) == 0)
		assert_int_equal(session_update_key(l->ours->s, test_random(2)), 0);
}

static uint64_t bytes_to_move(void)
{
	const char *mb = getenv("ENG_TLS_TEST_MB");

	return (mb ? strtoull(mb, NULL, 10) : DEFAULT_MB) * MB;
}

static void traffic(enum rtls_role role, const char *backend, const char *suites, uint64_t bytes)
{
	struct rtls_session_config config = test_config(role, NULL);
	struct flow out = { 0 }, in = { 0 };
	struct link l = { 0 };

	config.cipher_backend = backend;
	link_open(&l, config);
	assert_int_equal(SSL_CTX_set_ciphersuites(l.stock.ctx, suites), 1);
	assert_true(shake(&l, role == RTLS_CLIENT));
	rtls_session_decide(l.ours->s, RTLS_TRUSTED);
	assert_true(strncmp(rtls_session_cipher(l.ours->s), suites, strlen(suites)) == 0);
	while (in.got < bytes || out.got < bytes) {
		ours_to_stock(&l, &out);
		assert_int_equal(out.got, out.sent);
		stock_to_ours(&l, &in);
		assert_int_equal(in.got, in.sent);
		update_keys(&l);
	}
	rtls_session_close(l.ours->s);
	carry(&l);
	assert_int_equal(SSL_read(l.stock.ssl, &in, 1), 0);
	assert_int_equal(SSL_get_error(l.stock.ssl, 0), SSL_ERROR_ZERO_RETURN);
	(void)SSL_shutdown(l.stock.ssl);
	carry(&l);
	assert_true(l.ours->closed && !l.ours->failed);
	link_close(&l);
}

static void test_traffic(void **state)
{
	const uint64_t bytes = bytes_to_move();

	(void)state;
	print_message("seed %llu\n", (unsigned long long)test_seed);
	traffic(RTLS_CLIENT, NULL, "TLS_AES_128_GCM_SHA256", bytes);
	traffic(RTLS_SERVER, NULL, "TLS_AES_128_GCM_SHA256", bytes);
	traffic(RTLS_CLIENT, "evp", "TLS_AES_128_GCM_SHA256", bytes / 8);
	traffic(RTLS_SERVER, "evp", "TLS_AES_128_GCM_SHA256", bytes / 8);
	traffic(RTLS_CLIENT, NULL, "TLS_AES_256_GCM_SHA384", bytes / 8);
	traffic(RTLS_SERVER, "evp", "TLS_AES_256_GCM_SHA384", bytes / 8);
	traffic(RTLS_CLIENT, NULL, "TLS_CHACHA20_POLY1305_SHA256", bytes / 8);
	traffic(RTLS_SERVER, NULL, "TLS_CHACHA20_POLY1305_SHA256", bytes / 8);
}

/* A stock server sends two tickets after the handshake, and more when it likes. */
static void test_tickets(void **state)
{
	struct link l = { 0 };

	(void)state;
	link_open(&l, test_config(RTLS_CLIENT, NULL));
	assert_true(shake(&l, true));
	rtls_session_decide(l.ours->s, RTLS_TRUSTED);
	assert_int_equal(l.ours->s->n_quiet, 2);
	for (int i = 0; i < 2 * SESSION_QUIET_MAX && !l.ours->failed; i++) {
		assert_int_equal(SSL_new_session_ticket(l.stock.ssl), 1);
		(void)SSL_do_handshake(l.stock.ssl);
		carry(&l);
	}
	assert_true(l.ours->failed); /* but not for ever without data */
	assert_non_null(strstr(rtls_session_why(l.ours->s), "without data"));
	link_close(&l);
}

static void test_exporter(void **state)
{
	static const char *const labels[] = { "EXPORTER-ENG-attest-v1-client",
					      "EXPORTER-ENG-attest-v1-server" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct link l = { 0 };

		link_open(&l, test_config(i ? RTLS_SERVER : RTLS_CLIENT, NULL));
		assert_true(shake(&l, i == 0));
		for (int k = 0; k < 2; k++) {
			uint8_t want[EXPORTER_SIZE];

			assert_int_equal(SSL_export_keying_material(l.stock.ssl, want, sizeof(want),
								    labels[k], strlen(labels[k]),
								    NULL, 0, 0),
					 1);
			assert_memory_equal(want, l.ours->s->exporter[k], sizeof(want));
		}
		link_close(&l);
	}
}

/* TLS 1.2, whichever side is ours. */
static void test_old_version(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct link l = { 0 };

		link_open(&l, test_config(i ? RTLS_SERVER : RTLS_CLIENT, NULL));
		assert_int_equal(SSL_CTX_set_max_proto_version(l.stock.ctx, TLS1_2_VERSION), 1);
		assert_false(shake(&l, i == 0));
		assert_true(l.ours->failed && !l.ours->done);
		link_close(&l);
	}
}

static void alpn_case(enum rtls_role role, const char *offer, bool optional, bool passes)
{
	struct rtls_session_config config = test_config(role, NULL);
	struct link l = { 0 };

	config.alpn_optional = optional;
	link_open(&l, config);
	SSL_CTX_set_alpn_select_cb(l.stock.ctx, NULL, NULL);
	assert_int_equal(SSL_CTX_set_alpn_protos(l.stock.ctx, (const uint8_t *)offer,
						 (unsigned)strlen(offer)),
			 0);
	assert_int_equal(shake(&l, role == RTLS_CLIENT), passes);
	assert_int_equal(l.ours->failed, !passes);
	assert_string_equal(rtls_session_alpn(l.ours->s), "");
	if (!passes) {
		char byte;

		carry(&l);
		(void)SSL_read(l.stock.ssl, &byte, 1);
		assert_int_equal(stock_alert, ALERT_NO_APPLICATION_PROTOCOL);
	}
	link_close(&l);
}

static void test_alpn(void **state)
{
	(void)state;
	alpn_case(RTLS_SERVER, "", false, false);
	alpn_case(RTLS_SERVER, "", true, true);
	alpn_case(RTLS_SERVER, "\2h2", false, false);
	alpn_case(RTLS_SERVER, "\2h2", true, false);
	alpn_case(RTLS_SERVER, "\4eng/", true, false);
	alpn_case(RTLS_CLIENT, "", false, false); /* the server selects none */
	alpn_case(RTLS_CLIENT, "", true, true);
}

static int select_h2(SSL *ssl, const uint8_t **out, uint8_t *n_out, const uint8_t *in,
		     unsigned n_in, void *unused)
{
	(void)ssl, (void)in, (void)n_in, (void)unused;
	*out = (const uint8_t *)"h2";
	*n_out = 2;
	return SSL_TLSEXT_ERR_OK;
}

/* A server that selects what was not offered does not even pass where none would. */
static void test_alpn_forced(void **state)
{
	(void)state;
	for (int optional = 0; optional < 2; optional++) {
		struct rtls_session_config config = test_config(RTLS_CLIENT, NULL);
		struct link l = { 0 };

		config.alpn_optional = optional;
		link_open(&l, config);
		SSL_CTX_set_alpn_select_cb(l.stock.ctx, select_h2, NULL);
		assert_false(shake(&l, true));
		assert_true(l.ours->failed && !l.ours->done);
		link_close(&l);
	}
}

/* The stock side becomes a client without key and certificate. */
static void stock_anonymous(struct link *l)
{
	SSL_CTX_free(l->stock.ctx);
	l->stock.ctx = SSL_CTX_new(TLS_method());
	assert_non_null(l->stock.ctx);
	assert_int_equal(SSL_CTX_set_alpn_protos(l->stock.ctx, (const uint8_t *)"\5eng/1", 6), 0);
}

static void certificate_case(bool optional)
{
	struct rtls_session_config config = test_config(RTLS_SERVER, NULL);
	struct link l = { 0 };
	uint8_t data[64];
	size_t n;

	config.peer_certificate_optional = optional;
	link_open(&l, config);
	stock_anonymous(&l);
	assert_int_equal(shake(&l, false), optional);
	assert_int_equal(l.ours->failed, !optional);
	(void)rtls_session_peer_certificate(l.ours->s, &n);
	assert_int_equal(n, 0);
	assert_int_equal(rtls_session_report_data(l.ours->s, RTLS_CLIENT, NULL, 0, data),
			 optional ? -ENOENT : -EAGAIN);
	link_close(&l);
}

static void test_no_certificate(void **state)
{
	(void)state;
	certificate_case(false);
	certificate_case(true);
}

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	assert_non_null(cert);
	assert_true(X509_set_version(cert, X509_VERSION_3) == 1 &&
		    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
		    X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
		    X509_gmtime_adj(X509_getm_notAfter(cert), 1000) &&
		    X509_set_pubkey(cert, key) == 1 &&
		    X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return cert;
}

/* Keys of the stock client: which kinds are good enough. */
static void test_key_kinds(void **state)
{
	static const struct {
		const char *type, *group;
		size_t bits;
		bool passes;
	} kinds[] = { { "EC", "P-256", 0, true },   { "EC", "P-384", 0, true },
		      { "EC", "P-521", 0, false },  { "RSA", NULL, 2048, true },
		      { "RSA", NULL, 1024, false }, { "ED25519", NULL, 0, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct link l = { 0 };
		EVP_PKEY *key = kinds[i].group	? EVP_EC_gen(kinds[i].group)
				: kinds[i].bits ? EVP_RSA_gen((unsigned)kinds[i].bits)
						: EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type);
		X509 *cert = NULL;

		assert_non_null(key);
		link_open(&l, test_config(RTLS_SERVER, NULL));
		stock_anonymous(&l);
		SSL_CTX_set_security_level(l.stock.ctx, 0);
		cert = self_signed(key);
		assert_int_equal(SSL_CTX_use_certificate(l.stock.ctx, cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(l.stock.ctx, key), 1);
		if (shake(&l, false) != kinds[i].passes)
			fail_msg("%s %zu", kinds[i].group ? kinds[i].group : kinds[i].type,
				 kinds[i].bits);
		assert_int_equal(l.ours->failed, !kinds[i].passes);
		X509_free(cert);
		EVP_PKEY_free(key);
		link_close(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traffic),	       cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_exporter),       cmocka_unit_test(test_old_version),
		cmocka_unit_test(test_alpn),	       cmocka_unit_test(test_alpn_forced),
		cmocka_unit_test(test_no_certificate), cmocka_unit_test(test_key_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
