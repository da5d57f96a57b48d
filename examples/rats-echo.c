/*
 * An echo client and server over attested TLS, with librats_tls alone: how a program with a
 * blocking socket uses a session. Evidence is that of the peer's certificate (Interoperable
 * RA-TLS), so it also talks to the samples of the original rats-tls.
 *
 *   cc rats-echo.c $(pkg-config --cflags --libs rats_tls) -o rats-echo
 *   ./rats-echo server 1234 --attester tpm --unattested
 *   ./rats-echo client 192.0.2.1 1234 --policy policy.yaml [--collateral PATH]
 *
 * What the peer must prove is said by --policy, or by --unattested: nothing. Without either it does
 * not start. Certificate evidence is not fresh: who has the key can show it again. Peers that know
 * eng/1 prove themselves anew in every session (docs/wire.md).
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <rats_tls.h>

enum {
	BUFFER = 64 * 1024,
	LINE = 512,
	TIMEOUT_S = 30, /* of a peer that says nothing */
};

struct setup {
	struct rtls_identity *identity;
	struct rtls_policy *policy; /* NULL: --unattested */
	struct rtls_collateral *collateral;
};

struct link {
	int fd;
	struct rtls_session *session;
	uint8_t sealed[BUFFER], plain[BUFFER];
	size_t n_sealed; /* received, and not fed yet */
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "rats-echo: %s: %s\n", what, why);
	return -1;
}

static int send_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		const ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return complain("send", strerror(errno));
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* What the session itself has to say: handshake, alerts. */
static int talk(struct link *l)
{
	uint8_t out[BUFFER];
	size_t n;

	do {
		if (rtls_session_drain(l->session, out, sizeof(out), &n) != 0)
			return complain("session", "nothing can be said");
		if (n > 0 && send_all(l->fd, out, n) < 0)
			return -1;
	} while (n > 0);
	return 0;
}

/* Waits for more from the peer. 1: something came; 0: it has closed; -1: told. */
static int receive(struct link *l)
{
	ssize_t n;

	do
		n = recv(l->fd, l->sealed + l->n_sealed, sizeof(l->sealed) - l->n_sealed, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return complain("receive", strerror(errno));
	l->n_sealed += (size_t)n;
	return n > 0;
}

/*
 * Feeds what is there; *out_plain bytes come out. Returns the event that ends the feed, NONE if it
 * used everything up.
 */
static enum rtls_event feed(struct link *l, size_t *out_plain)
{
	size_t used = 0;
	const int r = rtls_session_feed(l->session, l->sealed, l->n_sealed, &used, l->plain,
					sizeof(l->plain), out_plain);

	memmove(l->sealed, l->sealed + used, l->n_sealed - used);
	l->n_sealed -= used;
	return r < 0 ? RTLS_EVENT_FAILED : rtls_session_next_event(l->session);
}

static int fail(struct link *l)
{
	(void)talk(l); /* the alert */
	return complain("session", rtls_session_why(l->session));
}

static int shake_hands(struct link *l)
{
	for (;;) {
		size_t n = 0;
		enum rtls_event event;

		if (talk(l) < 0)
			return -1;
		if (l->n_sealed == 0 && receive(l) <= 0)
			return complain("handshake", "the peer has closed");
		event = feed(l, &n);
		if (event == RTLS_EVENT_HANDSHAKE_DONE)
			return talk(l);
		if (event != RTLS_EVENT_NONE)
			return fail(l);
	}
}

/* The one place where the peer becomes trusted. */
static enum rtls_result judge(const struct setup *s, const struct link *l)
{
	struct rtls_context context = { .size = sizeof(context), .time = time(NULL) };
	struct rtls_verdict *verdict = NULL;
	enum rtls_result result;
	const void *certificate;
	size_t n;

	if (!s->policy)
		return RTLS_TRUSTED;
	certificate = rtls_session_peer_certificate(l->session, &n);
	if (n == 0 || rtls_appraise(s->policy, s->collateral, certificate, n, &context, &verdict)) {
		fprintf(stderr, "rats-echo: the peer has shown no evidence\n");
		return RTLS_REJECTED;
	}
	result = rtls_verdict_result(verdict);
	if (result == RTLS_TRUSTED)
		fprintf(stderr, "rats-echo: the peer is trusted: %s\n", rtls_verdict_tee(verdict));
	else
		fprintf(stderr, "rats-echo: the peer is refused: %s: %s\n",
			rtls_check_name(rtls_verdict_failed(verdict)), rtls_verdict_why(verdict));
	rtls_verdict_free(verdict);
	return result;
}

static int send_plain(struct link *l, const void *bytes, size_t n)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	uint8_t out[BUFFER];
	size_t at = 0, taken, n_out;

	while (at < n) {
		if (rtls_session_seal(l->session, &iov, 1, at, out, sizeof(out), &taken, &n_out))
			return fail(l);
		at += taken;
		if (send_all(l->fd, out, n_out) < 0)
			return -1;
	}
	return 0;
}

