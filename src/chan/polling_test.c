/* A loop looks for packets where it finds them, sleeps where it does not, and tries again. */
#include "chan/polling.h"

#include "base/test.h"

enum { MOST_US = 50 };

/* How many of n looks are made, of which every nth finds something (0: none). */
static unsigned looks(struct polling *p, uint64_t now_us, unsigned n, unsigned every)
{
	unsigned made = 0;

	for (unsigned i = 1; i <= n; i++) {
		if (polling_window_us(p, now_us, MOST_US) == 0)
			continue;
		made++;
		polling_learn(p, every && i % every == 0 ? MOST_US - 1 : MOST_US, MOST_US);
	}
	return made;
}

static void in_vain_it_is_tried_a_few_times_a_period(void **state)
{
	struct polling p = { 0 };

	(void)state;
	for (uint64_t s = 0; s < 5; s++)
		for (uint64_t ms = 0; ms < 1000; ms += 100)
			assert_int_equal(looks(&p, s * POLLING_PERIOD_US + ms * 1000, 100, 0),
					 ms == 0 ? POLLING_TRIES : 0);
}

static void where_it_finds_it_goes_on(void **state)
{
	struct polling p = { 0 };

	(void)state;
	assert_int_equal(looks(&p, 1, 1000, 1), 1000);
	assert_int_equal(looks(&p, 1, 1000, 2), 1000); /* one in two is worth it */
	assert_true(looks(&p, 1, 1000, 3) < 300);      /* one in three is not */
	assert_int_equal(polling_window_us(&p, 2, MOST_US), 0);
	assert_int_equal(looks(&p, 1 + POLLING_PERIOD_US, 1000, 1), 1000);
}

/* However long it has been worth it. */
static void a_change_is_noticed_soon(void **state)
{
	struct polling p = { 0 };

	(void)state;
	assert_int_equal(looks(&p, 1, 100000, 1), 100000);
	assert_int_equal(looks(&p, 1, 1000, 0), POLLING_CREDIT_MAX);
}

static void the_bound_is_the_operators(void **state)
{
	struct polling p = { 0 };

	(void)state;
	assert_int_equal(polling_window_us(&p, 1, 0), 0);
	assert_int_equal(polling_window_us(&p, 1, 1000), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_vain_it_is_tried_a_few_times_a_period),
		cmocka_unit_test(where_it_finds_it_goes_on),
		cmocka_unit_test(a_change_is_noticed_soon),
		cmocka_unit_test(the_bound_is_the_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
