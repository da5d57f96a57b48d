/* The table of states: what it lacks closes, and nothing reaches OPEN without a verdict or tcp://.
 */
#include "chan/state.h"

#include "base/cleanup.h"
#include "base/test.h"

static void only_these_steps_exist(void **state)
{
	static const struct {
		enum chan_state from;
		enum chan_event event;
		enum chan_state to;
	} steps[] = {
		{ CHAN_CLOSED, CHAN_EV_CONNECT, CHAN_CONNECTING },
		{ CHAN_CLOSED, CHAN_EV_ACCEPT, CHAN_HANDSHAKE },
		{ CHAN_CONNECTING, CHAN_EV_CONNECTED, CHAN_HANDSHAKE },
		{ CHAN_HANDSHAKE, CHAN_EV_HELLO, CHAN_APPRAISING },
		{ CHAN_HANDSHAKE, CHAN_EV_PLAIN_PEER, CHAN_OPEN },
		{ CHAN_APPRAISING, CHAN_EV_TRUSTED, CHAN_OPEN },
		{ CHAN_OPEN, CHAN_EV_DRAIN, CHAN_DRAINING },
	};
	size_t found = 0;

	(void)state;
	for (int s = 0; s < CHAN_N_STATES; s++) {
		for (int e = 0; e < CHAN_N_EVENTS; e++) {
			enum chan_state to = CHAN_CLOSED;

			for (size_t i = 0; i < ARRAY_LEN(steps); i++)
				if ((int)steps[i].from == s && (int)steps[i].event == e)
					to = steps[i].to;
			found += to != CHAN_CLOSED;
			assert_int_equal(chan_state_next((enum chan_state)s, (enum chan_event)e),
					 to);
		}
	}
	assert_int_equal(found, ARRAY_LEN(steps));
}

static void nonsense_closes(void **state)
{
	(void)state;
	assert_int_equal(chan_state_next((enum chan_state)99, CHAN_EV_TRUSTED), CHAN_CLOSED);
	assert_int_equal(chan_state_next(CHAN_APPRAISING, (enum chan_event)99), CHAN_CLOSED);
	assert_int_equal(chan_state_next((enum chan_state) - 1, (enum chan_event) - 1),
			 CHAN_CLOSED);
	assert_string_equal(chan_state_name((enum chan_state)99), "invalid");
	assert_string_equal(chan_state_name(CHAN_CLOSED), "closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_these_steps_exist),
		cmocka_unit_test(nonsense_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
