/*
 * A lane and its queue; see worker.h. pump.c moves the packets between them, and holds those for
 * which the gateway has no room yet.
 *
 * While lane 0 is down packets first wait in the device; after AGENT_WAIT_MS they are answered
 * with ICMP unreachable: a new connection fails at once, and an established one keeps trying
 * without backing off (RFC 6069). A further lane that is down has its queue detached, and the
 * kernel spreads the flows over those that are left.
 */
#include "enta/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "chan/appraiser.h"
#include "enta/pump.h"
#include "io/congestion.h"
#include "io/tun.h"

struct worker {
	struct worker_config cfg;
	const struct agent_config *agent;
	struct tun_queue *queue;
	struct pump *pump;
	struct chan_loop *loop;
	struct link *link;
	struct event *tun_readable, *wait_over;
	struct chan *gateway; /* while it is open */
	bool refusing, stopping;
	struct worker_order order; /* of a further lane */
	bool again;		   /* the link begins anew when its channel is gone */
};

static void fail(struct worker *w, int r)
{
	log_error("tun-lost", "name=%s queue=%u reason=\"%s\"", tun_name(w->cfg.tun), w->cfg.lane,
		  err_text(r));
	event_del(w->tun_readable);
	w->cfg.owner->failed(w->cfg.ctx, w->cfg.lane);
}

static void pump(struct worker *w)
{
	int r = w->gateway ? pump_out(w->pump, w->gateway) : pump_refuse(w->pump);

	if (r < 0)
		fail(w, r);
	else if (r == PUMP_E_MORE)
		event_active(w->tun_readable, EV_READ, 0);
}

static void on_tun_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (w->gateway || w->stopping)
		return;
	w->refusing = true;
	log_warn("link-waiting", "gateways=%zu captured_traffic=refused", w->agent->n_endpoints);
	event_add(w->tun_readable, NULL);
}

/* There is no gateway on this lane. Harmless when there was none. */
static void start_waiting(struct worker *w)
{
	static const struct timeval wait = { .tv_sec = AGENT_WAIT_MS / 1000,
					     .tv_usec = (long)(AGENT_WAIT_MS % 1000) * 1000 };
	int r;

	w->gateway = NULL;
	pump_clear(w->pump);
	event_del(w->tun_readable);
	if (w->cfg.lane == 0) {
		event_add(w->wait_over, &wait);
		return;
	}
	r = tun_queue_detach(w->queue);
	if (r < 0)
		fail(w, r);
}

static enum chan_reason open_first(struct worker *w, struct chan *c)
{
	uint32_t features = chan_features(c);
	unsigned wanted = 0;
	int r;

	if (features & CONTROL_FEATURE_GSO)
		wanted |= TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO;
	if (features & CONTROL_FEATURE_GSO && features & CONTROL_FEATURE_USO)
		wanted |= TUN_OFFLOAD_USO;
	r = tun_set_offloads(w->cfg.tun, wanted);
	if (r < 0) {
		fail(w, r);
		return CHAN_R_IO;
	}
	w->refusing = false;
	event_del(w->wait_over);
	log_info("link-up", "gateway=%s tun=%s gso=%s uso=%s transport=%s", chan_name(c),
		 tun_name(w->cfg.tun), r & TUN_OFFLOAD_TSO ? "yes" : "no",
		 r & TUN_OFFLOAD_USO ? "yes" : "no",
		 w->cfg.security ? "rats-tls" : "tcp-plaintext");
	return CHAN_OK;
}

static int32_t alternative_of(const struct chan *c)
{
	const struct appraisal *v = chan_appraisal(c);

	return v ? v->alternative : -1;
}

/* Whoever answers there now must be who lane 0 leads to. */
static enum chan_reason open_further(struct worker *w, const struct chan *c)
{
	int r;

	if (memcmp(chan_peer(c)->node_id, w->order.node_id, CONTROL_NODE_ID) != 0 ||
	    alternative_of(c) != w->order.alternative)
		return CHAN_R_LANE;
	r = tun_queue_attach(w->queue);
	if (r < 0) {
		fail(w, r);
		return CHAN_R_IO;
	}
	log_info("lane-up", "gateway=%s lane=%u", chan_name(c), w->cfg.lane);
	return CHAN_OK;
}

/* What the further lanes follow: where this one, lane 0, leads. */
static void lead(struct worker *w, bool is_up)
{
	const struct chan *c = w->gateway;

	w->order.round += is_up;
	w->order.is_wanted = c && chan_features(c) & CONTROL_FEATURE_LANES;
	if (is_up && !w->order.is_wanted && w->agent->n_workers > 1)
		log_info("lanes", "gateway=%s in_use=1 reason=\"the gateway takes no more\"",
			 chan_name(c));
	if (w->order.is_wanted) {
		chan_remote(c, &w->order.to);
		memcpy(w->order.node_id, chan_peer(c)->node_id, CONTROL_NODE_ID);
		w->order.alternative = alternative_of(c);
	}
	w->cfg.owner->lead(w->cfg.ctx, &w->order);
}

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct worker *w = owner;
	enum chan_reason why = w->cfg.lane == 0 ? open_first(w, c) : open_further(w, c);

	if (why != CHAN_OK)
		return why;
	link_up(w->link);
	w->gateway = c;
	event_add(w->tun_readable, NULL);
	if (w->cfg.lane == 0)
		lead(w, true);
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	struct worker *w = owner;
	int r = pump_in(w->pump, c, p);

	if (r < 0)
		fail(w, r);
	return CHAN_OK;
}

