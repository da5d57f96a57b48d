/*
 * A channel's bytes over TLS: frames cross whole however records cut them, uncopied and without an
 * allocation, a reader that stops costs its own packets only, and whatever fails closes the
 * channel.
 */
#include "chan/tls_fixture.h"

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
	f.echoes = true;
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
	f.echoes = true;
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
		f.echoes = true;
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
		cmocka_unit_test(the_largest_evidence_arrives),
		cmocka_unit_test(records_may_cut_frames_anywhere),
		cmocka_unit_test(nothing_is_allocated_per_packet),
		cmocka_unit_test(a_reader_that_stops_costs_its_packets_only),
		cmocka_unit_test(half_a_frame_is_waited_for_and_no_longer),
		cmocka_unit_test(tampered_records_end_it),
		cmocka_unit_test(every_allocation_may_fail),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
