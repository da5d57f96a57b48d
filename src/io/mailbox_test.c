/* Mails between two loops, one thread each, and what becomes of those that come too late. */
#include "io/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "base/test.h"

struct letter {
	struct mail mail; /* first: what a mailbox gives back is the letter */
	int number;
	struct mailbox *again; /* posted there once more */
};

static int seen[100], n_seen, n_dropped;
static struct mailbox *drained; /* from inside a mail */

static void on_letter(struct mail *m, bool dropped)
{
	struct letter *l = (struct letter *)m;
	struct mailbox *again = l->again;

	if (dropped) {
		n_dropped++;
		return;
	}
	seen[n_seen++] = l->number;
	l->again = NULL;
	if (again)
		mailbox_post(again, m);
	if (drained)
		mailbox_drain(drained);
}

static void write_letters(struct letter *l, int n, struct mailbox *to)
{
	n_seen = n_dropped = 0;
	drained = NULL;
	for (int i = 0; i < n; i++) {
		l[i] = (struct letter){ { .fn = on_letter }, .number = i };
		mailbox_post(to, &l[i].mail);
	}
}

static void comes_from_the_loop_in_order(void **state)
{
	struct event_base *base = event_base_new();
	struct letter l[10];
	struct mailbox *m;

	(void)state;
	assert_int_equal(mailbox_new(base, &m), 0);
	write_letters(l, 10, m);
	l[3].again = m;
	assert_int_equal(n_seen, 0);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_seen, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(seen[i], i);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_seen, 11); /* what posts itself does not hold up the loop */
	assert_int_equal(seen[10], 3);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_seen, 11);
	mailbox_free(m);
	mailbox_free(NULL);
	assert_int_equal(n_dropped, 0);
	event_base_free(base);
}

static void can_be_drained_at_any_time(void **state)
{
	struct event_base *base = event_base_new();
	struct letter l[10];
	struct mailbox *m;

	(void)state;
	assert_int_equal(mailbox_new(base, &m), 0);
	mailbox_drain(m);
	write_letters(l, 5, m);
	mailbox_drain(m);
	assert_int_equal(n_seen, 5);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* woken for nothing */
	assert_int_equal(n_seen, 5);
	write_letters(l, 10, m);
	drained = m;
	l[0].again = m;
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_seen, 11);
	for (int i = 0; i < 10; i++)
		assert_int_equal(seen[i], i);
	mailbox_free(m);
	event_base_free(base);
}

static void what_is_left_is_dropped(void **state)
{
	struct event_base *base = event_base_new();
	struct letter l[3];
	struct mailbox *m;

	(void)state;
	assert_int_equal(mailbox_new(base, &m), 0);
	write_letters(l, 3, m);
	mailbox_free(m);
	assert_int_equal(n_seen, 0);
	assert_int_equal(n_dropped, 3);
	event_base_free(base);
}

/* --- two threads --- */

enum { N_BALLS = 50, N_PASSES = 400 /* of each ball */ };

struct player {
	struct event_base *base;
	struct mailbox *box;
	struct player *other;
	int n_over; /* balls that came to rest here */
};

struct ball {
	struct mail mail;
	struct player *at;
	int passes;
};

static struct player players[2];
static struct mail whistle[2];

static void on_whistle(struct mail *m, bool dropped)
{
	assert_false(dropped);
	event_base_loopbreak(players[m - whistle].base);
}

static void on_ball(struct mail *m, bool dropped)
{
	struct ball *b = (struct ball *)m;

	assert_false(dropped);
	if (++b->passes < N_PASSES) {
		b->at = b->at->other;
		mailbox_post(b->at->box, m);
		return;
	}
	if (++b->at->n_over == N_BALLS)
		for (int i = 0; i < 2; i++)
			mailbox_post(players[i].box, &whistle[i]);
}

static void *play(void *arg)
{
	event_base_dispatch(((struct player *)arg)->base);
	return NULL;
}

static void two_loops_write_each_other(void **state)
{
	static struct ball balls[N_BALLS];
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		players[i] = (struct player){ .base = event_base_new(), .other = &players[!i] };
		whistle[i].fn = on_whistle;
		assert_int_equal(mailbox_new(players[i].base, &players[i].box), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
	for (int i = 0; i < N_BALLS; i++) { /* all end with the same player */
		balls[i] = (struct ball){ { .fn = on_ball }, .at = &players[0] };
		mailbox_post(players[0].box, &balls[i].mail);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(players[1].n_over, N_BALLS);
	for (int i = 0; i < 2; i++) {
		mailbox_free(players[i].box);
		event_base_free(players[i].base);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_from_the_loop_in_order),
		cmocka_unit_test(can_be_drained_at_any_time),
		cmocka_unit_test(what_is_left_is_dropped),
		cmocka_unit_test(two_loops_write_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
