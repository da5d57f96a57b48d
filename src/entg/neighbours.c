/*
 * Routes between gateways: a path vector (as BGP's, RFC 4271) over the channels.
 *
 * When the best route to a prefix changes, every neighbour is told at once, before any packet that
 * follows, except the one the route came from, which is told that we have none (split horizon). A
 * route carries the gateways it crosses, so none is ever taken that leads through ourselves.
 */
#include "entg/peer.h"

#include <string.h>

#include "base/clock.h"

static bool is_told(const struct peer *p)
{
	return p->c && p->f.lane == 0 && p->f.role == CONTROL_ROLE_GATEWAY &&
	       p->f.protocol == CHAN_PROTOCOL_ENG1 && chan_state(p->c) == CHAN_OPEN;
}

/* Sends routes to one neighbour, in as many frames as they need. */
static void send_routes(struct peer *to, const struct control_routes *r)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t next = 0, n;

	while (next < r->n_routes && chan_state(to->c) == CHAN_OPEN) {
		if (control_put_routes_some(r, next, buf, sizeof(buf), &n, &next) != 0) {
			chan_close(to->c, CHAN_R_MEMORY);
			return;
		}
		chan_send_control(to->c, buf, n);
	}
}

static void tell_one(struct shard *s, struct peer *to)
{
	struct control_routes r = { .n_routes = s->news.n_routes };

	for (size_t i = 0; i < r.n_routes; i++) {
		r.routes[i] = s->news.routes[i];
		if (s->news_from[i] == to)
			r.routes[i].n_path = 0;
	}
	send_routes(to, &r);
}

void neighbours_tell(struct shard *s)
{
	struct peer *p;

	if (s->news.n_routes == 0)
		return;
	TAILQ_FOREACH (p, &s->peers, link)
		if (is_told(p))
			tell_one(s, p);
	s->news.n_routes = 0;
}

static void fill_route(const struct shard *s, struct control_route *out,
		       const struct prefix *prefix, const struct route_path *path)
{
	*out = (struct control_route){ .prefix = *prefix };
	if (!path || path->n >= CONTROL_PATH_MAX)
		return; /* gone, or farther than a route may reach: withdrawn */
	memcpy(out->path[0], chan_loop_own(s->loop)->node_id, CONTROL_NODE_ID);
	memcpy(out->path[1], path->ids, path->n * sizeof(path->ids[0]));
	out->n_path = path->n + 1;
}

void neighbours_changed(void *shard, const struct prefix *prefix, void *peer,
			const struct route_path *path)
{
	struct shard *s = shard;

	s->generation++;
	s->changed_ms = clock_now_ms();
	if (s->news.n_routes == CONTROL_ROUTES_MAX)
		neighbours_tell(s);
	s->news_from[s->news.n_routes] = peer;
	fill_route(s, &s->news.routes[s->news.n_routes++], prefix, path);
}

struct newcomer {
	struct peer *to;
	struct control_routes routes;
};

static void collect(void *ctx, const struct prefix *prefix, void *peer,
		    const struct route_path *path)
{
	struct newcomer *n = ctx;

	if (peer == n->to)
		return;
	fill_route(n->to->s, &n->routes.routes[n->routes.n_routes++], prefix, path);
	if (n->routes.n_routes < CONTROL_ROUTES_MAX)
		return;
	send_routes(n->to, &n->routes);
	n->routes.n_routes = 0;
}

void neighbours_tell_all(struct shard *s, struct peer *newcomer)
{
	struct newcomer n = { .to = newcomer };

	if (!is_told(newcomer))
		return;
	route_each_best(s->table, collect, &n);
	send_routes(newcomer, &n.routes);
}

/* The policy does not grant it: as if the neighbour had not said so; the others stay. */
static int refuse(struct peer *from, const struct prefix *prefix)
{
	enum { BURST = 5, PERIOD_MS = 10000 };
	struct shard *s = from->s;
	char text[PREFIX_TEXT_MAX];
	uint32_t suppressed;

	if (log_limit_pass(&s->denied_log, clock_now_ms(), BURST, PERIOD_MS, &suppressed))
		log_warn("route-denied",
			 "peer=%s prefix=%s reason=prefix-not-granted suppressed=%u",
			 chan_name(from->c), prefix_format(prefix, text), suppressed);
	return rib_withdraw(from, prefix);
}

static int take(struct peer *from, const struct control_route *in)
{
	struct route_path path = { .n = in->n_path };
	int r;

	memcpy(path.ids, in->path, in->n_path * sizeof(in->path[0]));
	if (in->n_path == 0)
		return rib_withdraw(from, &in->prefix);
	if (!chan_may_own(from->c, &in->prefix))
		return refuse(from, &in->prefix);
	r = rib_add(from, &in->prefix, &path);
	/* A looping path replaces what this neighbour told before: it has no way for us now. */
	return r == ROUTE_E_LOOP ? rib_withdraw(from, &in->prefix) : r;
}

enum chan_reason neighbours_told(struct peer *from, const struct control_routes *r)
{
	int result = 0;

	if (from->f.lane > 0)
		return CHAN_R_ROUTES;
	rib_enter(from->s);
	for (size_t i = 0; i < r->n_routes && result >= 0 && result != ROUTE_E_FULL; i++)
		result = take(from, &r->routes[i]);
	rib_leave(from->s);
	if (result == ROUTE_E_FULL)
		return CHAN_R_LIMIT;
	return result < 0 ? CHAN_R_MEMORY : CHAN_OK;
}
