/*
 * A worker of the gateway: an event loop with channels of its own, in a thread of its own.
 *
 * Workers share nothing that a packet needs. Each has a copy of the table (rib.c), and reads,
 * judges and sends on its own connections. Only a frame whose next hop has no connection here is
 * copied to the worker that has one, through a ring for each pair of workers, which one writes and
 * one reads. A full ring drops, as a full queue does.
 *
 *   worker 0 ── ring ──► worker 1        the bell: an eventfd, written only if it has not rung
 * since ▲                    │            its owner last looked └────── ring ◄───────┘
 *
 * The first worker is the main thread: it accepts and deals out connections, each to the worker
 * that has the fewest, and has the signals and the admin door. The others are told through their
 * mailboxes.
 */
#include "entg/peer.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/congestion.h"
#include "io/thread.h"

/* --- frames of other workers ------------------------------------------------------------------ */

void shard_ring(struct shard *s)
{
	if (!atomic_exchange(&s->has_rung, true) && eventfd_write(s->bell_fd, 1) < 0)
		return; /* the counter is full: it rings */
}

void shard_hand_over(struct shard *s, const struct peer *to, const struct iovec *iov, int n_iov)
{
	struct shard *home = s->g->shards[to->f.home];
	const uint64_t n = chan_count_frames(iov, n_iov);

	if (!ring_push(home->in[s->index], to->f.id, iov, n_iov)) {
		s->handover_drops += n;
		return;
	}
	s->handed_over += n;
	shard_ring(home);
}

/* To one of this worker's peers, if it is still there. */
static void send_on(struct shard *s, uint64_t id, struct iovec *iov, int n_iov)
{
	struct peer *p = peer_find(s, id);

	if (p && n_iov > 0)
		chan_send(p->c, iov, n_iov);
}

/* What one worker has left, up to a turn's worth. False: there may be more. */
static bool take_frames(struct shard *s, struct ring *r)
{
	enum { TURN = 2 * CHAN_RX_BUF };
	struct iovec iov[16];
	uint64_t id = 0, tag;
	struct span frames;
	size_t had = 0;
	int n = 0;

	while (had < TURN && ring_next(r, &tag, &frames)) {
		if (n == ARRAY_LEN(iov) || tag != id) {
			send_on(s, id, iov, n);
			n = 0;
		}
		id = tag;
		iov[n++] = (struct iovec){ (void *)(uintptr_t)frames.p, frames.n };
		had += frames.n;
	}
	send_on(s, id, iov, n);
	ring_release(r);
	return had < TURN;
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
	struct shard *s = arg;
	eventfd_t ignored;

	(void)what;
	if (eventfd_read(fd, &ignored) < 0 && errno != EAGAIN)
		return;
	atomic_store(&s->has_rung, false); /* before the look: what comes now rings again */
	rib_catch_up(s);
	for (size_t i = 0; i < s->g->n_shards; i++)
		if (s->in[i] && !take_frames(s, s->in[i]))
			shard_ring(s);
}

/* --- calls of the first worker ---------------------------------------------------------------- */

struct call {
	struct mail mail;
	struct shard *s;
	void (*fn)(struct shard *s, void *arg);
	void *arg;
	log_sink_fn sink; /* the caller's: what is logged meanwhile is its answer */
	void *sink_ctx;
	sem_t done;
};

static void on_call(struct mail *m, bool dropped)
{
	struct call *c = (struct call *)m; /* its first member */

	if (!dropped) {
		log_divert(c->sink, c->sink_ctx);
		c->fn(c->s, c->arg);
		log_divert(NULL, NULL);
	}
	sem_post(&c->done);
}

void shard_call(struct shard *s, void (*fn)(struct shard *s, void *arg), void *arg)
{
	struct call c = { .mail.fn = on_call, .s = s, .fn = fn, .arg = arg };

	if (s->index == 0) {
		fn(s, arg);
		return;
	}
	if (!s->is_running ||
	    s->g->is_stopping) /* its thread may have ended: nobody would answer */
		return;
	c.sink = log_diverted(&c.sink_ctx);
	if (sem_init(&c.done, 0, 0) < 0)
		return;
	mailbox_post(s->box, &c.mail);
	while (sem_wait(&c.done) < 0)
		;
	sem_destroy(&c.done);
}

static void stop(struct shard *s)
{
	static const struct timeval limit = { .tv_sec = 2 };

	s->is_stopping = true;
	for (size_t i = 0; i < ARRAY_LEN(s->links); i++)
		if (s->links[i])
			link_stop(s->links[i]);
	if (chan_loop_count(s->loop) == 0) {
		event_base_loopexit(s->base, NULL);
		return;
	}
	chan_loop_drain(s->loop);
	event_base_loopexit(s->base, &limit); /* whoever has not gone by then is cut off */
}

static void on_stop(struct mail *m, bool dropped)
{
	struct shard *s = (struct shard *)((char *)m - offsetof(struct shard, stop));

	if (!dropped)
		stop(s);
}

void shard_stop(struct shard *s)
{
	if (s->index == 0) {
		stop(s);
		return;
	}
	s->stop.fn = on_stop;
	mailbox_post(s->box, &s->stop);
}

