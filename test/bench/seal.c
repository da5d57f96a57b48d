/*
 * What the record layer costs on one core, in GB of plaintext a second: sealing and opening of full
 * records by each backend, and the same through libssl's SSL_write() and SSL_read() over memory.
 *
 *   bench_seal [milliseconds of processor per pair of lines]
 */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/session.h"

enum {
	RECORDS = 16, /* at a time: 256 KiB, as a busy link reads and writes */
	PLAIN = RECORDS * RTLS_RECORD_MAX,
	WIRE = RECORDS * (RTLS_RECORD_MAX + RTLS_RECORD_OVERHEAD),
	PIECE = 1448, /* a packet, where plaintext is scattered */
};

static uint8_t plain[PLAIN], wire[WIRE], opened[PLAIN];
static struct iovec whole = { plain, PLAIN }, pieces[PLAIN / PIECE + 1];

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_seal: %s\n", what);
	exit(1);
}

/* Of the processor, so that what else runs on the machine counts less. */
static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void print(const char *what, const char *how, uint64_t bytes, uint64_t us)
{
	printf("%-34s %-9s %6.2f GB/s\n", what, how, (double)bytes / (double)us / 1000);
}

static struct rtls_session *make(enum rtls_role role, const char *backend, uint16_t suite)
{
	const struct rtls_session_config config = { .size = sizeof(config),
						    .role = role,
						    .cipher_backend = backend };
	const struct handshake_result secrets = { .suite = suite_find(suite) };
	struct rtls_session *s = NULL;

	need(session_new_established(&config, &secrets, &s) == 0, "no session");
	rtls_session_decide(s, RTLS_TRUSTED);
	return s;
}

/* Seals and opens until the time is up, and clocks each by itself. */
static void run(const char *backend, uint16_t suite, const struct iovec *iov, int n_iov,
		uint64_t us)
{
	struct rtls_session *from = make(RTLS_CLIENT, backend, suite);
	struct rtls_session *to = make(RTLS_SERVER, backend, suite);
	uint64_t seal_us = 0, open_us = 0, bytes = 0, start, middle;
	size_t taken, n, used, got;
	char what[64];

	while (seal_us + open_us < us) {
		start = now_us();
		need(rtls_session_seal(from, iov, n_iov, 0, wire, sizeof(wire), &taken, &n) == 0 &&
			     taken == PLAIN,
		     "cannot seal");
		middle = now_us();
		need(rtls_session_feed(to, wire, n, &used, opened, sizeof(opened), &got) == 0 &&
			     got == PLAIN,
		     "cannot open");
		open_us += now_us() - middle;
		seal_us += middle - start;
		bytes += PLAIN;
	}
	snprintf(what, sizeof(what), "%s%s", rtls_session_cipher(from) + strlen("TLS_"),
		 n_iov > 1 ? " 1448" : "");
	print(what, "seal", bytes, seal_us);
	print(what, "open", bytes, open_us);
	rtls_session_free(from);
	rtls_session_free(to);
}

static SSL *make_ssl(SSL_CTX *ctx, BIO *in, BIO *out, bool server)
{
	SSL *ssl = SSL_new(ctx);

	need(ssl && BIO_up_ref(in) && BIO_up_ref(out), "no SSL");
	SSL_set_bio(ssl, in, out);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static void run_libssl(SSL_CTX *ctx, const char *suite, uint64_t us)
{
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	SSL *client, *server;
	uint64_t seal_us = 0, open_us = 0, bytes = 0, start, middle;
	size_t n;

	need(up && down && SSL_CTX_set_ciphersuites(ctx, suite) == 1, "no suite");
	client = make_ssl(ctx, down, up, false);
	server = make_ssl(ctx, up, down, true);
	for (int i = 0; i < 4; i++)
		(void)SSL_do_handshake(i % 2 == 0 ? client : server);
	need(SSL_is_init_finished(client) && SSL_is_init_finished(server), "no handshake");
	while (seal_us + open_us < us) {
		start = now_us();
		need(SSL_write_ex(client, plain, PLAIN, &n) == 1 && n == PLAIN, "SSL_write");
		middle = now_us();
		for (size_t done = 0; done < PLAIN; done += n)
			need(SSL_read_ex(server, opened, PLAIN, &n) == 1, "SSL_read");
		open_us += now_us() - middle;
		seal_us += middle - start;
		bytes += PLAIN;
	}
	print(suite + strlen("TLS_"), "SSL_write", bytes, seal_us);
	print(suite + strlen("TLS_"), "SSL_read", bytes, open_us);
	SSL_free(client);
	SSL_free(server);
	BIO_free(up);
	BIO_free(down);
}

int main(int argc, char **argv)
{
	const uint64_t us = argc > 1 ? strtoull(argv[1], NULL, 10) * 1000 : 200000;
	const char *const backends[] = { "ipsec-mb", "evp" };
	struct rtls_identity *id = NULL;
	int n_pieces = 0;

	for (size_t at = 0; at < PLAIN; at += PIECE) {
		const size_t left = PLAIN - at;

		pieces[n_pieces++] = (struct iovec){ plain + at, left < PIECE ? left : PIECE };
	}
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		for (uint16_t suite = 0x1301; aead_is_here(backends[i]) && suite <= 0x1303;
		     suite++) {
			if (!aead_find(backends[i], suite_find(suite)->alg))
				continue;
			run(backends[i], suite, &whole, 1, us);
			run(backends[i], suite, pieces, n_pieces, us);
		}
	need(rtls_identity_new(&id) == 0, "no identity");
	SSL_CTX_set_verify(id->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_client_hello_cb(id->tls, NULL, NULL);
	SSL_CTX_set_alpn_select_cb(id->tls, NULL, NULL);
	SSL_CTX_set_keylog_callback(id->tls, NULL);
	run_libssl(id->tls, "TLS_AES_128_GCM_SHA256", us);
	run_libssl(id->tls, "TLS_AES_256_GCM_SHA384", us);
	run_libssl(id->tls, "TLS_CHACHA20_POLY1305_SHA256", us);
	rtls_identity_free(id);
	return 0;
}