/* 1: *out_n bytes are in l->plain; 0: the peer has said its last; -1: told. */
static int receive_plain(struct link *l, size_t *out_n)
{
	for (;;) {
		enum rtls_event event;
		int r = 1;

		if (l->n_sealed == 0)
			r = receive(l);
		if (r <= 0)
			return r == 0 ? complain("session", "cut off without close_notify") : -1;
		event = feed(l, out_n);
		if (event == RTLS_EVENT_FAILED)
			return fail(l);
		if (talk(l) < 0)
			return -1;
		if (*out_n > 0)
			return 1;
		if (event == RTLS_EVENT_CLOSED)
			return 0;
	}
}

static int serve(struct link *l)
{
	size_t n;
	int r;

	while ((r = receive_plain(l, &n)) > 0)
		if (send_plain(l, l->plain, n) < 0)
			return -1;
	return r;
}

static int ask(struct link *l)
{
	static const char hello[] = "Hello and welcome to RATS-TLS!\n";
	size_t n = 0;
	int r;

	if (send_plain(l, hello, sizeof(hello) - 1) < 0)
		return -1;
	r = receive_plain(l, &n);
	if (r > 0)
		printf("echo: %.*s", (int)n, (const char *)l->plain);
	return r > 0 ? 0 : complain("echo", "none came");
}

static int run(const struct setup *s, int fd, enum rtls_role role)
{
	const struct rtls_session_config config = { .size = sizeof(config),
						    .role = role,
						    .identity = s->identity,
						    .peer_certificate_optional = !s->policy };
	static struct link l;
	enum rtls_result result;
	int r;

	l = (struct link){ .fd = fd };
	if (rtls_session_new(&config, &l.session) != 0)
		return complain("session", "out of memory");
	r = shake_hands(&l);
	if (r == 0) {
		result = judge(s, &l);
		rtls_session_decide(l.session, result);
		if (result != RTLS_TRUSTED)
			r = fail(&l);
	}
	if (r == 0)
		r = role == RTLS_SERVER ? serve(&l) : ask(&l);
	if (r == 0) {
		rtls_session_close(l.session);
		r = talk(&l);
	}
	rtls_session_free(l.session);
	return r;
}

static int set_up_attester(struct setup *s, const char *spec)
{
	struct rtls_attester *attester = NULL;
	char name[LINE], why[LINE] = "";
	uint8_t report_data[64];
	void *evidence = NULL;
	size_t n = 0;
	char *colon;
	int r;

	snprintf(name, sizeof(name), "%s", spec);
	colon = strchr(name, ':');
	if (colon)
		*colon++ = '\0';
	r = rtls_attester_open(name, colon, &attester, why, sizeof(why));
	if (r == 0)
		r = rtls_identity_report_data(s->identity, report_data);
	if (r == 0)
		r = rtls_attester_evidence(attester, report_data, &evidence, &n, why, sizeof(why));
	if (r == 0)
		r = rtls_identity_set_evidence(s->identity, evidence, n, NULL, 0);
	free(evidence);
	rtls_attester_close(attester);
	return r < 0 ? complain(spec, why[0] ? why : strerror(-r)) : 0;
}

