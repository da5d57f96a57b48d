/*
 * A rats-tls channel against a session of librats_tls that the test drives: the order of HELLO,
 * CHALLENGE, EVIDENCE and ACCEPT, what offends, that nothing opens without a verdict, and that
 * packets cross TLS whole, uncopied and without an allocation. Appraiser and prover are replaced by
 * this file, so that each verdict and its moment are the test's choice.
 */
#include "chan/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/test.h"
#include "chan/appraiser.h"
#include "chan/prover.h"
#include "io/stream.h"
#include "wire/attest.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned long n_allocations;
static long fail_at = -1; /* the allocation that fails; -1 none */
static bool is_channel;	  /* those of the peer, in this test, do not count */

static int allocation_fails(void)
{
	if (!is_channel)
		return 0;
	n_allocations++;
	return fail_at >= 0 && fail_at-- == 0;
}

static void loop(struct event_base *base)
{
	is_channel = true;
	event_base_loop(base, EVLOOP_NONBLOCK);
	is_channel = false;
}

void *__wrap_malloc(size_t n)
{
	return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : __real_realloc(p, n);
}

/* --- appraiser and prover --- */

struct job {
	job_done_fn done;
	void *owner;
	bool is_there, is_stranger, has_report_data, was_cancelled;
	uint8_t report_data[64];
	char evidence[300];
	size_t n_evidence, n_endorsements;
};

static struct job appraising, proving;
static int full_for; /* so many submissions find the queue full */

static int take(struct job *j, job_done_fn done, void *owner, bool is_stranger, struct job **out)
{
	if (full_for > 0) {
		full_for--;
		return JOBS_E_FULL;
	}
	assert_false(j->is_there);
	*j = (struct job){
		.done = done, .owner = owner, .is_there = true, .is_stranger = is_stranger
	};
	*out = j;
	return 0;
}

int appraiser_submit(struct appraiser *a, const struct appraiser_question *q, job_done_fn done,
		     void *owner, struct job **out)
{
	const int r = take(&appraising, done, owner, q->is_stranger, out);

	assert_non_null(a);
	if (r != 0)
		return r;
	appraising.has_report_data = q->report_data != NULL;
	if (q->report_data)
		memcpy(appraising.report_data, q->report_data, 64);
	appraising.n_evidence = q->evidence.n;
	appraising.n_endorsements = q->endorsements.n;
	memcpy(appraising.evidence, q->evidence.p,
	       q->evidence.n < sizeof(appraising.evidence) ? q->evidence.n
							   : sizeof(appraising.evidence));
	return 0;
}

void appraiser_read(struct span reply, const char *why, struct appraisal *out)
{
	*out = (struct appraisal){ 0 };
	snprintf(out->why, sizeof(out->why), "%s", why);
	if (reply.n == sizeof(*out))
		memcpy(out, reply.p, sizeof(*out));
}

int prover_submit(struct prover *p, bool is_stranger, const uint8_t report_data[PROVER_REPORT_DATA],
		  job_done_fn done, void *owner, struct job **out)
{
	const int r = take(&proving, done, owner, is_stranger, out);

	assert_non_null(p);
	if (r == 0)
		memcpy(proving.report_data, report_data, 64);
	return r;
}

bool prover_read(struct span reply, const char *why, struct span *out_evidence,
		 struct span *out_endorsements, char *message)
{
	snprintf(message, PROVER_MESSAGE_MAX, "%s", why);
	*out_evidence = reply;
	*out_endorsements = SPAN(NULL, 0);
	return reply.p != NULL;
}

void job_cancel(struct job *job)
{
	if (!job)
		return;
	assert_true(job->is_there);
	job->is_there = false;
	job->was_cancelled = true;
}

static void end_job(struct job *j, struct span reply, const char *why)
{
	assert_true(j->is_there);
	j->is_there = false;
	j->done(j->owner, reply, why);
}

static void verdict_with(enum rtls_result result, const char *prefix)
{
	static struct appraisal a;

	a = (struct appraisal){ .result = result, .name = "peer", .why = "MEASUREMENT: other" };
	if (prefix)
		assert_true(prefix_parse(prefix, false, &a.prefixes[a.n_prefixes++]));
	end_job(&appraising, SPAN((const uint8_t *)&a, sizeof(a)), "");
}

static void verdict(enum rtls_result result)
{
	verdict_with(result, "192.168.0.1/32");
}

static void prove(const char *evidence)
{
	end_job(&proving, SPAN((const uint8_t *)evidence, strlen(evidence)), "");
}

/* --- the channel, and the peer --- */

struct fixture {
	struct event_base *base;
	struct chan_loop *loop;
	struct chan *c;
	struct chan_trust trust;
	struct rtls_identity *own_key, *peer_key;
	int fd;
	bool dial;
	struct rtls_session *peer;
	uint8_t *got; /* plaintext from the channel, GOT_MAX bytes */
	size_t n_got;
	bool peer_done, peer_closed, peer_failed;
	/* What the handler has seen. */
	enum chan_reason closed;
	char detail[CONTROL_TEXT_MAX + 1];
	int n_open, n_closed, n_packets, n_reattested, n_regranted, n_writable;
	bool echo;
	struct iovec run;
};

enum { GOT_MAX = 16 * 1024 * 1024 };

static enum chan_reason on_open(void *owner, struct chan *c)
{
	assert_int_equal(chan_state(c), CHAN_OPEN);
	((struct fixture *)owner)->n_open++;
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	struct fixture *f = owner;

	f->n_packets++;
	if (!f->echo)
		return CHAN_OK;
	if (f->run.iov_len > 0 && (uint8_t *)f->run.iov_base + f->run.iov_len != p->frame.p) {
		chan_send(c, &f->run, 1);
		f->run.iov_len = 0;
	}
	if (f->run.iov_len == 0)
		f->run.iov_base = (void *)(uintptr_t)p->frame.p;
	f->run.iov_len += p->frame.n;
	return CHAN_OK;
}

