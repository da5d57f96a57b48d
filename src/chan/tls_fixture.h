/*
 * For x_test.c files only: a rats-tls channel against a session of librats_tls that the test
 * drives. Appraiser and prover are replaced by this file, so that each verdict and its moment are
 * the test's choice; allocations of the channel are counted, and one can be made to fail.
 */
#ifndef ENG_CHAN_TLS_FIXTURE_H
#define ENG_CHAN_TLS_FIXTURE_H

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
#include "chan/echo_fixture.h"
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

static inline int allocation_fails(void)
{
	if (!is_channel)
		return 0;
	n_allocations++;
	return fail_at >= 0 && fail_at-- == 0;
}

static inline void loop(struct event_base *base)
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

static inline int take(struct job *j, job_done_fn done, void *owner, bool is_stranger,
		       struct job **out)
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

static inline void end_job(struct job *j, struct span reply, const char *why)
{
	assert_true(j->is_there);
	j->is_there = false;
	j->done(j->owner, reply, why);
}

static inline void verdict_with(enum rtls_result result, const char *prefix)
{
	static struct appraisal a;

	a = (struct appraisal){ .result = result, .name = "peer", .why = "MEASUREMENT: other" };
	if (prefix)
		assert_true(prefix_parse(prefix, false, &a.prefixes[a.n_prefixes++]));
	end_job(&appraising, SPAN((const uint8_t *)&a, sizeof(a)), "");
}

static inline void verdict(enum rtls_result result)
{
	verdict_with(result, "192.168.0.1/32");
}

static inline void prove(const char *evidence)
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
	bool echoes; /* to whom it came from */
	struct echo echo;
};

enum { GOT_MAX = 16 * 1024 * 1024 };

static inline enum chan_reason on_open(void *owner, struct chan *c)
{
	assert_int_equal(chan_state(c), CHAN_OPEN);
	((struct fixture *)owner)->n_open++;
	return CHAN_OK;
}

static inline enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	struct fixture *f = owner;

	f->n_packets++;
	f->echo.to = f->echoes ? c : NULL;
	echo_packet(&f->echo, p);
	return CHAN_OK;
}

static inline enum chan_reason on_routes(void *owner, struct chan *c,
					 const struct control_routes *r)
{
	(void)owner;
	(void)c;
	(void)r;
	return CHAN_OK;
}

static inline void on_batch_end(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	(void)c;
	echo_flush(&f->echo);
}

static inline enum chan_reason on_reattested(void *owner, struct chan *c, bool changed)
{
	struct fixture *f = owner;

	(void)c;
	f->n_reattested++;
	f->n_regranted += changed;
	return CHAN_OK;
}

static inline void on_writable(void *owner, struct chan *c)
{
	(void)c;
	((struct fixture *)owner)->n_writable++;
}

static inline void on_closed(void *owner, struct chan *c, enum chan_reason why)
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

static inline void accept_channel(struct fixture *f, const struct chan_config *cfg)
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

static inline void dial_channel(struct fixture *f, const struct chan_config *cfg)
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

static inline struct chan_config config(struct fixture *f)
{
	return (struct chan_config){
		.handler = &handler, .owner = f, .expect = CONTROL_ROLE_AGENT, .trust = &f->trust
	};
}

static inline struct rtls_session_config peer_config(const struct fixture *f)
{
	return (struct rtls_session_config){ .size = sizeof(struct rtls_session_config),
					     .role = f->dial ? RTLS_SERVER : RTLS_CLIENT,
					     .identity = f->peer_key,
					     .alpn = "eng/1" };
}

/* dial: the channel does. */
static inline void fixture_new(struct fixture *f, bool dial)
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

static inline void connect_both(struct fixture *f, const struct chan_config *cfg,
				struct rtls_session_config *peer)
{
	if (f->dial)
		dial_channel(f, cfg);
	else
		accept_channel(f, cfg);
	assert_int_equal(fcntl(f->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(rtls_session_new(peer, &f->peer), 0);
}

static inline void spin(struct fixture *f)
{
	for (int i = 0; i < 4; i++)
		loop(f->base);
}

static inline void put_all(struct fixture *f, const uint8_t *bytes, size_t n)
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

static inline void peer_talk(struct fixture *f)
{
	uint8_t out[20000];
	size_t n;

	while (rtls_session_drain(f->peer, out, sizeof(out), &n) == 0 && n > 0)
		put_all(f, out, n);
}

static inline void peer_events(struct fixture *f)
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
static inline bool peer_listen(struct fixture *f)
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
static inline void exchange(struct fixture *f)
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
static inline void say_in(struct fixture *f, const uint8_t *bytes, size_t n, size_t record)
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

static inline void say(struct fixture *f, const void *bytes, size_t n)
{
	say_in(f, bytes, n, RTLS_RECORD_MAX);
	exchange(f);
}

static inline void fixture_start(struct fixture *f, bool dial)
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

static inline void fixture_end(struct fixture *f)
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
static inline const char *heard(struct fixture *f)
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

static inline size_t put_packet(uint8_t *out, size_t size)
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

static inline void say_hello_of_lane(struct fixture *f, uint8_t lane)
{
	struct control_hello h = own;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	h.role = CONTROL_ROLE_AGENT;
	h.node_id[0] = 2;
	h.lane = lane;
	h.n_prefixes = 1;
	assert_true(prefix_parse("192.168.0.1/32", false, &h.prefixes[0]));
	assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

static inline void say_hello(struct fixture *f)
{
	say_hello_of_lane(f, 0);
}

static const uint8_t peer_nonce[ATTEST_NONCE] = { 7, 7, 7 };

/* Says it, and does not listen. */
static inline void write_challenge(struct fixture *f)
{
	struct attest_challenge c;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	memcpy(c.nonce, peer_nonce, sizeof(c.nonce));
	assert_int_equal(attest_put_challenge(&c, buf, sizeof(buf), &n), 0);
	say_in(f, buf, n, RTLS_RECORD_MAX);
	spin(f);
}

static inline void say_challenge(struct fixture *f)
{
	write_challenge(f);
	exchange(f);
}

static inline void say_evidence_for(struct fixture *f, const uint8_t *nonce, size_t n_evidence)
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

static inline void say_evidence(struct fixture *f)
{
	say_evidence_for(f, challenge_of_channel, 100);
}

static inline void say_accept(struct fixture *f)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	assert_int_equal(attest_put_accept(buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

static inline void say_packet(struct fixture *f)
{
	uint8_t buf[200];

	say(f, buf, put_packet(buf, 100));
}

static inline void say_ping(struct fixture *f)
{
	static const uint8_t ping[] = { 0, 0, 0, 4, FRAME_PING, 0xa1, 0, 1 };

	say(f, ping, sizeof(ping));
}

/* Both have said HELLO, and the channel its CHALLENGE. */
static inline void start_appraising(struct fixture *f, bool dial)
{
	fixture_start(f, dial);
	if (dial)
		assert_string_equal(heard(f), "HC");
	say_hello(f);
	if (!dial)
		assert_string_equal(heard(f), "HC");
	assert_int_equal(chan_state(f->c), CHAN_APPRAISING);
}

static inline void start_open(struct fixture *f, bool dial)
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

/* A letter per step of the peer's, as heard() has them; lower case: what is done to the channel. */
static inline void play(struct fixture *f, const char *script)
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

#endif
