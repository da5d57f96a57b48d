/*
 * A channel over a socket pair: what a peer may say and what closes it, and that nothing is
 * allocated or copied on the way of a packet.
 */
#include "chan/channel_fixture.h"

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
	other = fixture_add(&f, &cfg, &f.echo.to);
	for (int i = 0; i < PER_WRITE; i++)
		n += put_packet(burst + n, PACKET);
	assert_int_equal(write(other, burst, FRAME_HEAD + PACKET), FRAME_HEAD + PACKET); /* v0 */
	spin(&f);
	assert_int_equal(chan_state(f.echo.to), CHAN_OPEN);
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
	assert_int_equal(chan_stats(f.echo.to)->queued_bytes, 0);
	assert_true(chan_stats(f.echo.to)->sends <= ROUNDS + 4); /* a run is one call */
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
		cmocka_unit_test(nothing_is_allocated_or_copied_per_packet),
		cmocka_unit_test(every_allocation_may_fail),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free); /* libevent's too */
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