static enum chan_reason on_routes(void *owner, struct chan *c, const struct control_routes *r)
{
	(void)owner;
	(void)c;
	(void)r;
	return CHAN_OK;
}

static void on_batch_end(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	if (f->run.iov_len > 0)
		chan_send(c, &f->run, 1);
	f->run.iov_len = 0;
}

static enum chan_reason on_reattested(void *owner, struct chan *c, bool changed)
{
	struct fixture *f = owner;

	(void)c;
	f->n_reattested++;
	f->n_regranted += changed;
	return CHAN_OK;
}

static void on_writable(void *owner, struct chan *c)
{
	(void)c;
	((struct fixture *)owner)->n_writable++;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct fixture *f = owner;

	f->closed = why;
	f->n_closed++;
	snprintf(f->detail, sizeof(f->detail), "%s", c->detail);
	f->c = NULL;
}

static const struct chan_handler handler = {
	.open = on_open,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
	.reattested = on_reattested,
	.writable = on_writable,
	.closed = on_closed,
};

static const struct control_hello own = {
	.version = CONTROL_VERSION,
	.role = CONTROL_ROLE_GATEWAY,
	.node_id = { 1 },
	.name = "gateway",
	.features = CONTROL_FEATURE_GSO,
	.mtu = 65535,
};

/* Never followed: the doubles above want to see that they were given. */
static struct appraiser *const some_appraiser = (struct appraiser *)&appraising;
static struct prover *const some_prover = (struct prover *)&proving;

