/*
 * OpenSSL does the handshake and nothing else. It reads from a memory BIO that gets one record at a
 * time, so that when it is done not a byte of what follows has gone into it; what follows is the
 * record layer's (record.c). The application traffic secrets come through the key log callback,
 * which is the one public way to them, and go nowhere else.
 *
 * Any certificate will do if its key is of a kind that is good enough: nobody vouches for it, and
 * CertificateVerify proves that the peer has the key. Who that peer is, is decided later, by
 * evidence about this key and this connection.
 */
#include "tls/handshake.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "tls/record.h"

enum { RSA_BITS_MIN = 2048 };

struct handshake {
	const struct rtls_session_config *config;
	SSL *ssl;
	BIO *in, *out; /* the ssl's */
	size_t n_in;
	bool has_failed;
	uint8_t secret[2][SUITE_SECRET_MAX];
	size_t n_secret[2];
	char why[WHY_MAX];
};

static struct handshake *handshake_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* "LABEL client-random secret", in hex */
static void take_secret(const SSL *ssl, const char *line)
{
	static const char *const labels[2] = { "CLIENT_TRAFFIC_SECRET_0 ",
					       "SERVER_TRAFFIC_SECRET_0 " };
	struct handshake *h = handshake_of(ssl);

	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		const char *hex;

		if (strncmp(line, labels[i], strlen(labels[i])) != 0)
			continue;
		hex = strchr(line + strlen(labels[i]), ' ');
		if (!hex || OPENSSL_hexstr2buf_ex(h->secret[i], SUITE_SECRET_MAX, &h->n_secret[i],
						  hex + 1, '\0') != 1)
			h->n_secret[i] = 0;
	}
}

static bool key_is_good(EVP_PKEY *key)
{
	char group[32] = "";
	size_t n;

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
	       (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0);
}

static int check_certificate(X509_STORE_CTX *store, void *unused)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
	EVP_PKEY *key = X509_get0_pubkey(X509_STORE_CTX_get0_cert(store));
	int error = X509_V_OK;

	(void)unused;
	if (sk_X509_num(chain) > HANDSHAKE_CHAIN_MAX)
		error = X509_V_ERR_CERT_CHAIN_TOO_LONG;
	else if (!key || !key_is_good(key))
		error = X509_V_ERR_EE_KEY_TOO_SMALL;
	X509_STORE_CTX_set_error(store, error);
	return error == X509_V_OK;
}

