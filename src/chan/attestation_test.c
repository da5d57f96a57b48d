/*
 * Attestation on a channel: the order of HELLO, CHALLENGE, EVIDENCE and ACCEPT, what offends, that
 * nothing opens without a verdict, renewal, and who is judged by a certificate.
 */
#include "chan/tls_fixture.h"

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

/* Each when the last is answered: the prover has others to serve. */
static void who_asks_again_and_again_is_closed(void **state)
{
	struct fixture f;
	int n = 0;

	(void)state;
	fixture_start(&f, false);
	play(&f, "HCEtpA");
	assert_int_equal(f.n_open, 1);
	for (; n < 1000 && f.n_closed == 0; n++) {
		if (n > 0)
			play(&f, "p");
		play(&f, "C");
	}
	assert_int_equal(f.closed, CHAN_R_CHALLENGE);
	assert_true(n >= 4); /* it may ask more than once */
	fixture_end(&f);
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

/* Who dials says which lane this is; who was dialled has none to name. */
static void the_dialler_names_the_lane(void **state)
{
	struct rtls_session_config peer;
	struct control_hello h = { 0 };
	struct chan_config cfg;
	struct fixture f;
	struct span in, body;

	(void)state;
	for (int dial = 0; dial < 2; dial++) {
		fixture_new(&f, dial);
		cfg = config(&f);
		cfg.lane = 7;
		peer = peer_config(&f);
		connect_both(&f, &cfg, &peer);
		exchange(&f);
		if (!dial)
			say_hello_of_lane(&f, 5);
		in = SPAN(f.got, f.n_got);
		assert_int_equal(frame_pop(&in, &body), 0);
		assert_int_equal(control_parse_hello(body, &h), 0);
		assert_int_equal(h.lane, dial ? 7 : 0);
		if (!dial)
			assert_int_equal(chan_peer(f.c)->lane, 5);
		else
			say_hello_of_lane(&f, 7);
		assert_int_equal(f.closed, dial ? CHAN_R_LANE : CHAN_OK);
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dialler_names_the_lane),
		cmocka_unit_test(listener_judges_before_it_proves),
		cmocka_unit_test(dialler_proves_at_once),
		cmocka_unit_test(unattested_peers_are_accepted_at_once),
		cmocka_unit_test(without_a_policy_nobody_is_trusted),
		cmocka_unit_test(a_refusal_closes_and_says_which_check),
		cmocka_unit_test(offences_close_and_nothing_opens),
		cmocka_unit_test(who_asks_again_and_again_is_closed),
		cmocka_unit_test(orders_that_are_right_open),
		cmocka_unit_test(without_an_attester_a_challenge_ends_it),
		cmocka_unit_test(who_does_not_answer_is_closed),
		cmocka_unit_test(closing_cancels_what_is_under_way),
		cmocka_unit_test(evidence_is_renewed_while_packets_go_on),
		cmocka_unit_test(a_new_policy_judges_those_that_wait),
		cmocka_unit_test(grants_are_what_the_verdict_says),
		cmocka_unit_test(other_protocols_are_refused),
		cmocka_unit_test(v0_is_judged_by_its_certificate),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
