/* Strangers get their share of a loop that is busy with packets, all of one that is not, and always
 * some. */
#include "chan/share.h"

#include "base/test.h"

enum { SECOND_US = 1000000, TURN_US = 100 /* of packets */ };

/* As many steps as may be, each between two turns of packets; the time they took. */
static uint64_t run(struct share *s, uint64_t *now_us, uint64_t *n_packets, uint64_t for_us,
		    uint64_t step_us)
{
	uint64_t spent_us = 0;

	for (const uint64_t end_us = *now_us + for_us; *now_us < end_us;) {
		*now_us += TURN_US;
		++*n_packets;
		if (!share_may(s, *now_us, *n_packets))
			continue;
		*now_us += step_us;
		share_spend(s, step_us);
		spent_us += step_us;
	}
	return spent_us;
}

static void while_packets_move_it_is_a_share(void **state)
{
	static const uint64_t steps_us[] = { 5, 20, 300, 1000, SHARE_DEBT_US };
	uint64_t now_us = 12345, n_packets = 1, spent_us;
	struct share s = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps_us) / sizeof(steps_us[0]); i++) {
		spent_us = run(&s, &now_us, &n_packets, SECOND_US, steps_us[i]);
		assert_true(spent_us <=
			    SECOND_US / 100 * SHARE_PERCENT + SHARE_BURST_US + steps_us[i]);
		/* Never nothing; what one step may cost in a turn of packets bounds small ones. */
		assert_true(spent_us >= SECOND_US / 100 * SHARE_PERCENT / 2 ||
			    steps_us[i] < TURN_US);
		assert_true(spent_us > 0);
	}
}

static void while_none_move_it_is_everything(void **state)
{
	uint64_t now_us = 12345, n_packets = 0;
	struct share s = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) { /* before the first packet */
		assert_true(share_may(&s, now_us, n_packets));
		share_spend(&s, 1000);
		now_us += 1000;
	}
	n_packets++;
	assert_false(share_may(&s, now_us, n_packets));
	now_us += SHARE_QUIET_US - 1;
	assert_false(share_may(&s, now_us, n_packets));
	now_us++;
	for (int i = 0; i < 100; i++) { /* the last packet was long ago */
		assert_true(share_may(&s, now_us, n_packets));
		share_spend(&s, 1000);
		now_us += 1000;
	}
}

/* Neither a night without strangers nor a step during which the machine slept. */
static void nothing_makes_up_for_the_past(void **state)
{
	uint64_t now_us = 1, n_packets = 1;
	struct share s = { 0 };

	(void)state;
	(void)share_may(&s, now_us, n_packets);
	now_us += (uint64_t)36000 * SECOND_US;
	assert_true(run(&s, &now_us, &n_packets, 10000, 100) <= SHARE_BURST_US + 2000);
	share_spend(&s, (uint64_t)36000 * SECOND_US);
	share_spend(&s, (uint64_t)36000 * SECOND_US);
	assert_true(run(&s, &now_us, &n_packets, SHARE_DEBT_US * 100 / SHARE_PERCENT + 5000, 100) >
		    0);
}

/* Who waits as long as it is told may go on: a loop that sleeps meanwhile does not spin. */
static void the_wait_is_long_enough(void **state)
{
	struct share s = { 0 };

	(void)state;
	assert_false(share_may(&s, 1, 1));
	for (uint64_t us = 1; us < SHARE_DEBT_US; us = us * 3 / 2 + 1) {
		uint64_t now_us = us * SECOND_US;

		assert_true(share_may(&s, now_us, us + 1));
		share_spend(&s, SHARE_BURST_US + us);
		now_us += share_wait_us(&s);
		/* By what was earned, or since no packet has moved. */
		assert_true(share_may(&s, now_us, us + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_packets_move_it_is_a_share),
		cmocka_unit_test(while_none_move_it_is_everything),
		cmocka_unit_test(nothing_makes_up_for_the_past),
		cmocka_unit_test(the_wait_is_long_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
