/* The gateway's frame: listeners, links to neighbours, timers, start and stop. */
#include "entg/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/congestion.h"
#include "io/stream.h"

/* Accepts until there is nobody left, but leaves the loop a chance in between. */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	enum { ACCEPTS = 64 };
	struct listener *ls = arg;
	struct addr peer;
	struct chan *c;
	uint16_t port;
	int r, peer_fd;

	(void)what;
	for (int i = 0; i < ACCEPTS; i++) {
		r = stream_accept(fd, &peer_fd, &peer, &port);
		if (r == STREAM_E_AGAIN)
			return;
		if (r == -EMFILE || r == -ENFILE) /* make room, or this event never ends */
			chan_loop_evict_stranger(ls->g->loop);
		if (r < 0)
			return;
		if (chan_loop_strangers(ls->g->loop) >= GATEWAY_STRANGERS_MAX)
			chan_loop_evict_stranger(ls->g->loop);
		if (chan_accept_take_fd(ls->g->loop, &ls->chan, peer_fd, &peer, port, &c) < 0)
			return;
	}
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;

	(void)fd;
	(void)what;
	route_expire(g->table, clock_now_ms());
}

static struct chan_config chan_config(struct gateway *g, enum control_role expect, bool plain)
{
	return (struct chan_config){ .handler = &peer_handler,
				     .owner = g,
				     .expect = expect,
				     .plain = plain,
				     .compat = g->compat,
				     .adapts = g->adapts,
				     .trust = plain ? NULL : security_trust(g->security, expect) };
}

static int add_listener(struct gateway *g, const struct endpoint *e, enum control_role expect,
			const struct stream_options *o, const char **out_wrong)
{
	static char wrong[ENDPOINT_TEXT_MAX + 80];
	struct listener *ls = &g->listeners[g->n_listeners];
	char text[ENDPOINT_TEXT_MAX];
	struct addr on = { 0 };
	int r;

	if (e->host[0] && !addr_parse(e->host, &on))
		return err_new(-EINVAL);
	*ls = (struct listener){ .g = g, .fd = -1 };
	ls->chan = chan_config(g, expect, e->plain);
	r = stream_listen(&on, e->port, o, &ls->fd);
	if (r < 0) {
		snprintf(wrong, sizeof(wrong), "cannot listen on %s: %s", endpoint_format(e, text),
			 err_text(r));
		*out_wrong = wrong;
		return err_pass(r);
	}
	g->n_listeners++;
	ls->event = event_new(g->base, ls->fd, EV_READ | EV_PERSIST, on_accept, ls);
	if (!ls->event || event_add(ls->event, NULL) < 0)
		return err_new(-ENOMEM);
	log_info("listening", "on=%s for=%s transport=%s", endpoint_format(e, text),
		 expect == CONTROL_ROLE_AGENT ? "agents" : "gateways",
		 e->plain ? "tcp-plaintext" : "rats-tls");
	return 0;
}

static int add_link(struct gateway *g, const struct endpoint *e, const struct stream_options *o)
{
	const struct chan_config cfg = chan_config(g, CONTROL_ROLE_GATEWAY, e->plain);
	int r;

	r = link_new(g->loop, &cfg, e, 1, o, &g->links[g->n_links]);
	if (r == 0)
		g->n_links++;
	return r;
}

static int set_up_security(struct gateway *g, const struct gateway_config *cfg,
			   const char **out_wrong)
{
	static char wrong[SECURITY_MESSAGE_MAX];
	int r;

	if (!cfg->security.with_agents && !cfg->security.with_gateways)
		return 0;
	r = security_new(g->base, &cfg->security, &g->security, wrong);
	if (r < 0)
		*out_wrong = wrong;
	return r;
}

static int set_up(struct gateway *g, const struct gateway_config *cfg, const char **out_wrong)
{
	struct control_hello own = { .version = CONTROL_VERSION,
				     .role = CONTROL_ROLE_GATEWAY,
				     .features = CONTROL_FEATURE_GSO | CONTROL_FEATURE_USO,
				     .mtu = 65535 };
	static const struct timeval second = { .tv_sec = 1 };
	int r;

	*out_wrong = "out of memory";
	memcpy(own.name, cfg->name, sizeof(own.name));
	if (getrandom(own.node_id, sizeof(own.node_id), 0) < 0)
		return err_new(-errno);
	r = set_up_security(g, cfg, out_wrong);
	if (r == 0)
		r = chan_loop_new(g->base, &own, &g->loop);
	if (r == 0)
		r = route_table_new(own.node_id, neighbours_changed, g, &g->table);
	if (r < 0)
		return err_pass(r);
	g->expire = event_new(g->base, -1, EV_PERSIST, on_expire, g);
	if (!g->expire || event_add(g->expire, &second) < 0)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < cfg->n_listen_agents && r == 0; i++)
		r = add_listener(g, &cfg->listen_agents[i], CONTROL_ROLE_AGENT, &cfg->stream,
				 out_wrong);
	for (size_t i = 0; i < cfg->n_listen_gateways && r == 0; i++)
		r = add_listener(g, &cfg->listen_gateways[i], CONTROL_ROLE_GATEWAY, &cfg->stream,
				 out_wrong);
	for (size_t i = 0; i < cfg->n_connect && r == 0; i++)
		r = add_link(g, &cfg->connect[i], &cfg->stream);
	return r;
}

int gateway_new(struct event_base *base, const struct gateway_config *cfg, struct gateway **out,
		const char **out_wrong)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return err_new(-ENOMEM);
	*g = (struct gateway){ .base = base,
			       .compat = cfg->compat,
			       .adapts = congestion_is_auto(cfg->stream.congestion) };
	g->lost_ms = clock_now_ms(); /* just started: neighbours and agents are on their way */
	TAILQ_INIT(&g->peers);
	r = set_up(g, cfg, out_wrong);
	if (r < 0) {
		gateway_free(g);
		return err_pass(r);
	}
	*out = g;
	return 0;
}

static void close_listeners(struct gateway *g)
{
	for (size_t i = 0; i < g->n_listeners; i++) {
		if (g->listeners[i].event)
			event_free(g->listeners[i].event);
		stream_close(g->listeners[i].fd, 0);
	}
	g->n_listeners = 0;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	close_listeners(g);
	for (size_t i = 0; i < g->n_links; i++)
		link_free(g->links[i]);
	if (g->expire)
		event_free(g->expire);
	route_table_free(g->table);
	chan_loop_free(g->loop);
	security_free(g->security);
	free(g);
}

void gateway_run(struct gateway *g, unsigned poll_us)
{
	chan_loop_run(g->loop, poll_us);
}

void gateway_print(const struct gateway *g)
{
	const struct peer *p;

	chan_loop_print(g->loop);
	TAILQ_FOREACH (p, &g->peers, link)
		log_info("routes", "peer=%s prefixes=%zu", chan_name(p->c),
			 route_count(g->table, p));
}

void gateway_reload(struct gateway *g)
{
	security_reload(g->security, g->loop);
}

void gateway_stop(struct gateway *g)
{
	static const struct timeval limit = { .tv_sec = 2 };

	if (g->stopping)
		return;
	g->stopping = true;
	close_listeners(g);
	for (size_t i = 0; i < g->n_links; i++)
		link_stop(g->links[i]);
	if (chan_loop_count(g->loop) == 0) {
		event_base_loopexit(g->base, NULL);
		return;
	}
	chan_loop_drain(g->loop);
	event_base_loopexit(g->base, &limit); /* whoever has not gone by then is cut off */
}
