/* When a channel is not read, by its peer or by its owner, and what the peer says of its reading.
 */
#include "chan/channel_fixture.h"

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
	uint64_t token = 0, other;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_that_stops_costs_its_packets_only),
		cmocka_unit_test(what_may_not_be_read_waits),
		cmocka_unit_test(a_peer_says_how_far_it_has_read),
		cmocka_unit_test(control_frames_that_pile_up_end_it),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
