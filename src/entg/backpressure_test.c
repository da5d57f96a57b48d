/* Who waits for whom, and for how long; channels and the clock are played. */
#include "entg/peer.h"

#include <stdlib.h>

#include "base/test.h"

enum { SHORT_MS = 5, OVER_MS = 21, LATELY_MS = 1000 };

static uint64_t now_ms;
static const struct chan *blocked;
static const struct chan *resumed[4];
static size_t n_resumed;

uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_clock_now_ms(void)
{
	return now_ms;
}

bool chan_is_blocked(const struct chan *c)
{
	return c == blocked;
}

void chan_resume(struct chan *c)
{
	resumed[n_resumed++] = c;
}

/* Channels are only compared. */
#define CHAN(p) ((struct chan *)(p))

static struct fixture {
	struct shard s;
	struct peer a, b, to, other;
} f;

static int set_up(void **state)
{
	struct peer *const all[] = { &f.a, &f.b, &f.to, &f.other };

	(void)state;
	f = (struct fixture){ 0 };
	f.s.base = event_base_new();
	f.s.generation = 1;
	assert_non_null(f.s.base);
	assert_int_equal(backpressure_init(&f.s), 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		*all[i] = (struct peer){ .s = &f.s, .c = CHAN(all[i]), .generation = 1 };
		TAILQ_INIT(&all[i]->waiters);
	}
	f.a.next_hop = f.b.next_hop = &f.to;
	now_ms = 5000;
	blocked = f.to.c;
	n_resumed = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_free(f.s.wait_over);
	event_base_free(f.s.base);
	return 0;
}

/* The timer's time has come, whatever the real clock says. */
static void time_passes(uint64_t ms)
{
	now_ms += ms;
	event_active(f.s.wait_over, EV_TIMEOUT, 0);
	event_base_loop(f.s.base, EVLOOP_NONBLOCK);
}

static void who_sends_to_a_next_hop_with_room_is_read(void **state)
{
	(void)state;
	blocked = NULL;
	assert_true(backpressure_may_read(&f.a));
	blocked = f.other.c;
	assert_true(backpressure_may_read(&f.a));
	blocked = f.to.c;
	f.a.next_hop = NULL; /* has not sent yet, or to nobody */
	assert_true(backpressure_may_read(&f.a));
	f.a.next_hop = &f.to; /* may be gone: tables have changed since */
	f.s.generation++;
	assert_true(backpressure_may_read(&f.a));
	assert_true(TAILQ_EMPTY(&f.s.waiting));
}

static void of_another_worker_nothing_is_known(void **state)
{
	(void)state;
	f.to.c = NULL;
	blocked = NULL;
	assert_true(backpressure_may_read(&f.a));
}

static void room_ends_the_wait_of_those_who_wait_for_it(void **state)
{
	(void)state;
	assert_false(backpressure_may_read(&f.a));
	f.b.next_hop = &f.other;
	blocked = f.other.c;
	assert_false(backpressure_may_read(&f.b));
	backpressure_room(&f.to);
	assert_int_equal(n_resumed, 1);
	assert_ptr_equal(resumed[0], f.a.c);
	backpressure_room(&f.other);
	assert_int_equal(n_resumed, 2);
	assert_ptr_equal(resumed[1], f.b.c);
	assert_true(TAILQ_EMPTY(&f.s.waiting));
	assert_false(event_pending(f.s.wait_over, EV_TIMEOUT, NULL));
}

static void a_wait_has_an_end_and_is_not_repeated_in_vain(void **state)
{
	(void)state;
	assert_false(backpressure_may_read(&f.a));
	assert_true(event_pending(f.s.wait_over, EV_TIMEOUT, NULL));
	now_ms += SHORT_MS;
	assert_false(backpressure_may_read(&f.b));
	event_del(f.s.wait_over);
	time_passes(SHORT_MS); /* it comes early */
	assert_int_equal(n_resumed, 0);
	assert_true(event_pending(f.s.wait_over, EV_TIMEOUT, NULL));
	time_passes(OVER_MS - 2 * SHORT_MS);
	assert_int_equal(n_resumed, 1); /* b came later */
	assert_ptr_equal(resumed[0], f.a.c);
	assert_true(event_pending(f.s.wait_over, EV_TIMEOUT, NULL));
	time_passes(SHORT_MS);
	assert_int_equal(n_resumed, 2);
	assert_false(event_pending(f.s.wait_over, EV_TIMEOUT, NULL));
	assert_true(backpressure_may_read(&f.a)); /* it is stuck */
	backpressure_room(&f.to);		  /* and is not any more */
	assert_false(backpressure_may_read(&f.a));
}

static void who_sends_to_several_does_not_wait(void **state)
{
	(void)state;
	f.a.spread_ms = now_ms;
	assert_true(backpressure_may_read(&f.a));
	now_ms += LATELY_MS - 1;
	assert_true(backpressure_may_read(&f.a));
	now_ms++;
	assert_false(backpressure_may_read(&f.a));
}

static void nobody_waits_for_one_that_is_gone(void **state)
{
	(void)state;
	assert_false(backpressure_may_read(&f.a));
	assert_false(backpressure_may_read(&f.b));
	backpressure_gone(&f.a);
	assert_int_equal(n_resumed, 1);
	backpressure_gone(&f.to);
	assert_int_equal(n_resumed, 2);
	assert_ptr_equal(resumed[1], f.b.c);
	assert_true(TAILQ_EMPTY(&f.s.waiting));
	time_passes(OVER_MS);
	assert_int_equal(n_resumed, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(who_sends_to_a_next_hop_with_room_is_read),
		TEST(of_another_worker_nothing_is_known),
		TEST(room_ends_the_wait_of_those_who_wait_for_it),
		TEST(a_wait_has_an_end_and_is_not_repeated_in_vain),
		TEST(who_sends_to_several_does_not_wait),
		TEST(nobody_waits_for_one_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
