/*
 * A peer is not read while the next hop of what it sends has no room.
 *
 * What is not read waits in the sender's kernel, and at last in the agent, which has a queue for
 * each flow (enta/fair.h): there a small packet overtakes, in a queue of ours or in a socket it
 * does not. Nothing is dropped or copied for that, and no more is under way than the sockets of the
 * hops hold.
 *
 * But one connection carries what goes to others, too, and a next hop that is stuck must not stop
 * it. So nobody waits
 *   - who has lately sent to more than one next hop: what waits behind may be for another;
 *   - longer than WAIT_MS, so what comes for another after all is late by that, once;
 *   - for a next hop that was waited for in vain, until it has had room again.
 * For those the queue of the channel fills and then drops, as routers do (chan_send()). Gateways
 * that wait for each other in a circle go on for the same reason.
 */
#include "entg/peer.h"

#include <errno.h>

#include "base/clock.h"
#include "base/err.h"

enum {
	WAIT_MS = 20,	 /* a next hop of 100 Mbit/s has sent a batch meanwhile */
	LATELY_MS = 1000 /* who types, or asks now and then, is not late each time */
};

static bool has_room(const struct peer *to)
{
	return !to->c || !chan_is_blocked(to->c); /* of another worker's nothing is known */
}

static void set_timer(struct shard *s)
{
	const struct peer *first = TAILQ_FIRST(&s->waiting);
	const uint64_t now_ms = clock_now_ms();
	struct timeval left = { 0 };

	if (first && first->wait_until_ms > now_ms)
		left.tv_usec = (long)(first->wait_until_ms - now_ms) * 1000;
	if (first)
		event_add(s->wait_over, &left);
	else
		event_del(s->wait_over);
}

static void wait_for(struct peer *from, struct peer *to, uint64_t now_ms)
{
	struct shard *s = from->s;

	from->waits_for = to;
	from->wait_until_ms = now_ms + WAIT_MS;
	TAILQ_INSERT_TAIL(&to->waiters, from, room_link);
	TAILQ_INSERT_TAIL(&s->waiting, from, wait_link);
	if (TAILQ_FIRST(&s->waiting) == from)
		set_timer(s);
}

static void go_on(struct peer *from)
{
	struct shard *s = from->s;
	const bool was_first = TAILQ_FIRST(&s->waiting) == from;

	TAILQ_REMOVE(&from->waits_for->waiters, from, room_link);
	TAILQ_REMOVE(&s->waiting, from, wait_link);
	from->waits_for = NULL;
	chan_resume(from->c);
	if (was_first)
		set_timer(s);
}

bool backpressure_may_read(struct peer *from)
{
	struct peer *to = from->generation == from->s->generation ? from->next_hop : NULL;
	uint64_t now_ms;

	if (!to || has_room(to) || to->is_stuck)
		return true;
	now_ms = clock_now_ms();
	if (now_ms - from->spread_ms < LATELY_MS)
		return true;
	wait_for(from, to, now_ms);
	return false;
}

void backpressure_room(struct peer *to)
{
	to->is_stuck = false;
	while (!TAILQ_EMPTY(&to->waiters))
		go_on(TAILQ_FIRST(&to->waiters));
}

void backpressure_gone(struct peer *p)
{
	if (p->waits_for)
		go_on(p);
	backpressure_room(p);
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	const uint64_t now_ms = clock_now_ms();
	struct shard *s = arg;
	struct peer *from, *next;

	(void)fd;
	(void)what;
	for (from = TAILQ_FIRST(&s->waiting); from && from->wait_until_ms <= now_ms; from = next) {
		next = TAILQ_NEXT(from, wait_link);
		from->waits_for->is_stuck = true;
		go_on(from);
	}
	set_timer(s); /* the loop's clock is coarse, and may be early */
}

int backpressure_init(struct shard *s)
{
	TAILQ_INIT(&s->waiting);
	s->wait_over = event_new(s->base, -1, 0, on_wait_over, s);
	return s->wait_over ? 0 : err_new(-ENOMEM);
}
