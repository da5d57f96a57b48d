/*
 * A channel over a socket pair: what a peer may say and what closes it, what happens when it does
 * not read, and that nothing is allocated or copied on the way of a packet.
 */
#include "chan/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"

/* Allocations are counted by wrapping (see meson.build). */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned long n_allocations;
static long fail_at = -1; /* the allocation that fails; -1 none */

static int allocation_fails(void)
{
	n_allocations++;
	return fail_at >= 0 && fail_at-- == 0;
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

/* One end is a channel, the other a plain descriptor that the test writes to and reads from. */
struct fixture {
	struct event_base *base;
	struct chan_loop *loop;
	struct chan *c;
	int fd;
	enum chan_reason closed;
	int n_open, n_closed, n_packets, n_batches, n_writable;
	bool holds;	   /* the channel may not be read */
	struct chan *echo; /* packets are sent there, as a gateway does */
	struct iovec run;
};

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	assert_int_equal(chan_state(c), CHAN_OPEN);
	f->n_open++;
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	struct fixture *f = owner;

	(void)c;
	f->n_packets++;
	if (!f->echo)
		return CHAN_OK;
	if (f->run.iov_len > 0 && (uint8_t *)f->run.iov_base + f->run.iov_len != p->frame.p) {
		chan_send(f->echo, &f->run, 1);
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

	(void)c;
	f->n_batches++;
	if (f->echo && f->run.iov_len > 0)
		chan_send(f->echo, &f->run, 1);
	f->run.iov_len = 0;
}

static bool may_read(void *owner, struct chan *c)
{
	(void)c;
	return !((struct fixture *)owner)->holds;
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
	if (c == f->c)
		f->c = NULL;
}

static const struct chan_handler handler = {
	.open = on_open,
	.may_read = may_read,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
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

static struct control_hello agent_hello(void)
{
	struct control_hello h = own;

	h.role = CONTROL_ROLE_AGENT;
	h.node_id[0] = 2;
	h.n_prefixes = 1;
	assert_true(prefix_parse("192.168.0.1/32", false, &h.prefixes[0]));
	return h;
}

static int fixture_add(struct fixture *f, const struct chan_config *cfg, struct chan **out)
{
	struct addr peer;
	int fds[2];

	assert_true(addr_parse("192.0.2.1", &peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	if (chan_accept_take_fd(f->loop, cfg, fds[0], &peer, 4711, out) < 0) {
		close(fds[1]);
		return -1;
	}
	return fds[1];
}

static struct chan_config config(struct fixture *f)
{
	return (struct chan_config){
		.handler = &handler, .owner = f, .expect = CONTROL_ROLE_AGENT, .plain = true
	};
}

static void fixture_start(struct fixture *f)
{
	struct chan_config cfg;

	*f = (struct fixture){ .base = event_base_new() };
	cfg = config(f);
	assert_non_null(f->base);
	assert_int_equal(chan_loop_new(f->base, &own, &f->loop), 0);
	f->fd = fixture_add(f, &cfg, &f->c);
	assert_true(f->fd >= 0);
}

static void spin(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void fixture_end(struct fixture *f)
{
	chan_loop_drain(f->loop);
	spin(f);
	close(f->fd);
	assert_int_equal(chan_loop_count(f->loop), 0);
	assert_int_equal(chan_loop_strangers(f->loop), 0);
	chan_loop_free(f->loop);
	event_base_free(f->base);
}

static void say(struct fixture *f, const void *bytes, size_t n)
{
	assert_int_equal(write(f->fd, bytes, n), (ssize_t)n);
	spin(f);
}

static void say_hello(struct fixture *f)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct control_hello h = agent_hello();
	size_t n;

	assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

/* A UDP packet of `size` bytes in a frame; returns the frame's size. */
static size_t put_packet(uint8_t *out, size_t size)
{
	static const uint8_t head[28] = { 0x45, 0, 0,	0,   0, 0, 0, 0, 64, 17, 0, 0, 192, 168,
					  0,	1, 192, 168, 0, 2, 0, 9, 0,  9,	 0, 0, 0,   0 };
	uint16_t sum;

	assert_true(size >= sizeof(head));
	frame_put_head(out, size);
	memset(out + FRAME_HEAD, 0, size);
	memcpy(out + FRAME_HEAD, head, sizeof(head));
	put_be16(out + FRAME_HEAD + 2, (uint16_t)size);
	put_be16(out + FRAME_HEAD + 24, (uint16_t)(size - 20));
	sum = ip_sum_fold(ip_sum(out + FRAME_HEAD, 20, 0));
	put_be16(out + FRAME_HEAD + 10, sum);
	return FRAME_HEAD + size;
}

static void first_frame_decides(void **state)
{
	uint8_t packet[200];
	struct fixture f;

	(void)state;
	fixture_start(&f);
	assert_int_equal(chan_loop_strangers(f.loop), 1);
	say_hello(&f);
	assert_int_equal(f.n_open, 1);
	assert_int_equal(chan_protocol(f.c), CHAN_PROTOCOL_ENG1);
	assert_int_equal(chan_features(f.c), CONTROL_FEATURE_GSO);
	assert_int_equal(chan_loop_strangers(f.loop), 0);
	fixture_end(&f);
	assert_int_equal(f.closed, CHAN_R_STOP);

	fixture_start(&f);
	say(&f, packet, put_packet(packet, 100));
	assert_int_equal(f.n_open, 1);
	assert_int_equal(f.n_packets, 1);
	assert_int_equal(chan_protocol(f.c), CHAN_PROTOCOL_V0);
	assert_int_equal(chan_features(f.c), 0);
	fixture_end(&f);
}

static void without_a_verdict_nothing_opens(void **state)
{
	static const struct chan_trust nothing;
	uint8_t packet[200];
	struct chan_config cfg;
	struct fixture f;

	(void)state;
	for (int no_key = 0; no_key < 2; no_key++) {
		fixture_start(&f);
		chan_close(f.c, CHAN_R_STOP);
		spin(&f);
		close(f.fd);
		cfg = config(&f);
		cfg.plain = false; /* rats-tls, and neither key nor verifier */
		cfg.trust = no_key ? &nothing : NULL;
		f.fd = fixture_add(&f, &cfg, &f.c);
		spin(&f);
		(void)!write(f.fd, packet, put_packet(packet, 100)); /* nobody reads it */
		spin(&f);
		assert_int_equal(f.n_open, 0);
		assert_int_equal(f.n_packets, 0);
		assert_int_equal(f.closed, CHAN_R_UNTRUSTED);
		fixture_end(&f);
	}
}

static void closes_what_is_wrong(void **state)
{
#define BYTES(s)                                                                                   \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
	static const struct {
		struct {
			const char *p;
			size_t n;
		} first;
		bool after_hello;
		enum chan_reason why;
	} cases[] = {
		{ BYTES("\0\0\0\0"), false, CHAN_R_EMPTY_FRAME },
		{ BYTES("\0\0\0\0"), true, CHAN_R_EMPTY_FRAME },
		{ BYTES("\0\x01\x01\xd1"), false, CHAN_R_LONG_FRAME },
		{ BYTES("\xff\xff\xff\xff"), true, CHAN_R_LONG_FRAME },
		{ BYTES("\x16\x03\x01\x02"), false, CHAN_R_TLS },
		{ BYTES("\0\0\0\x01\xff"), false, CHAN_R_FRAME_TYPE },
		{ BYTES("\0\0\0\x01\x3f"), true, CHAN_R_FRAME_TYPE },
		{ BYTES("\0\0\0\x01\x05"), true, CHAN_R_FRAME_TYPE }, /* EVIDENCE is not for OPEN */
		{ BYTES("\0\0\0\x01\x05"), false, CHAN_R_HELLO_EXPECTED },
		{ BYTES("\0\0\0\x01\x01"), false, CHAN_R_CONTROL },
		{ BYTES("\0\0\0\x02\x01\xff"), false, CHAN_R_CONTROL },
		{ BYTES("\0\0\0\x01\x03"), true, CHAN_R_CONTROL },
		{ BYTES("\0\0\0\x01\x02"), true, CHAN_R_ROUTES }, /* an agent has none to tell */
		{ BYTES("\0\0\0\x01\x45"), false, CHAN_R_PACKET + IP_E_VERSION },
		{ BYTES("\0\0\0\x01\x08"), true, CHAN_R_PACKET + GSO_E_SHORT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;

		fixture_start(&f);
		if (cases[i].after_hello)
			say_hello(&f);
		say(&f, cases[i].first.p, cases[i].first.n);
		if (f.n_closed != 1 || f.closed != cases[i].why)
			fail_msg("case %zu: closed for '%s'", i, chan_reason_word(f.closed));
		assert_int_equal(f.n_packets, 0);
		fixture_end(&f);
	}
}

static void hello_comes_once_and_first(void **state)
{
	uint8_t packet[200];
	struct fixture f;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	say_hello(&f);
	assert_int_equal(f.closed, CHAN_R_HELLO_AGAIN);
	fixture_end(&f);
	fixture_start(&f);
	say(&f, packet, put_packet(packet, 60));
	say_hello(&f);
	assert_int_equal(f.closed, CHAN_R_HELLO_AGAIN);
	fixture_end(&f);
}

static void packets_before_the_offence_arrive(void **state)
{
	uint8_t bytes[400];
	struct fixture f;
	size_t n;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	n = put_packet(bytes, 60);
	n += put_packet(bytes + n, 60);
	memset(bytes + n, 0, 4);
	say(&f, bytes, n + 4);
	assert_int_equal(f.n_packets, 2);
	assert_int_equal(f.closed, CHAN_R_EMPTY_FRAME);
	fixture_end(&f);
}

/* Reads all that the channel has sent; returns the number of whole frames, -1 if they are broken.
 */
static long drain(struct fixture *f, size_t *out_bytes)
{
	static uint8_t buf[16 * 1024 * 1024];
	struct span in, body;
	size_t have = 0;
	long frames = 0;
	ssize_t n;

	do {
		n = read(f->fd, buf + have, sizeof(buf) - have);
		have += n > 0 ? (size_t)n : 0;
		spin(f);
	} while (n > 0);
	in = SPAN(buf, have);
	while (frame_pop(&in, &body) == 0)
		frames++;
	*out_bytes = have;
	return in.n == 0 ? frames : -1;
}

static void a_reader_that_stops_costs_its_packets_only(void **state)
{
	enum { PACKET = 60000, N = 200 };
	uint8_t *frame = malloc(FRAME_HEAD + PACKET);
	struct iovec iov;
	struct fixture f;
	size_t n, bytes;
	uint64_t dropped;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	assert_true(drain(&f, &bytes) == 1); /* its HELLO */
	n = put_packet(frame, PACKET);
	for (int i = 0; i < N; i++) {
		iov = (struct iovec){ frame, n };
		chan_send(f.c, &iov, 1);
	}
	assert_int_equal(f.n_closed, 0);
	assert_true(chan_is_blocked(f.c));
	dropped = chan_stats(f.c)->drops[CHAN_DROP_QUEUE];
	assert_true(dropped > 0 && dropped < N);
	assert_int_equal(drain(&f, &bytes), N - (long)dropped); /* whole frames, none torn */
	assert_false(chan_is_blocked(f.c));
	assert_int_equal(f.n_writable, 1);
	assert_int_equal(chan_stats(f.c)->frames_out, 1 + N - dropped);
	free(frame);
	fixture_end(&f);
}

static void what_may_not_be_read_waits(void **state)
{
	uint8_t packet[200];
	const size_t n = put_packet(packet, 100);
	struct fixture f;

	(void)state;
	fixture_start(&f);
	f.holds = true; /* which is nothing to a stranger */
	say_hello(&f);
	assert_int_equal(f.n_open, 1);
	say(&f, packet, n);
	say(&f, packet, n);
	assert_int_equal(f.n_packets, 0);
	assert_int_equal(chan_stats(f.c)->pauses, 1); /* asked once, not over and over */
	f.holds = false;
	spin(&f);
	assert_int_equal(f.n_packets, 0); /* nobody has said so */
	chan_resume(f.c);
	chan_resume(f.c);
	spin(&f);
	assert_int_equal(f.n_packets, 2);
	f.holds = true;
	say(&f, packet, n);
	chan_close(f.c, CHAN_R_DEAD);
	chan_resume(f.c); /* it is not gone yet */
	spin(&f);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.n_packets, 2);
	fixture_end(&f);
}

/* The token of the PING that comes next; false: none has come. */
static bool take_ping(struct fixture *f, uint64_t *out_token)
{
	uint8_t buf[8192];
	ssize_t n = read(f->fd, buf, sizeof(buf));
	struct span in = SPAN(buf, n > 0 ? (size_t)n : 0), body;
	struct control_ping p;

	while (frame_pop(&in, &body) == 0) {
		if (body.p[0] != FRAME_PING)
			continue;
		assert_int_equal(control_parse_ping(body, &p), 0);
		*out_token = p.token;
		return true;
	}
	return false;
}

static void answer_ping(struct fixture *f, uint64_t token)
{
	const struct control_ping p = { .token = token };
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	assert_int_equal(control_put_ping(FRAME_PONG, &p, buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

static void a_peer_says_how_far_it_has_read(void **state)
{
	uint8_t packet[200];
	const size_t n = put_packet(packet, 100);
	struct iovec iov = { packet, n };
	uint64_t token, other;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	chan_probe(f.c); /* it is not near */
	assert_false(take_ping(&f, &token));
	f.c->is_near = true;
	chan_send(f.c, &iov, 1);
	assert_int_equal(chan_unread(f.c), 0); /* nobody has asked */
	chan_probe(f.c);
	assert_true(take_ping(&f, &token));
	iov = (struct iovec){ packet, n };
	chan_send(f.c, &iov, 1);
	chan_probe(f.c); /* it is being asked */
	assert_false(take_ping(&f, &other));
	assert_int_equal(chan_unread(f.c), 2 * n);
	answer_ping(&f, token + 1);
	assert_int_equal(f.n_writable, 0);
	answer_ping(&f, token);
	assert_int_equal(f.n_writable, 1);
	chan_probe(f.c);
	assert_int_equal(chan_unread(f.c), n); /* the second packet */
	assert_true(take_ping(&f, &token));
	answer_ping(&f, token);
	chan_probe(f.c);
	assert_int_equal(chan_unread(f.c), 0);
	/* Who does not answer holds nobody up, and is not asked again. */
	chan_tick(f.c, f.c->probe_ms + CHAN_PROBE_MS - 1);
	assert_int_equal(f.n_writable, 2);
	chan_tick(f.c, f.c->probe_ms + CHAN_PROBE_MS);
	assert_int_equal(f.n_writable, 3);
	(void)take_ping(&f, &token);
	chan_probe(f.c);
	assert_false(take_ping(&f, &token));
	assert_int_equal(chan_unread(f.c), 0);
	answer_ping(&f, token); /* late */
	assert_int_equal(f.n_writable, 3);
	fixture_end(&f);
}

static void control_frames_that_pile_up_end_it(void **state)
{
	static const uint8_t ping[] = { 0, 0, 0, 4, FRAME_PING, 0xa1, 0, 1 };
	struct fixture f;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	for (long i = 0; i < 2000000 && f.n_closed == 0; i++) {
		if (write(f.fd, ping, sizeof(ping)) < 0)
			fail();
		event_base_loop(f.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(f.closed, CHAN_R_STUCK);
	fixture_end(&f);
}

static void nothing_is_allocated_or_copied_per_packet(void **state)
{
	enum { ROUNDS = 2000, PER_WRITE = 8, PACKET = 1400 };
	uint8_t burst[PER_WRITE * (FRAME_HEAD + PACKET)], sink[sizeof(burst)];
	struct chan_config cfg;
	unsigned long before;
	struct fixture f;
	size_t n = 0;
	int other;

	(void)state;
	fixture_start(&f);
	say_hello(&f);
	cfg = config(&f);
	other = fixture_add(&f, &cfg, &f.echo);
	for (int i = 0; i < PER_WRITE; i++)
		n += put_packet(burst + n, PACKET);
	assert_int_equal(write(other, burst, FRAME_HEAD + PACKET), FRAME_HEAD + PACKET); /* v0 */
	spin(&f);
	assert_int_equal(chan_state(f.echo), CHAN_OPEN);
	(void)!read(other, sink, sizeof(sink));
	say(&f, burst, n); /* whatever is made once is made now */
	(void)!read(other, sink, sizeof(sink));
	before = n_allocations;
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(write(f.fd, burst, n), (ssize_t)n);
		event_base_loop(f.base, EVLOOP_NONBLOCK);
		assert_int_equal(read(other, sink, sizeof(sink)), (ssize_t)n);
	}
	assert_int_equal(n_allocations - before, 0);
	assert_int_equal(chan_stats(f.echo)->queued_bytes, 0);
	assert_true(chan_stats(f.echo)->sends <= ROUNDS + 4); /* a run is one call */
	assert_memory_equal(sink, burst, n);
	fixture_end(&f);
	close(other);
}

static void every_allocation_may_fail(void **state)
{
	uint8_t packet[200];

	(void)state;
	for (long nth = 0; nth < 200; nth++) {
		struct fixture f = { .base = event_base_new() };
		struct chan_config cfg = config(&f);
		long left;

		fail_at = nth;
		if (chan_loop_new(f.base, &own, &f.loop) == 0) {
			f.fd = fixture_add(&f, &cfg, &f.c);
			if (f.fd >= 0) {
				long saved = fail_at;
				uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
				struct control_hello h = agent_hello();
				size_t n;

				fail_at = -1;
				assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
				n += put_packet(buf + n, 100);
				(void)!write(f.fd, buf,
					     n - 50); /* the last frame is cut: a stash */
				fail_at = saved;
				spin(&f);
				(void)!write(f.fd, buf + n - 50, 50);
				spin(&f);
				(void)!write(f.fd, packet, put_packet(packet, 60));
				spin(&f);
			}
		}
		left = fail_at;
		fail_at = -1;
		if (f.loop) {
			chan_loop_drain(f.loop);
			spin(&f);
			assert_int_equal(chan_loop_count(f.loop), 0);
			chan_loop_free(f.loop);
			if (f.fd >= 0)
				close(f.fd);
		}
		event_base_free(f.base);
		if (left >= 0) { /* none failed any more */
			assert_int_equal(f.n_packets, 2);
			assert_true(nth > 5);
			return;
		}
	}
	fail_msg("still failing after 200 allocations");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_frame_decides),
		cmocka_unit_test(without_a_verdict_nothing_opens),
		cmocka_unit_test(closes_what_is_wrong),
		cmocka_unit_test(hello_comes_once_and_first),
		cmocka_unit_test(packets_before_the_offence_arrive),
		cmocka_unit_test(a_reader_that_stops_costs_its_packets_only),
		cmocka_unit_test(what_may_not_be_read_waits),
		cmocka_unit_test(a_peer_says_how_far_it_has_read),
		cmocka_unit_test(control_frames_that_pile_up_end_it),
		cmocka_unit_test(nothing_is_allocated_or_copied_per_packet),
		cmocka_unit_test(every_allocation_may_fail),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free); /* libevent's too */
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