static void on_evict(struct mail *m, bool dropped)
{
	struct shard *s = (struct shard *)((char *)m - offsetof(struct shard, evict));

	if (dropped)
		return;
	atomic_store(&s->is_crowded, false);
	(void)chan_loop_evict_stranger(s->loop); /* another worker may have had one */
}

void shard_evict_stranger(struct shard *s)
{
	if (atomic_exchange(&s->is_crowded, true))
		return;
	s->evict.fn = on_evict;
	mailbox_post(s->box, &s->evict);
}

/* --- its life --------------------------------------------------------------------------------- */

struct chan_config shard_chan_config(struct shard *s, enum control_role expect, bool plain)
{
	return (struct chan_config){ .handler = &peer_handler,
				     .owner = s,
				     .expect = expect,
				     .plain = plain,
				     .compat = s->g->cfg->compat,
				     .adapts = congestion_is_auto(s->g->cfg->stream.congestion),
				     .lane = (uint8_t)s->index,
				     .trust = plain ? NULL : security_trust(s->security, expect) };
}

int shard_dial(struct shard *s, size_t link, const struct endpoint *to)
{
	const struct gateway_config *cfg = s->g->cfg;
	const struct chan_config chan =
		shard_chan_config(s, CONTROL_ROLE_GATEWAY, cfg->connect[link].plain);

	if (s->links[link]) {
		link_restart(s->links[link], to);
		return 0;
	}
	return link_new(s->loop, &chan, to, 1, &cfg->stream, &s->links[link]);
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct shard *s = arg;

	(void)fd;
	(void)what;
	route_expire(s->table, clock_now_ms());
}

static int set_up_handover(struct shard *s)
{
	int r = 0;

	for (size_t i = 0; i < s->g->cfg->n_workers && r == 0; i++)
		if (i != s->index)
			r = ring_new(SHARD_RING, &s->in[i]);
	if (r < 0)
		return err_pass(r);
	s->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->bell_fd < 0)
		return err_new(-errno);
	s->bell = event_new(s->base, s->bell_fd, EV_READ | EV_PERSIST, on_bell, s);
	if (!s->bell || event_add(s->bell, NULL) < 0)
		return err_new(-ENOMEM);
	return mailbox_new(s->base, &s->box);
}

static int set_up(struct shard *s, const struct control_hello *own)
{
	static const struct timeval second = { .tv_sec = 1 };
	int r;

	s->segments = malloc(FORWARD_SEGMENTS);
	if (!s->segments)
		return err_new(-ENOMEM);
	r = chan_loop_new(s->base, own, &s->loop);
	if (r == 0)
		r = route_table_new(own->node_id, neighbours_changed, s, &s->table);
	if (r == 0 && s->g->cfg->n_workers > 1)
		r = set_up_handover(s);
	if (r < 0)
		return err_pass(r);
	chan_loop_share_limits(s->loop, s->g->cfg->n_workers);
	s->expire = event_new(s->base, -1, EV_PERSIST, on_expire, s);
	if (!s->expire || event_add(s->expire, &second) < 0)
		return err_new(-ENOMEM);
	r = backpressure_init(s);
	return r < 0 ? err_pass(r) : 0;
}

int shard_new(struct gateway *g, unsigned index, struct event_base *base,
	      const struct control_hello *own, struct shard **out)
{
	struct shard *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_new(-ENOMEM);
	*s = (struct shard){ .g = g, .index = index, .bell_fd = -1 };
	s->base = base ? base : event_base_new();
	s->lost_ms = clock_now_ms(); /* just started: neighbours and agents are on their way */
	TAILQ_INIT(&s->peers);
	STAILQ_INIT(&s->ops);
	r = s->base ? set_up(s, own) : err_new(-ENOMEM);
	if (r < 0) {
		shard_free(s);
		return err_pass(r);
	}
	*out = s;
	return 0;
}

void shard_free(struct shard *s)
{
	struct peer *p;

	if (!s)
		return;
	for (size_t i = 0; i < ARRAY_LEN(s->links); i++)
		link_free(s->links[i]);
	while ((p = TAILQ_FIRST(
			&s->peers))) { /* of other workers: ours have gone with their channels */
		TAILQ_REMOVE(&s->peers, p, link);
		free(p);
	}
	rib_discard(s);
	if (s->expire)
		event_free(s->expire);
	if (s->wait_over)
		event_free(s->wait_over);
	if (s->bell)
		event_free(s->bell);
	fd_closep(&s->bell_fd);
	for (size_t i = 0; i < ARRAY_LEN(s->in); i++)
		ring_free(s->in[i]);
	route_table_free(s->table);
	chan_loop_free(s->loop);
	/* What waits in the first one's box may be for its jobs, the others' ask through theirs. */
	if (s->index > 0)
		security_free(s->security);
	mailbox_free(s->box);
	if (s->index == 0)
		security_free(s->security);
	free(s->segments);
	if (s->index > 0 && s->base)
		event_base_free(s->base);
	free(s);
}

static void *run(void *arg)
{
	struct shard *s = arg;

	chan_loop_run(s->loop, s->g->cfg->poll_us);
	return NULL;
}

int shard_start(struct shard *s)
{
	char name[16];
	int r;

	snprintf(name, sizeof(name), "entg-%u", s->index);
	r = thread_start(name, run, s, &s->thread);
	s->is_running = r == 0;
	return r < 0 ? err_pass(r) : 0;
}