/* A server that insists on its protocol does not even start with a client that names none. */
static int check_hello(SSL *ssl, int *alert, void *unused)
{
	const struct rtls_session_config *c = handshake_of(ssl)->config;
	const uint8_t *ext;
	size_t n;

	(void)unused;
	if (!c->alpn || c->alpn_optional ||
	    SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext,
				      &n) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *n_out, const uint8_t *in,
		       unsigned n_in, void *unused)
{
	const char *alpn = handshake_of(ssl)->config->alpn;
	struct span list = SPAN(in, n_in), name;
	uint8_t n = 0;

	(void)unused;
	if (!alpn)
		return SSL_TLSEXT_ERR_NOACK;
	while (span_u8(&list, &n) && span_take(&list, n, &name)) {
		if (!span_equal(name, SPAN(alpn, strlen(alpn))))
			continue;
		*out = name.p;
		*n_out = n;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *handshake_context_new(X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());

	if (c && SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_ciphersuites(c, SUITES) == 1 &&
	    SSL_CTX_set1_groups_list(c, "X25519:P-256") == 1 &&
	    SSL_CTX_set1_sigalgs_list(c, "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:"
					 "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1 &&
	    SSL_CTX_set_num_tickets(c, 0) == 1 && SSL_CTX_use_certificate(c, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(c, key) == 1) {
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					       SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE);
		SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_max_early_data(c, 0);
		SSL_CTX_set_max_cert_list(c, HANDSHAKE_IN_MAX);
		SSL_CTX_set_keylog_callback(c, take_secret);
		SSL_CTX_set_cert_verify_callback(c, check_certificate, NULL);
		SSL_CTX_set_client_hello_cb(c, check_hello, NULL);
		SSL_CTX_set_alpn_select_cb(c, select_alpn, NULL);
		return c;
	}
	SSL_CTX_free(c);
	return NULL;
}

static bool offer_alpn(SSL *ssl, const char *alpn)
{
	uint8_t list[1 + HANDSHAKE_ALPN_MAX];
	struct wspan w = WSPAN(list, sizeof(list));

	wspan_u8(&w, (uint8_t)strlen(alpn));
	wspan_put(&w, alpn, strlen(alpn));
	return !w.overflow && SSL_set_alpn_protos(ssl, list, (unsigned)w.n) == 0;
}

static int make_ssl(struct handshake *h)
{
	const struct rtls_session_config *c = h->config;
	int verify = SSL_VERIFY_PEER;

	h->ssl = SSL_new(c->identity->tls);
	if (!h->ssl || SSL_set_app_data(h->ssl, h) != 1)
		return err_new(-ENOMEM);
	h->in = BIO_new(BIO_s_mem());
	h->out = BIO_new(BIO_s_mem());
	if (!h->in || !h->out) {
		BIO_free(h->in);
		BIO_free(h->out);
		return err_new(-ENOMEM);
	}
	SSL_set_bio(h->ssl, h->in, h->out); /* takes both */
	if (!c->peer_certificate_optional)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_set_verify(h->ssl, verify, NULL);
	if (c->role == RTLS_SERVER) {
		SSL_set_accept_state(h->ssl);
		return 0;
	}
	SSL_set_connect_state(h->ssl);
	return c->alpn && !offer_alpn(h->ssl, c->alpn) ? err_new(-ENOMEM) : 0;
}

static int advance(struct handshake *h)
{
	const char *reason;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(h->ssl);
	if (r == 1)
		return HANDSHAKE_E_DONE;
	if (SSL_get_error(h->ssl, r) == SSL_ERROR_WANT_READ)
		return 0;
	reason = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	if (!h->why[0])
		snprintf(h->why, sizeof(h->why), "handshake: %s",
			 reason ? reason : "ended by the peer");
	h->has_failed = true;
	return HANDSHAKE_E_FAILED;
}

int handshake_new(const struct rtls_session_config *config, struct handshake **out)
{
	struct handshake *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return err_new(-ENOMEM);
	h->config = config;
	r = make_ssl(h);
	if (r == 0 && config->role == RTLS_CLIENT && advance(h) != 0)
		r = err_new(-ENOMEM); /* it has read nothing that could be wrong */
	if (r < 0) {
		handshake_free(h);
		return err_pass(r);
	}
	*out = h;
	return 0;
}

void handshake_free(struct handshake *h)
{
	if (!h)
		return;
	SSL_free(h->ssl);
	OPENSSL_cleanse(h, sizeof(*h));
	free(h);
}

/* Alert, handshake, change_cipher_spec or data; version 3.x as all of TLS has it. */
bool handshake_peek(const uint8_t head[5], size_t *out_total)
{
	const size_t n = get_be16(head + 3);

	if (head[0] < CONTENT_CHANGE_CIPHER_SPEC || head[0] > CONTENT_DATA || head[1] != 3 ||
	    n > RECORD_ANY_MAX)
		return false;
	*out_total = RECORD_HEAD + n;
	return true;
}

int handshake_feed(struct handshake *h, struct span record)
{
	if (h->has_failed)
		return HANDSHAKE_E_FAILED;
	h->n_in += record.n;
	if (h->n_in > HANDSHAKE_IN_MAX) {
		handshake_abort(h, "handshake: too long");
		return HANDSHAKE_E_FAILED;
	}
	if (BIO_write(h->in, record.p, (int)record.n) != (int)record.n) {
		handshake_abort(h, "handshake: out of memory");
		return HANDSHAKE_E_FAILED;
	}
	return advance(h);
}

/*
 * OpenSSL has no call for "send an alert", and only it has the keys for one. So it gets the head of
 * a record that is too long, to which its answer is an alert.
 */
void handshake_abort(struct handshake *h, const char *why)
{
	static const uint8_t too_long[RECORD_HEAD] = { CONTENT_HANDSHAKE, 3, 3, 0xff, 0xff };

	if (h->has_failed)
		return;
	h->has_failed = true;
	snprintf(h->why, sizeof(h->why), "%s", why);
	if (BIO_write(h->in, too_long, sizeof(too_long)) == (int)sizeof(too_long))
		(void)advance(h);
}

struct span handshake_output(struct handshake *h)
{
	char *p = NULL;
	long n = BIO_get_mem_data(h->out, &p);

	return SPAN(p, n > 0 ? (size_t)n : 0);
}

void handshake_output_done(struct handshake *h)
{
	(void)BIO_reset(h->out);
}

const char *handshake_why(const struct handshake *h)
{
	return h->why;
}

static int take_certificate(struct handshake *h, struct handshake_result *r, size_t peer)
{
	X509 *cert = SSL_get0_peer_certificate(h->ssl);
	uint8_t *p;
	int n;

	if (!cert)
		return 0; /* the configuration allows it, or the handshake had failed */
	n = i2d_X509(cert, NULL);
	if (n <= 0 || !spki_digest(X509_get0_pubkey(cert), r->spki[peer]))
		return err_new(-ENOMEM);
	r->peer_cert = p = malloc((size_t)n);
	if (!p)
		return err_new(-ENOMEM);
	r->n_peer_cert = (size_t)i2d_X509(cert, &p);
	r->has_certificate[peer] = true;
	return 0;
}

int handshake_finish(struct handshake *h, struct handshake_result *out)
{
	static const char *const labels[2] = { "EXPORTER-ENG-attest-v1-client",
					       "EXPORTER-ENG-attest-v1-server" };
	const struct rtls_session_config *c = h->config;
	const SSL_CIPHER *cipher = SSL_get_current_cipher(h->ssl);
	const size_t own = c->role - 1, peer = 1 - own;
	struct handshake_result r = { .wants_alpn = c->alpn && !c->alpn_optional,
				      .has_rest = BIO_ctrl_pending(h->in) > 0 ||
						  SSL_has_pending(h->ssl) };
	const uint8_t *alpn;
	unsigned n_alpn;

	r.suite = cipher ? suite_find(SSL_CIPHER_get_protocol_id(cipher)) : NULL;
	if (!r.suite || h->n_secret[0] != r.suite->n_secret || h->n_secret[1] != r.suite->n_secret)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < 2; i++)
		if (SSL_export_keying_material(h->ssl, r.exporter[i], EXPORTER_SIZE, labels[i],
					       strlen(labels[i]), NULL, 0, 0) != 1)
			return err_new(-ENOMEM);
	memcpy(r.secret, h->secret, sizeof(r.secret));
	memcpy(r.spki[own], c->identity->spki, SPKI_DIGEST);
	r.has_certificate[own] = true;
	SSL_get0_alpn_selected(h->ssl, &alpn, &n_alpn);
	r.has_alpn = c->alpn && span_equal(SPAN(alpn, n_alpn), SPAN(c->alpn, strlen(c->alpn)));
	if (n_alpn > 0 && !r.has_alpn)
		r.wants_alpn = true; /* another one than was offered */
	if (take_certificate(h, &r, peer) < 0) {
		OPENSSL_cleanse(&r, sizeof(r));
		return err_new(-ENOMEM);
	}
	*out = r;
	OPENSSL_cleanse(&r, sizeof(r));
	return 0;
}
