/* How strangers come in and are heard; see door.h. */
#include "chan/door.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/internal.h"
#include "io/stream.h"

struct door {
	struct chan_loop *loop;
	const struct door_handler *handler;
	void *owner;
	struct event *event;
	int fd;
	struct log_limit full_log;
	TAILQ_ENTRY(door) link;
};

static bool may_spend(struct chan_loop *l, uint64_t now_us)
{
	return share_may(&l->share, now_us, l->n_packets);
}

static void next_turn_in(struct chan_loop *l, uint64_t us)
{
	const struct timeval tv = { .tv_sec = (time_t)(us / 1000000),
				    .tv_usec = (suseconds_t)(us % 1000000) };

	event_add(l->turn, &tv);
}

int door_let_in_take_fd(struct chan_loop *l, const struct chan_config *cfg, int fd,
			const struct addr *from, uint16_t port)
{
	struct chan *c;

	if (l->n_strangers >= l->strangers_max)
		chan_loop_evict_stranger(l);
	return chan_accept_take_fd(l, cfg, fd, from, port, &c);
}

/* Until the strangers' next turn: whoever waits outside would be seen again and again. */
static void shut(struct door *d, uint64_t us)
{
	event_del(d->event);
	if (!event_pending(d->loop->turn, EV_TIMEOUT, NULL))
		next_turn_in(d->loop, us);
}

static void make_room(struct door *d, int why)
{
	enum {
		AGAIN_US = 50000,
		PERIOD_MS = 10000, /* of the line in the log */
	};
	uint32_t suppressed;

	if (chan_loop_evict_stranger(d->loop))
		return;
	if (d->handler->full)
		d->handler->full(d->owner);
	shut(d, AGAIN_US);
	if (log_limit_pass(&d->full_log, clock_now_ms(), 1, PERIOD_MS, &suppressed))
		log_warn("newcomers-wait", "reason=\"%s\" suppressed=%u", err_text(why),
			 suppressed);
}

static bool is_full(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM;
}

/* False: nobody is there any more, or cannot be let in now. */
static bool let_in(struct door *d)
{
	struct addr from;
	uint16_t port;
	int r, fd;

	r = stream_accept(d->fd, &fd, &from, &port);
	if (r == STREAM_E_AGAIN)
		return false;
	if (is_full(r))
		make_room(d, r);
	if (r < 0)
		return false;
	d->handler->take(d->owner, fd, &from, port);
	return true;
}

static void on_knock(evutil_socket_t fd, short what, void *arg)
{
	enum { ACCEPTS = 64 /* then it is the packets' turn */ };
	struct door *d = arg;
	struct chan_loop *l = d->loop;
	uint64_t now_us = clock_now_us(), begin_us;
	bool more = true;

	(void)fd;
	(void)what;
	for (int i = 0; i < ACCEPTS && more; i++) {
		if (!TAILQ_EMPTY(&l->waiting) || !may_spend(l, now_us)) {
			shut(d, share_wait_us(&l->share));
			return;
		}
		begin_us = now_us;
		more = let_in(d);
		now_us = clock_now_us();
		share_spend(&l->share, now_us - begin_us);
	}
}

static void open_doors(struct chan_loop *l)
{
	struct door *d;

	TAILQ_FOREACH (d, &l->doors, link)
		event_add(d->event, NULL);
}

void door_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct chan_loop *l = arg;
	const uint64_t begin_us = clock_now_us();
	struct chan *c = TAILQ_FIRST(&l->waiting);

	(void)fd;
	(void)what;
	if (!may_spend(l, begin_us)) {
		next_turn_in(l, share_wait_us(&l->share));
		return;
	}
	if (c) {
		stranger_leaves(c);
		c->born_ms += begin_us / 1000 - c->waits_ms; /* that was not its own silence */
		chan_hear(c);
		share_spend(&l->share, clock_now_us() - begin_us);
	}
	if (TAILQ_EMPTY(&l->waiting))
		open_doors(l);
	else
		next_turn_in(l, 0); /* the packets first */
}

void stranger_waits(struct chan *c)
{
	struct chan_loop *l = c->loop;
	struct chan *before;

	event_del(c->ev_read);
	c->waits = true;
	c->waits_ms = clock_now_ms();
	TAILQ_FOREACH_REVERSE(before, &l->waiting, chan_list, waiting)
	if (before->arrival < c->arrival)
		break;
	if (before)
		TAILQ_INSERT_AFTER(&l->waiting, before, c, waiting);
	else
		TAILQ_INSERT_HEAD(&l->waiting, c, waiting);
	if (!event_pending(l->turn, EV_TIMEOUT, NULL))
		event_active(l->turn, 0, 0);
}

void stranger_leaves(struct chan *c)
{
	if (c->waits)
		TAILQ_REMOVE(&c->loop->waiting, c, waiting);
	c->waits = false;
}

int door_new_take_fd(struct chan_loop *l, int fd, const struct door_handler *handler, void *owner,
		     struct door **out)
{
	struct door *d = calloc(1, sizeof(*d));

	if (!d) {
		stream_close(fd, 0);
		return err_new(-ENOMEM);
	}
	*d = (struct door){ .loop = l, .fd = fd, .handler = handler, .owner = owner };
	TAILQ_INSERT_TAIL(&l->doors, d, link);
	d->event = event_new(l->base, fd, EV_READ | EV_PERSIST, on_knock, d);
	if (!d->event || event_add(d->event, NULL) < 0) {
		door_free(d);
		return err_new(-ENOMEM);
	}
	*out = d;
	return 0;
}

void door_free(struct door *d)
{
	if (!d)
		return;
	TAILQ_REMOVE(&d->loop->doors, d, link);
	if (d->event)
		event_free(d->event);
	stream_close(d->fd, 0);
	free(d);
}