static void accept_channel(struct fixture *f, const struct chan_config *cfg)
{
	struct addr peer;
	int fds[2];

	assert_true(addr_parse("192.0.2.1", &peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	f->fd = fds[1];
	if (chan_accept_take_fd(f->loop, cfg, fds[0], &peer, 4711, &f->c) < 0)
		f->c = NULL;
}

static void dial_channel(struct fixture *f, const struct chan_config *cfg)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	const struct stream_options o = { 0 };
	socklen_t n = sizeof(sa);
	struct addr to;
	int ls = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(ls, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(ls, 1), 0);
	assert_int_equal(getsockname(ls, (struct sockaddr *)&sa, &n), 0);
	assert_true(addr_parse("127.0.0.1", &to));
	assert_int_equal(chan_connect(f->loop, cfg, &to, ntohs(sa.sin_port), &o, &f->c), 0);
	f->fd = accept(ls, NULL, NULL);
	assert_true(f->fd >= 0);
	close(ls);
	assert_int_equal(setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
}

static struct chan_config config(struct fixture *f)
{
	return (struct chan_config){
		.handler = &handler, .owner = f, .expect = CONTROL_ROLE_AGENT, .trust = &f->trust
	};
}

static struct rtls_session_config peer_config(const struct fixture *f)
{
	return (struct rtls_session_config){ .size = sizeof(struct rtls_session_config),
					     .role = f->dial ? RTLS_SERVER : RTLS_CLIENT,
					     .identity = f->peer_key,
					     .alpn = "eng/1" };
}

/* dial: the channel does. */
static void fixture_new(struct fixture *f, bool dial)
{
	*f = (struct fixture){ .base = event_base_new(), .dial = dial, .fd = -1 };
	appraising = proving = (struct job){ 0 };
	full_for = 0;
	assert_non_null(f->base);
	f->got = malloc(GOT_MAX);
	assert_non_null(f->got);
	assert_int_equal(rtls_identity_new(&f->own_key), 0);
	assert_int_equal(rtls_identity_new(&f->peer_key), 0);
	f->trust = (struct chan_trust){ .identity = f->own_key,
					.prover = some_prover,
					.appraiser = some_appraiser,
					.reattest_s = 3600 };
	assert_int_equal(chan_loop_new(f->base, &own, &f->loop), 0);
}

static void connect_both(struct fixture *f, const struct chan_config *cfg,
			 struct rtls_session_config *peer)
{
	if (f->dial)
		dial_channel(f, cfg);
	else
		accept_channel(f, cfg);
	assert_int_equal(fcntl(f->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(rtls_session_new(peer, &f->peer), 0);
}

static void spin(struct fixture *f)
{
	for (int i = 0; i < 4; i++)
		loop(f->base);
}

static void put_all(struct fixture *f, const uint8_t *bytes, size_t n)
{
	ssize_t put;

	while (n > 0) {
		put = send(f->fd, bytes, n, MSG_NOSIGNAL);
		if (put < 0 && errno != EAGAIN)
			return; /* the channel is closed */
		if (put > 0) {
			bytes += put;
			n -= (size_t)put;
		}
		loop(f->base);
	}
}

static void peer_talk(struct fixture *f)
{
	uint8_t out[20000];
	size_t n;

	while (rtls_session_drain(f->peer, out, sizeof(out), &n) == 0 && n > 0)
		put_all(f, out, n);
}

static void peer_events(struct fixture *f)
{
	enum rtls_event e;

	while ((e = rtls_session_next_event(f->peer)) != RTLS_EVENT_NONE) {
		if (e == RTLS_EVENT_HANDSHAKE_DONE) {
			f->peer_done = true;
			rtls_session_decide(f->peer, RTLS_TRUSTED);
		}
		f->peer_closed = f->peer_closed || e == RTLS_EVENT_CLOSED;
		f->peer_failed = f->peer_failed || e == RTLS_EVENT_FAILED;
	}
}

/* True: something came from the channel. */
static bool peer_listen(struct fixture *f)
{
	static uint8_t in[65536];
	ssize_t n = read(f->fd, in, sizeof(in));
	size_t at = 0, used, got;

	while (n > 0 && at < (size_t)n) {
		assert_true(GOT_MAX - f->n_got >= RTLS_RECORD_MAX);
		if (rtls_session_feed(f->peer, in + at, (size_t)n - at, &used, f->got + f->n_got,
				      GOT_MAX - f->n_got, &got) < 0)
			used = (size_t)n - at;
		at += used;
		f->n_got += got;
		peer_events(f);
	}
	peer_talk(f);
	return n > 0;
}

/* Until neither side has anything to say. TCP on loopback may take a moment. */
static void exchange(struct fixture *f)
{
	for (int quiet = 0; quiet < 3; quiet++) {
		spin(f);
		peer_talk(f);
		spin(f);
		if (peer_listen(f))
			quiet = -1;
		else if (f->dial)
			usleep(1000);
	}
}

/* Plaintext of the peer's, in records of at most `record` bytes. */
static void say_in(struct fixture *f, const uint8_t *bytes, size_t n, size_t record)
{
	uint8_t out[RTLS_RECORD_MAX + 1000];
	size_t taken, n_out;

	while (n > 0) {
		const size_t part = n < record ? n : record;
		const struct iovec iov = { (void *)(uintptr_t)bytes, part };

		if (rtls_session_seal(f->peer, &iov, 1, 0, out, sizeof(out), &taken, &n_out) != 0)
			return;
		bytes += taken;
		n -= taken;
		put_all(f, out, n_out);
	}
}

static void say(struct fixture *f, const void *bytes, size_t n)
{
	say_in(f, bytes, n, RTLS_RECORD_MAX);
	exchange(f);
}

static void fixture_start(struct fixture *f, bool dial)
{
	struct rtls_session_config peer;
	struct chan_config cfg;

	fixture_new(f, dial);
	cfg = config(f);
	peer = peer_config(f);
	connect_both(f, &cfg, &peer);
	exchange(f);
	assert_true(f->peer_done);
}

static void fixture_end(struct fixture *f)
{
	chan_loop_drain(f->loop);
	spin(f);
	if (f->fd >= 0)
		close(f->fd);
	assert_int_equal(chan_loop_count(f->loop), 0);
	assert_int_equal(chan_loop_strangers(f->loop), 0);
	assert_int_equal(f->loop->budget.used, 0);
	assert_false(appraising.is_there); /* a channel that is gone leaves no job behind */
	assert_false(proving.is_there);
	chan_loop_free(f->loop);
	event_base_free(f->base);
	rtls_session_free(f->peer);
	rtls_identity_free(f->own_key);
	rtls_identity_free(f->peer_key);
	free(f->got);
}

/* --- frames of the peer's --- */

static uint8_t challenge_of_channel[ATTEST_NONCE];

/*
 * What the channel has said, a letter each: H HELLO, C CHALLENGE, E EVIDENCE, A ACCEPT, P packet,
 * ! ERROR, . GOAWAY, ? anything else, - half a frame. Reads it up.
 */
static const char *heard(struct fixture *f)
{
	static const char letters[] = {
		[FRAME_HELLO] = 'H',  [FRAME_CHALLENGE] = 'C', [FRAME_EVIDENCE] = 'E',
		[FRAME_ACCEPT] = 'A', [FRAME_PACKET] = 'P',    [FRAME_ERROR] = '!',
		[FRAME_GOAWAY] = '.'
	};
	static char said[100];
	struct span in = SPAN(f->got, f->n_got), body;
	struct attest_challenge c;
	size_t n = 0;

	while (n < sizeof(said) - 2 && frame_pop(&in, &body) == 0) {
		const enum frame_type t = frame_type_of(body);

		said[n++] = t < sizeof(letters) && letters[t] ? letters[t] : '?';
		if (t == FRAME_CHALLENGE) {
			assert_int_equal(attest_parse_challenge(body, &c), 0);
			memcpy(challenge_of_channel, c.nonce, sizeof(c.nonce));
		}
	}
	if (in.n > 0)
		said[n++] = '-';
	said[n] = '\0';
	f->n_got = 0;
	return said;
}

static size_t put_packet(uint8_t *out, size_t size)
{
	static const uint8_t head[28] = { 0x45, 0, 0,	0,   0, 0, 0, 0, 64, 17, 0, 0, 192, 168,
					  0,	1, 192, 168, 0, 2, 0, 9, 0,  9,	 0, 0, 0,   0 };

	assert_true(size >= sizeof(head));
	frame_put_head(out, size);
	memset(out + FRAME_HEAD, 0x5a, size);
	memcpy(out + FRAME_HEAD, head, sizeof(head));
	put_be16(out + FRAME_HEAD + 2, (uint16_t)size);
	put_be16(out + FRAME_HEAD + 24, (uint16_t)(size - 20));
	put_be16(out + FRAME_HEAD + 10, ip_sum_fold(ip_sum(out + FRAME_HEAD, 20, 0)));
	return FRAME_HEAD + size;
}

static void say_hello(struct fixture *f)
{
	struct control_hello h = own;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	h.role = CONTROL_ROLE_AGENT;
	h.node_id[0] = 2;
	h.n_prefixes = 1;
	assert_true(prefix_parse("192.168.0.1/32", false, &h.prefixes[0]));
	assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

static const uint8_t peer_nonce[ATTEST_NONCE] = { 7, 7, 7 };

/* Says it, and does not listen. */
static void write_challenge(struct fixture *f)
{
	struct attest_challenge c;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	memcpy(c.nonce, peer_nonce, sizeof(c.nonce));
	assert_int_equal(attest_put_challenge(&c, buf, sizeof(buf), &n), 0);
	say_in(f, buf, n, RTLS_RECORD_MAX);
	spin(f);
}

static void say_challenge(struct fixture *f)
{
	write_challenge(f);
	exchange(f);
}

static void say_evidence_for(struct fixture *f, const uint8_t *nonce, size_t n_evidence)
{
	uint8_t *buf = malloc(FRAME_HEAD + FRAME_MAX), *bytes = malloc(n_evidence);
	struct attest_evidence e = { 0 };
	size_t n;

	memset(bytes, 'e', n_evidence);
	e.evidence = SPAN(bytes, n_evidence);
	e.endorsements = SPAN(bytes, n_evidence < 4 ? n_evidence : 4);
	memcpy(e.nonce, nonce, sizeof(e.nonce));
	assert_int_equal(attest_put_evidence(&e, buf, FRAME_HEAD + FRAME_MAX, &n), 0);
	say(f, buf, n);
	free(buf);
	free(bytes);
}

static void say_evidence(struct fixture *f)
{
	say_evidence_for(f, challenge_of_channel, 100);
}

static void say_accept(struct fixture *f)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	assert_int_equal(attest_put_accept(buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

static void say_packet(struct fixture *f)
{
	uint8_t buf[200];

	say(f, buf, put_packet(buf, 100));
}

static void say_ping(struct fixture *f)
{
	static const uint8_t ping[] = { 0, 0, 0, 4, FRAME_PING, 0xa1, 0, 1 };

	say(f, ping, sizeof(ping));
}

/* Both have said HELLO, and the channel its CHALLENGE. */
static void start_appraising(struct fixture *f, bool dial)
{
	fixture_start(f, dial);
	if (dial)
		assert_string_equal(heard(f), "HC");
	say_hello(f);
	if (!dial)
		assert_string_equal(heard(f), "HC");
	assert_int_equal(chan_state(f->c), CHAN_APPRAISING);
}

static void start_open(struct fixture *f, bool dial)
{
	start_appraising(f, dial);
	say_evidence(f);
	verdict(RTLS_TRUSTED);
	exchange(f);
	assert_string_equal(heard(f), "A");
	say_accept(f);
	assert_int_equal(chan_state(f->c), CHAN_OPEN);
	assert_int_equal(f->n_open, 1);
}

/* --- tests --- */

static void listener_judges_before_it_proves(void **state)
{
	uint8_t expected[64];
	struct fixture f;

	(void)state;
	fixture_start(&f, false);
	assert_string_equal(heard(&f), ""); /* who dials says HELLO first */
	assert_int_equal(chan_loop_strangers(f.loop), 1);
	say_hello(&f);
	assert_string_equal(heard(&f), "HC");
	say_challenge(&f);
	assert_false(proving.is_there); /* a stranger makes it produce nothing */
	say_evidence(&f);
	assert_true(appraising.is_there);
	assert_true(appraising.is_stranger);
	assert_int_equal(appraising.n_evidence, 100);
	assert_int_equal(appraising.n_endorsements, 4);
	assert_true(appraising.has_report_data);
	assert_int_equal(rtls_session_report_data(f.peer, RTLS_CLIENT, challenge_of_channel,
						  ATTEST_NONCE, expected),
			 0);
	assert_memory_equal(appraising.report_data, expected, 64);
	verdict(RTLS_TRUSTED);
	assert_true(proving.is_there);
	assert_int_equal(
		rtls_session_report_data(f.peer, RTLS_SERVER, peer_nonce, ATTEST_NONCE, expected),
		0);
	assert_memory_equal(proving.report_data, expected, 64);
	exchange(&f);
	assert_string_equal(heard(&f), "A");
	assert_int_equal(f.n_open, 0); /* it is not accepted itself yet */
	prove("quote");
	exchange(&f);
	assert_string_equal(heard(&f), "E");
	assert_int_equal(f.n_open, 0);
	say_accept(&f);
	assert_int_equal(f.n_open, 1);
	assert_int_equal(chan_loop_strangers(f.loop), 0);
	assert_int_equal(chan_protocol(f.c), CHAN_PROTOCOL_ENG1);
	assert_non_null(chan_appraisal(f.c));
	say_packet(&f);
	assert_int_equal(f.n_packets, 1);
	fixture_end(&f);
}

static void dialler_proves_at_once(void **state)
{
	struct fixture f;

	(void)state;
	start_appraising(&f, true);
	say_challenge(&f);
	assert_true(proving.is_there);
	assert_false(proving.is_stranger); /* the operator has named it: strangers wait */
	say_accept(&f);
	say_evidence(&f);
	assert_false(appraising.is_stranger);
	prove("quote");
	exchange(&f);
	assert_string_equal(heard(&f), "E");
	assert_int_equal(f.n_open, 0);
	verdict(RTLS_TRUSTED);
	exchange(&f);
	assert_int_equal(f.n_open, 1);
	assert_string_equal(heard(&f), "A");
	fixture_end(&f);
}

static void unattested_peers_are_accepted_at_once(void **state)
{
	struct rtls_session_config peer;
	struct chan_config cfg;
	struct fixture f;

	(void)state;
	for (int dial = 0; dial < 2; dial++) {
		struct prefix p;

		fixture_new(&f, dial);
		f.trust = (struct chan_trust){ .identity = f.own_key, .unattested = true };
		cfg = config(&f);
		peer = peer_config(&f);
		connect_both(&f, &cfg, &peer);
		exchange(&f);
		say_hello(&f);
		assert_string_equal(heard(&f), "HA");
		assert_int_equal(f.n_open, 0);
		say_accept(&f);
		assert_int_equal(f.n_open, 1);
		assert_null(chan_appraisal(f.c));
		assert_true(prefix_parse("10.0.0.0/8", false, &p));
		assert_true(chan_may_own(f.c, &p));
		fixture_end(&f);
	}
}

/* Neither a policy nor the word unattested; and an identity that is missing altogether. */
static void without_a_policy_nobody_is_trusted(void **state)
{
	struct rtls_session_config peer;
	struct chan_config cfg;
	struct fixture f;

	(void)state;
	fixture_new(&f, false);
	f.trust = (struct chan_trust){ .identity = f.own_key };
	cfg = config(&f);
	peer = peer_config(&f);
	connect_both(&f, &cfg, &peer);
	exchange(&f);
	say_hello(&f);
	say_accept(&f);
	assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
	assert_int_equal(f.n_open, 0);
	fixture_end(&f);
}

static void a_refusal_closes_and_says_which_check(void **state)
{
	static const enum rtls_result results[] = { RTLS_UNDECIDED, RTLS_REJECTED,
						    (enum rtls_result)3 };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		start_appraising(&f, false);
		say_evidence(&f);
		verdict(results[i]);
		exchange(&f);
		assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
		assert_string_equal(f.detail, "MEASUREMENT: other");
		assert_string_equal(heard(&f), "!");
		assert_true(f.peer_closed);
		assert_int_equal(f.n_open, 0);
		fixture_end(&f);
	}
	start_appraising(&f, false);
	say_evidence(&f);
	end_job(&appraising, SPAN(NULL, 0), "the worker process has died at it");
	exchange(&f);
	assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
	assert_string_equal(f.detail, "the worker process has died at it");
	fixture_end(&f);
}

/* A letter per step of the peer's, as heard() has them; lower case: what is done to the channel. */
static void play(struct fixture *f, const char *script)
{
	static const uint8_t no_nonce[ATTEST_NONCE];

	for (; *script && f->n_closed == 0; script++) {
		switch (*script) {
		case 'H':
			say_hello(f);
			break;
		case 'C':
			say_challenge(f);
			break;
		case 'E':
			say_evidence(f);
			break;
		case 'N':
			say_evidence_for(f, no_nonce, 10);
			break;
		case 'A':
			say_accept(f);
			break;
		case 'P':
			say_packet(f);
			break;
		case 'G':
			say_ping(f);
			break;
		case 'B':
			say(f, "\0\0\0\x01\x09", 5);
			break;
		case 'D':
			say(f, "\0\0\0\x01\x05", 5);
			break;
		case 'F':
			say(f, "\0\0\0\x02\x0a\xa1", 6);
			break;
		case 'T':
			say(f, "\0\0\0\x02\x02\xa0", 6);
			break;
		case 'U':
			say(f, "\0\0\0\x01\xff", 5);
			break;
		case 't':
			verdict(RTLS_TRUSTED);
			break;
		case 'p':
			prove("quote");
			break;
		case 'n':
			end_job(&proving, SPAN(NULL, 0), "the TPM is gone");
			break;
		case 'f':
			full_for = 1;
			break;
		default:
			fail();
		}
		exchange(f);
		(void)heard(f);
	}
}

static void offences_close_and_nothing_opens(void **state)
{
	static const struct {
		const char *script;
		enum chan_reason why;
		int n_open;
	} cases[] = {
		/* As a listener; the channel has sent HELLO and CHALLENGE after H. */
		{ "P", CHAN_R_HELLO_EXPECTED, 0 },
		{ "C", CHAN_R_HELLO_EXPECTED, 0 },
		{ "E", CHAN_R_HELLO_EXPECTED, 0 },
		{ "A", CHAN_R_HELLO_EXPECTED, 0 },
		{ "HH", CHAN_R_HELLO_AGAIN, 0 },
		{ "HP", CHAN_R_EARLY, 0 },
		{ "HG", CHAN_R_EARLY, 0 },
		{ "HT", CHAN_R_EARLY, 0 },
		{ "HU", CHAN_R_FRAME_TYPE, 0 },
		{ "HN", CHAN_R_EVIDENCE, 0 },
		{ "HEE", CHAN_R_EVIDENCE, 0 },
		{ "HEtE", CHAN_R_EVIDENCE, 0 },
		{ "HB", CHAN_R_CONTROL, 0 },
		{ "HD", CHAN_R_CONTROL, 0 },
		{ "HF", CHAN_R_CONTROL, 0 },
		{ "HCC", CHAN_R_CHALLENGE, 0 },
		{ "HAA", CHAN_R_ACCEPT, 0 },
		{ "HAP", CHAN_R_EARLY, 0 },
		{ "HEP", CHAN_R_EARLY, 0 },
		{ "HEtP", CHAN_R_EARLY, 0 },
		{ "HEtG", CHAN_R_EARLY, 0 },
		{ "HAEP", CHAN_R_EARLY, 0 },
		{ "HCEtn", CHAN_R_CANNOT_PROVE, 0 },
		{ "HCEft", CHAN_R_UNTRUSTED, 0 }, /* replaced below: the queue is the prover's */
		{ "HfE", CHAN_R_CROWDED, 0 },
		{ "HEtAA", CHAN_R_ACCEPT, 1 },
		{ "HEtAE", CHAN_R_EVIDENCE, 1 },
		{ "HEtAH", CHAN_R_HELLO_AGAIN, 1 },
		{ "HEtAU", CHAN_R_FRAME_TYPE, 1 },
		{ "HEtACC", CHAN_R_CHALLENGE, 1 },
		{ "HEtACn", CHAN_R_CANNOT_PROVE, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum chan_reason why = cases[i].why;
		struct fixture f;

		if (strcmp(cases[i].script, "HCEft") == 0)
			why = CHAN_R_CANNOT_PROVE;
		fixture_start(&f, false);
		play(&f, cases[i].script);
		if (f.n_closed != 1 || f.closed != why || f.n_open != cases[i].n_open)
			fail_msg("%s: closed %d times for '%s', opened %d times", cases[i].script,
				 f.n_closed, chan_reason_word(f.closed), f.n_open);
		assert_int_equal(f.n_packets, 0);
		fixture_end(&f);
	}
}

static void orders_that_are_right_open(void **state)
{
	static const char *const scripts[] = { "HEtA",	 "HAEt",   "HCEtpA",   "HCAEtp", "HECtAp",
					       "HECAtp", "HEtCpA", "HEtACpCp", "HACEtp" };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		fixture_start(&f, false);
		play(&f, scripts[i]);
		if (f.n_closed > 0 || f.n_open != 1)
			fail_msg("%s: '%s'", scripts[i], chan_reason_word(f.closed));
		play(&f, "P");
		assert_int_equal(f.n_packets, 1);
		fixture_end(&f);
	}
}

static void without_an_attester_a_challenge_ends_it(void **state)
{
	struct fixture f;

	(void)state;
	start_appraising(&f, true);
	f.trust.prover = NULL;
	say_challenge(&f);
	assert_int_equal(f.closed, CHAN_R_CANNOT_PROVE);
	assert_string_equal(heard(&f), "!");
	fixture_end(&f);
}

static void who_does_not_answer_is_closed(void **state)
{
	static const struct {
		const char *script;
		enum chan_reason why;
	} cases[] = { { "H", CHAN_R_NO_EVIDENCE },
		      { "HA", CHAN_R_NO_EVIDENCE },
		      { "HEt", CHAN_R_NOT_ACCEPTED } };
	const uint64_t now = clock_now_ms();
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fixture_start(&f, false);
		play(&f, cases[i].script);
		chan_tick(f.c, now + CHAN_EVIDENCE_MS - 1);
		spin(&f);
		assert_int_equal(f.n_closed, 0);
		chan_tick(f.c, clock_now_ms() + CHAN_EVIDENCE_MS);
		spin(&f);
		assert_int_equal(f.closed, cases[i].why);
		fixture_end(&f);
	}
	fixture_start(&f, false); /* a handshake and then nothing */
	chan_tick(f.c, clock_now_ms() + CHAN_HANDSHAKE_MS);
	spin(&f);
	assert_int_equal(f.closed, CHAN_R_SILENT);
	fixture_end(&f);
}

static void closing_cancels_what_is_under_way(void **state)
{
	struct fixture f;

	(void)state;
	start_appraising(&f, false);
	say_evidence(&f);
	assert_true(appraising.is_there);
	chan_close(f.c, CHAN_R_STOP);
	assert_true(appraising.was_cancelled);
	fixture_end(&f);

	start_appraising(&f, true);
	say_challenge(&f);
	assert_true(proving.is_there);
	close(f.fd); /* the peer goes away */
	f.fd = -1;
	for (int i = 0; i < 1000 && f.n_closed == 0; i++) {
		spin(&f);
		usleep(1000);
	}
	assert_int_equal(f.closed, CHAN_R_EOF);
	assert_true(proving.was_cancelled);
	fixture_end(&f);
}

static void evidence_is_renewed_while_packets_go_on(void **state)
{
	const uint64_t period_ms = 3600 * 1000;
	struct fixture f;

	(void)state;
	start_open(&f, false);
	chan_tick(f.c, clock_now_ms() + 1000);
	exchange(&f);
	assert_string_equal(heard(&f), "");
	f.c->heard_ms = f.c->ping_ms = clock_now_ms() + period_ms; /* awake and well */
	chan_tick(f.c, clock_now_ms() + period_ms + 1000);
	exchange(&f);
	assert_string_equal(heard(&f), "C");
	say_packet(&f);
	assert_int_equal(f.n_packets, 1);
	say_evidence(&f);
	assert_true(appraising.is_there);
	assert_false(appraising.is_stranger);
	say_packet(&f);
	assert_int_equal(f.n_packets, 2);
	verdict(RTLS_TRUSTED);
	assert_int_equal(f.n_reattested, 1);
	assert_int_equal(f.n_regranted, 0);
	chan_loop_reappraise(f.loop, &f.trust); /* a new policy, the same evidence */
	assert_true(appraising.is_there);
	verdict_with(RTLS_TRUSTED, "192.168.0.0/24");
	assert_int_equal(f.n_reattested, 2);
	assert_int_equal(f.n_regranted, 1);
	chan_loop_reappraise(f.loop, &f.trust);
	chan_loop_reappraise(f.loop, &f.trust); /* twice: the first is not waited for */
	verdict(RTLS_REJECTED);
	exchange(&f);
	assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
	assert_int_equal(f.n_open, 1);
	fixture_end(&f);
}

static void a_new_policy_judges_those_that_wait(void **state)
{
	struct fixture f;

	(void)state;
	start_appraising(&f, false);
	chan_loop_reappraise(f.loop, &f.trust); /* nothing to judge yet */
	assert_false(appraising.is_there);
	say_evidence(&f);
	chan_loop_reappraise(f.loop, &f.trust);
	assert_true(appraising.is_there);
	verdict(RTLS_TRUSTED);
	chan_loop_reappraise(f.loop, &f.trust); /* accepted, and not by the peer yet */
	verdict(RTLS_REJECTED);
	exchange(&f);
	assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
	assert_int_equal(f.n_open, 0);
	fixture_end(&f);
}

static void grants_are_what_the_verdict_says(void **state)
{
	static const struct {
		const char *prefix;
		bool may;
	} cases[] = { { "192.168.0.1/32", true },
		      { "192.168.0.2/32", false },
		      { "192.168.0.0/24", false },
		      { "::/0", false } };
	struct prefix p;
	struct fixture f;

	(void)state;
	start_appraising(&f, false);
	assert_true(prefix_parse("192.168.0.1/32", false, &p));
	assert_false(chan_may_own(f.c, &p)); /* not judged */
	fixture_end(&f);
	start_open(&f, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(prefix_parse(cases[i].prefix, false, &p));
		assert_int_equal(chan_may_own(f.c, &p), cases[i].may);
	}
	fixture_end(&f);
}

static void the_largest_evidence_arrives(void **state)
{
	struct fixture f;

	(void)state;
	start_appraising(&f, false);
	say_evidence_for(&f, challenge_of_channel, ATTEST_PART_MAX);
	assert_int_equal(appraising.n_evidence, ATTEST_PART_MAX);
	verdict(RTLS_TRUSTED);
	fixture_end(&f);
}

/* Frames of any size in records of any size: each arrives once, whole and in order. */
static void records_may_cut_frames_anywhere(void **state)
{
	static const size_t records[] = { 1, 3, 4, 5, 1000, 16000, RTLS_RECORD_MAX };
	uint8_t *bytes = malloc(2 * 1024 * 1024);
	struct fixture f;

	(void)state;
	assert_non_null(bytes);
	srand(11);
	start_open(&f, false);
	f.echo = true;
	for (size_t i = 0; i < ARRAY_LEN(records) + 20; i++) {
		const bool fixed = i < ARRAY_LEN(records);
		const int n_frames = fixed && records[i] < 10 ? 3 : 20;
		size_t n = 0;

		f.n_packets = 0;
		for (int k = 0; k < n_frames; k++)
			n += put_packet(
				bytes + n,
				28 + (size_t)rand() % (records[0] && n_frames < 20 ? 300 : 65000));
		for (size_t at = 0, part; at < n; at += part) {
			const size_t record =
				fixed ? records[i] : 1 + (size_t)rand() % RTLS_RECORD_MAX;

			part = n - at < record ? n - at : record;
			say_in(&f, bytes + at, part, record);
			if (f.n_got < GOT_MAX / 2)
				(void)peer_listen(&f);
		}
		exchange(&f);
		assert_int_equal(f.n_closed, 0);
		assert_int_equal(f.n_packets, n_frames);
		assert_int_equal(f.n_got, n); /* what went in came out, byte for byte */
		assert_memory_equal(f.got, bytes, n);
		f.n_got = 0;
	}
	free(bytes);
	fixture_end(&f);
}

static void nothing_is_allocated_per_packet(void **state)
{
	enum { ROUNDS = 500, PER_WRITE = 8, PACKET = 1400 };
	static uint8_t burst[PER_WRITE * (FRAME_HEAD + PACKET)];
	unsigned long before, during = 0;
	uint8_t out[sizeof(burst) + 1000];
	size_t n = 0, taken, n_out;
	struct fixture f;

	(void)state;
	start_open(&f, false);
	f.echo = true;
	for (int i = 0; i < PER_WRITE; i++)
		n += put_packet(burst + n, PACKET);
	say(&f, burst, n); /* whatever is made once is made now */
	for (int i = 0; i < ROUNDS; i++) {
		const struct iovec iov = { burst, n };

		assert_int_equal(
			rtls_session_seal(f.peer, &iov, 1, 0, out, sizeof(out), &taken, &n_out), 0);
		assert_int_equal(taken, n);
		assert_int_equal(write(f.fd, out, n_out), (ssize_t)n_out);
		before = n_allocations;
		loop(f.base);
		during += n_allocations - before;
		f.n_got = 0;
		while (peer_listen(&f))
			;
		assert_int_equal(f.n_got, n);
		assert_memory_equal(f.got, burst, n);
	}
	assert_int_equal(during, 0);
	assert_int_equal(chan_stats(f.c)->queued_bytes, 0);
	fixture_end(&f);
}

static void a_reader_that_stops_costs_its_packets_only(void **state)
{
	enum { PACKET = 1500, N = 6000 };
	static char quote[ATTEST_PART_MAX];
	uint8_t *frame = malloc(FRAME_HEAD + PACKET);
	uint64_t dropped;
	struct iovec iov;
	struct fixture f;
	struct span in, body;
	long frames = 0;
	size_t n;

	(void)state;
	assert_non_null(frame);
	start_open(&f, false);
	n = put_packet(frame, PACKET);
	for (int i = 0; i < N; i++) {
		iov = (struct iovec){ frame, n };
		chan_send(f.c, &iov, 1);
	}
	assert_int_equal(f.n_closed, 0);
	assert_true(chan_is_blocked(f.c));
	assert_non_null(f.c->pending);
	dropped = chan_stats(f.c)->drops[CHAN_DROP_QUEUE];
	assert_true(dropped > 0 && dropped < N);
	/* Evidence of the largest size finds room in a full queue: it is no packet. */
	write_challenge(&f);
	memset(quote, 'q', sizeof(quote) - 1);
	prove(quote);
	spin(&f);
	if (f.n_closed > 0)
		fail_msg("closed for %s", chan_reason_word(f.closed));
	exchange(&f);
	in = SPAN(f.got, f.n_got);
	while (frame_pop(&in, &body) == 0) {
		frames++;
		if (frame_type_of(body) == FRAME_PACKET)
			assert_true(span_equal(body, SPAN(frame + FRAME_HEAD, PACKET)));
		else
			assert_int_equal(frame_type_of(body), FRAME_EVIDENCE);
	}
	assert_int_equal(in.n, 0);
	assert_int_equal(frames, N - (long)dropped + 1);
	assert_false(chan_is_blocked(f.c));
	assert_true(f.n_writable >= 1);
	free(frame);
	fixture_end(&f);
}

/* An EVIDENCE that never ends holds one stash, and time: nothing more comes of it. */
static void half_a_frame_is_waited_for_and_no_longer(void **state)
{
	static uint8_t frame[FRAME_HEAD + FRAME_MAX], evidence[50000];
	const struct attest_evidence e = { .evidence = SPAN(evidence, sizeof(evidence)) };
	struct fixture f;
	size_t n;

	(void)state;
	assert_int_equal(attest_put_evidence(&e, frame, sizeof(frame), &n), 0);
	start_appraising(&f, false);
	say_in(&f, frame, n - 1, RTLS_RECORD_MAX);
	exchange(&f);
	assert_int_equal(f.n_closed, 0);
	assert_false(appraising.is_there);
	chan_tick(f.c, clock_now_ms() + CHAN_EVIDENCE_MS);
	spin(&f);
	assert_int_equal(f.closed, CHAN_R_NO_EVIDENCE);
	fixture_end(&f);
	start_appraising(&f, false);
	say_in(&f, frame, n - 1, RTLS_RECORD_MAX);
	say(&f, frame, 60000); /* its end is not what it should be */
	assert_int_equal(f.closed, CHAN_R_CONTROL);
	fixture_end(&f);
}

static void tampered_records_end_it(void **state)
{
	uint8_t packet[200], out[1000];
	struct iovec iov = { packet, 0 };
	size_t taken, n;
	struct fixture f;

	(void)state;
	iov.iov_len = put_packet(packet, 100);
	start_open(&f, false);
	assert_int_equal(rtls_session_seal(f.peer, &iov, 1, 0, out, sizeof(out), &taken, &n), 0);
	out[n - 1] ^= 1;
	put_all(&f, out, n);
	exchange(&f);
	assert_int_equal(f.closed, CHAN_R_HANDSHAKE);
	assert_int_equal(f.n_packets, 0);
	fixture_end(&f);

	start_open(&f, false); /* cut off without close_notify, and with it */
	shutdown(f.fd, SHUT_WR);
	exchange(&f);
	assert_int_equal(f.closed, CHAN_R_EOF);
	fixture_end(&f);
	start_open(&f, false);
	say_packet(&f);
	rtls_session_close(f.peer);
	exchange(&f);
	assert_int_equal(f.n_packets, 1);
	assert_int_equal(f.closed, CHAN_R_EOF);
	fixture_end(&f);
}

static void other_protocols_are_refused(void **state)
{
	struct rtls_session_config peer;
	struct chan_config cfg;
	struct fixture f;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fixture_new(&f, false);
		cfg = config(&f);
		peer = peer_config(&f);
		peer.alpn = i == 0 ? NULL : i == 1 ? "http/1.1" : "eng/1";
		peer.alpn_optional = true;
		if (i == 2)
			peer.identity = NULL; /* no certificate: no key to speak for */
		if (f.dial)
			fail();
		accept_channel(&f, &cfg);
		assert_int_equal(fcntl(f.fd, F_SETFL, O_NONBLOCK), 0);
		if (rtls_session_new(&peer, &f.peer) != 0) { /* it cannot even be made */
			f.peer = NULL;
			chan_close(f.c, CHAN_R_HANDSHAKE);
		} else {
			exchange(&f);
			play(&f, "H");
		}
		spin(&f);
		assert_int_equal(f.closed, CHAN_R_HANDSHAKE);
		assert_int_equal(f.n_open, 0);
		fixture_end(&f);
	}
	fixture_new(&f, false); /* no TLS at all */
	cfg = config(&f);
	peer = peer_config(&f);
	connect_both(&f, &cfg, &peer);
	put_all(&f, (const uint8_t *)"\0\0\0\x04\x03\xa1\0\x01", 8);
	spin(&f);
	assert_int_equal(f.closed, CHAN_R_HANDSHAKE);
	fixture_end(&f);
}

/* --compat: without ALPN it is v0, and the certificate is what is judged. */
static void v0_is_judged_by_its_certificate(void **state)
{
	struct rtls_session_config peer;
	struct chan_config cfg;
	struct fixture f;

	(void)state;
	for (int refuse = 0; refuse < 2; refuse++) {
		fixture_new(&f, false);
		cfg = config(&f);
		cfg.compat = true;
		peer = peer_config(&f);
		peer.alpn = NULL;
		connect_both(&f, &cfg, &peer);
		exchange(&f);
		assert_true(f.peer_done);
		assert_true(appraising.is_there);
		assert_false(appraising.has_report_data);
		assert_int_equal((uint8_t)appraising.evidence[0], 0x30); /* DER */
		say_packet(&f); /* v0 does not wait: dropped, not an offence */
		assert_int_equal(f.n_packets, 0);
		assert_int_equal(f.n_closed, 0);
		verdict(refuse ? RTLS_REJECTED : RTLS_TRUSTED);
		exchange(&f);
		assert_int_equal(f.n_open, !refuse);
		assert_int_equal(f.closed, refuse ? CHAN_R_UNTRUSTED : CHAN_OK);
		if (!refuse) {
			say_packet(&f);
			assert_int_equal(f.n_packets, 1);
			assert_int_equal(chan_protocol(f.c), CHAN_PROTOCOL_V0);
			assert_string_equal(heard(&f), "");
			play(&f, "A");
			assert_int_equal(f.closed, CHAN_R_FRAME_TYPE);
		}
		fixture_end(&f);
	}
}

/* From the accepted socket to an echoed packet; the verdicts come from within the loop, too. */
static void every_allocation_may_fail(void **state)
{
	long nth, left = -1;

	(void)state;
	for (nth = 0; nth < 400 && left < 0; nth++) {
		struct rtls_session_config peer;
		struct chan_config cfg;
		struct fixture f;

		fixture_new(&f, false);
		f.echo = true;
		cfg = config(&f);
		peer = peer_config(&f);
		fail_at = nth;
		is_channel = true;
		accept_channel(&f, &cfg);
		is_channel = false;
		assert_int_equal(fcntl(f.fd, F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(rtls_session_new(&peer, &f.peer), 0);
		exchange(&f);
		for (const char *step = "HCEtpAPP"; *step && f.c && f.n_closed == 0; step++) {
			if (*step == 't' ? !appraising.is_there : *step == 'p' && !proving.is_there)
				break;
			is_channel = *step == 't' || *step == 'p';
			play(&f, (const char[]){ *step, '\0' });
			is_channel = false;
		}
		left = fail_at;
		fail_at = -1;
		if (left >= 0) { /* none failed any more */
			assert_int_equal(f.n_open, 1);
			assert_int_equal(f.n_packets, 2);
			assert_int_equal(f.n_closed, 0);
		}
		fixture_end(&f);
	}
	assert_true(nth > 8 && nth < 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listener_judges_before_it_proves),
		cmocka_unit_test(dialler_proves_at_once),
		cmocka_unit_test(unattested_peers_are_accepted_at_once),
		cmocka_unit_test(without_a_policy_nobody_is_trusted),
		cmocka_unit_test(a_refusal_closes_and_says_which_check),
		cmocka_unit_test(offences_close_and_nothing_opens),
		cmocka_unit_test(orders_that_are_right_open),
		cmocka_unit_test(without_an_attester_a_challenge_ends_it),
		cmocka_unit_test(who_does_not_answer_is_closed),
		cmocka_unit_test(closing_cancels_what_is_under_way),
		cmocka_unit_test(evidence_is_renewed_while_packets_go_on),
		cmocka_unit_test(a_new_policy_judges_those_that_wait),
		cmocka_unit_test(grants_are_what_the_verdict_says),
		cmocka_unit_test(the_largest_evidence_arrives),
		cmocka_unit_test(records_may_cut_frames_anywhere),
		cmocka_unit_test(nothing_is_allocated_per_packet),
		cmocka_unit_test(a_reader_that_stops_costs_its_packets_only),
		cmocka_unit_test(half_a_frame_is_waited_for_and_no_longer),
		cmocka_unit_test(tampered_records_end_it),
		cmocka_unit_test(other_protocols_are_refused),
		cmocka_unit_test(v0_is_judged_by_its_certificate),
		cmocka_unit_test(every_allocation_may_fail),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