static enum chan_reason on_routes(void *owner, struct chan *c, const struct control_routes *r)
{
	(void)owner;
	(void)c;
	(void)r;
	return CHAN_OK; /* one gateway is the way to everything: nothing to choose from */
}

static enum chan_reason on_reattested(void *owner, struct chan *c, bool grants_changed)
{
	struct worker *w = owner;

	(void)grants_changed; /* an agent asks its gateway for no prefix */
	if (w->cfg.lane == 0 && alternative_of(c) != w->order.alternative)
		lead(w, false);
	return CHAN_OK;
}

static void on_batch_end(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
}

static void on_writable(void *owner, struct chan *c)
{
	struct worker *w = owner;

	if (c == w->gateway)
		pump(w);
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct worker *w = owner;
	const bool was_open = c == w->gateway;

	if (w->stopping) {
		event_base_loopexit(w->cfg.base, NULL);
		return;
	}
	if (was_open) {
		log_warn(w->cfg.lane == 0 ? "link-lost" : "lane-lost",
			 "gateway=%s lane=%u reason=%s", chan_name(c), w->cfg.lane,
			 chan_reason_word(why));
		start_waiting(w);
	}
	link_lost(w->link);
	if (was_open && w->cfg.lane == 0)
		lead(w, false);
	if (w->again)
		link_restart(w->link, &w->order.to);
	w->again = false;
}

static const struct chan_handler handler = {
	.open = on_open,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
	.reattested = on_reattested,
	.writable = on_writable,
	.closed = on_closed,
};

static int set_up(struct worker *w)
{
	const struct agent_config *agent = w->agent;
	struct chan_config cfg = { .handler = &handler,
				   .owner = w,
				   .expect = CONTROL_ROLE_GATEWAY,
				   .plain = !w->cfg.security,
				   .compat = agent->compat,
				   .adapts = congestion_is_auto(agent->stream.congestion),
				   .trust = security_trust(w->cfg.security, CONTROL_ROLE_GATEWAY),
				   .lane = w->cfg.lane };
	int r;

	w->queue = tun_queue(w->cfg.tun, w->cfg.lane);
	w->tun_readable = event_new(w->cfg.base, tun_queue_fd(w->queue), EV_READ | EV_PERSIST,
				    on_tun_readable, w);
	w->wait_over = event_new(w->cfg.base, -1, 0, on_wait_over, w);
	if (!w->tun_readable || !w->wait_over)
		return err_new(-ENOMEM);
	r = pump_new(agent, w->queue, &w->pump);
	if (r == 0)
		r = chan_loop_new(w->cfg.base, w->cfg.own, &w->loop);
	if (r < 0)
		return err_pass(r);
	chan_loop_share_limits(w->loop, agent->n_workers);
	if (w->cfg.lane == 0)
		start_waiting(w);
	r = link_new(w->loop, &cfg, agent->endpoints, agent->n_endpoints, &agent->stream, &w->link);
	if (r == 0 && w->cfg.lane != 0)
		link_stop(w->link); /* until it has something to follow */
	return r;
}

int worker_new(const struct worker_config *cfg, struct worker **out)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_new(-ENOMEM);
	w->cfg = *cfg;
	w->agent = cfg->agent;
	r = set_up(w);
	if (r < 0) {
		worker_free(w);
		return err_pass(r);
	}
	*out = w;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	link_free(w->link);
	if (w->tun_readable)
		event_free(w->tun_readable);
	if (w->wait_over)
		event_free(w->wait_over);
	chan_loop_free(w->loop);
	pump_free(w->pump);
	free(w);
}

struct chan_loop *worker_loop(const struct worker *w)
{
	return w->loop;
}

void worker_follow(struct worker *w, const struct worker_order *order)
{
	const bool goes_on =
		order->is_wanted && w->order.is_wanted && order->round == w->order.round;
	struct chan *c = link_chan(w->link);

	w->order = *order;
	if (goes_on || w->stopping)
		return;
	link_stop(w->link);
	w->again = c && order->is_wanted;
	if (c) {
		start_waiting(w); /* nothing more is sent on it */
		chan_close(c, CHAN_R_STOP);
	} else if (order->is_wanted) {
		link_restart(w->link, &order->to);
	}
}

void worker_print(const struct worker *w, struct chan_totals *sum)
{
	const struct pump_stats *s = pump_stats(w->pump);

	chan_loop_print(w->loop, sum);
	log_info("counter-tun",
		 "name=%s queue=%u link=%s packets_out=%llu waited=%llu overtakes=%llu "
		 "packets_in=%llu "
		 "drop_form=%llu drop_source=%llu drop_queue=%llu drop_tun=%llu refused=%llu",
		 tun_name(w->cfg.tun), w->cfg.lane,
		 w->gateway	    ? "up"
		 : w->refusing	    ? "refusing"
		 : w->cfg.lane == 0 ? "waiting"
				    : "down",
		 (unsigned long long)s->packets_out, (unsigned long long)s->waited,
		 (unsigned long long)s->overtakes, (unsigned long long)s->packets_in,
		 (unsigned long long)s->drops_form, (unsigned long long)s->drops_source,
		 (unsigned long long)s->drops_queue, (unsigned long long)s->drops_tun,
		 (unsigned long long)s->refused);
}

void worker_stop(struct worker *w)
{
	static const struct timeval limit = { .tv_sec = 1 };

	if (w->stopping)
		return;
	w->stopping = true;
	event_del(w->tun_readable);
	link_stop(w->link);
	if (chan_loop_count(w->loop) == 0) {
		event_base_loopexit(w->cfg.base, NULL);
		return;
	}
	chan_loop_drain(w->loop);
	event_base_loopexit(w->cfg.base, &limit);
}