static int set_up_policy(struct setup *s, const char *policy, const char *collateral)
{
	char why[LINE] = "";
	int r;

	r = rtls_policy_load(policy, &s->policy, why, sizeof(why));
	if (r < 0)
		return complain(policy, why[0] ? why : strerror(-r));
	if (!collateral)
		collateral = rtls_policy_collateral_path(s->policy);
	if (!collateral)
		return 0;
	r = rtls_collateral_new(&s->collateral);
	if (r == 0)
		r = rtls_collateral_load(s->collateral, collateral);
	if (r == 0)
		r = rtls_collateral_seal(s->collateral);
	return r < 0 ? complain(collateral, strerror(-r)) : 0;
}

/* A connected socket, or one that listens; -1 after a message. */
static int open_socket(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = host ? 0 : AI_PASSIVE };
	struct addrinfo *list = NULL;
	const int on = 1;
	int fd = -1, r;

	r = getaddrinfo(host, port, &hints, &list);
	if (r != 0)
		return complain(host ? host : port, gai_strerror(r));
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd < 0)
			continue;
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (host ? connect(fd, a->ai_addr, a->ai_addrlen)
			 : bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 16)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd < 0 ? complain(port, strerror(errno)) : fd;
}

static int run_at(const struct setup *s, int fd, enum rtls_role role)
{
	const struct timeval limit = { .tv_sec = TIMEOUT_S };
	int r;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	r = run(s, fd, role);
	close(fd);
	return r;
}

static int usage(void)
{
	fprintf(stderr, "usage: rats-echo server PORT | client HOST PORT\n"
			"       [--attester NAME[:OPTIONS]] --policy FILE | --unattested "
			"[--collateral PATH]\n");
	return 2;
}

struct words {
	const char *attester, *policy, *collateral;
	const char *host, *port; /* host NULL: a server */
};

/* 0, or the status to end with. */
static int parse(int argc, char **argv, struct words *w)
{
	static const struct option options[] = { { "attester", required_argument, NULL, 'a' },
						 { "policy", required_argument, NULL, 'p' },
						 { "collateral", required_argument, NULL, 'c' },
						 { "unattested", no_argument, NULL, 'u' },
						 { NULL, 0, NULL, 0 } };
	bool is_unattested = false, is_server;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'a')
			w->attester = optarg;
		else if (c == 'p')
			w->policy = optarg;
		else if (c == 'c')
			w->collateral = optarg;
		else if (c == 'u')
			is_unattested = true;
		else
			return usage();
	}
	argc -= optind;
	argv += optind;
	is_server = argc == 2 && strcmp(argv[0], "server") == 0;
	if ((!is_server && (argc != 3 || strcmp(argv[0], "client") != 0)) ||
	    (w->policy == NULL) != is_unattested)
		return usage();
	w->host = is_server ? NULL : argv[1];
	w->port = argv[argc - 1];
	return 0;
}

static int work(struct setup *s, const struct words *w)
{
	int fd, r;

	if (rtls_identity_new(&s->identity) != 0)
		return complain("key", "out of memory");
	if ((w->attester && set_up_attester(s, w->attester) < 0) ||
	    (w->policy && set_up_policy(s, w->policy, w->collateral) < 0))
		return -1;
	fd = open_socket(w->host, w->port);
	if (fd < 0)
		return -1;
	if (w->host)
		return run_at(s, fd, RTLS_CLIENT);
	fprintf(stderr, "rats-echo: listening\n");
	for (;;) { /* one peer after the other; what is wrong with one is told and not the end */
		r = accept(fd, NULL, NULL);
		if (r >= 0)
			(void)run_at(s, r, RTLS_SERVER);
	}
}

int main(int argc, char **argv)
{
	struct words w = { 0 };
	struct setup s = { 0 };
	int r;

	r = parse(argc, argv, &w);
	if (r != 0)
		return r;
	r = work(&s, &w);
	rtls_collateral_free(s.collateral);
	rtls_policy_free(s.policy);
	rtls_identity_free(s.identity);
	return r == 0 ? 0 : 1;
}
