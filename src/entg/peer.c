/*
 * Peers of the gateway: what they own when they arrive, and that it is withdrawn when they leave.
 *
 * An agent owns the prefixes of its HELLO (or, v0, the address of its first packet); a prefix has
 * one owner here, and a second one is refused, unless it is the same process on a new connection. A
 * v0 gateway announces nothing, so it is where everything goes that nobody else has.
 */
#include "entg/peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/appraiser.h"

/* Peers of one kind, and both accepted by the same alternative of its policy. */
static bool are_equals(const struct peer *a, const struct peer *b)
{
	const struct appraisal *va = chan_appraisal(a->c), *vb = chan_appraisal(b->c);

	return chan_role(a->c) == chan_role(b->c) && va && vb && va->alternative == vb->alternative;
}

static bool same_node(const struct peer *a, const struct peer *b)
{
	const bool unproved = !chan_appraisal(a->c) && !chan_appraisal(b->c);

	/* A node id can be copied: who was accepted as something is replaced by the same only. */
	if (!are_equals(a, b) && !(unproved && chan_role(a->c) == chan_role(b->c)))
		return false;
	return chan_protocol(a->c) == CHAN_PROTOCOL_ENG1 &&
	       chan_protocol(b->c) == CHAN_PROTOCOL_ENG1 &&
	       memcmp(chan_peer(a->c)->node_id, chan_peer(b->c)->node_id, CONTROL_NODE_ID) == 0;
}

static bool claims(const struct peer *p, const struct prefix *prefix)
{
	const struct control_hello *h = chan_peer(p->c);

	for (size_t i = 0; i < h->n_prefixes; i++)
		if (prefix_equal(&h->prefixes[i], prefix))
			return true;
	return false;
}

/*
 * Whether the policy lets this peer replace one that has the prefix: both were accepted by the same
 * alternative, which says so. A node id proves nothing, so it counts between equals only.
 */
static bool may_take_over(const struct peer *p, const struct peer *q, const struct prefix *prefix)
{
	return are_equals(p, q) && chan_appraisal(p->c)->may_replace && claims(q, prefix);
}

static enum chan_reason own(struct peer *p, const struct prefix *prefix)
{
	static const struct route_path direct = { .n = 0 };
	struct peer *q, *next;
	int r;

	if (!chan_may_own(p->c, prefix))
		return CHAN_R_DENIED;
	r = route_add(p->g->table, prefix, p, &direct);
	if (r == ROUTE_E_TAKEN) {
		for (q = TAILQ_FIRST(&p->g->peers); q; q = next) {
			next = TAILQ_NEXT(q, link);
			if (q != p && (same_node(p, q) || may_take_over(p, q, prefix))) {
				route_drop_peer(p->g->table, q);
				chan_close(q->c, CHAN_R_REPLACED);
			}
		}
		r = route_add(p->g->table, prefix, p, &direct);
	}
	if (r == ROUTE_E_TAKEN)
		return CHAN_R_PREFIX_TAKEN;
	if (r == ROUTE_E_FULL)
		return CHAN_R_LIMIT;
	return r == 0 ? CHAN_OK : CHAN_R_MEMORY;
}

/*
 * Everything that nobody else has goes to this peer, or, if the policy says what it may own, that:
 * v0 has no way to say it itself.
 */
static enum chan_reason be_default(struct peer *p)
{
	static const struct prefix all[] = { { .addr.family = AF_INET },
					     { .addr.family = AF_INET6 } };
	struct route_path path = { .n = chan_role(p->c) == CONTROL_ROLE_GATEWAY };
	const struct appraisal *a = chan_appraisal(p->c);
	const struct prefix *prefixes = a ? a->prefixes : all;
	const size_t n = a ? a->n_prefixes : ARRAY_LEN(all);
	int r = 0;

	memcpy(path.ids[0], p->v0_id, sizeof(p->v0_id));
	for (size_t i = 0; i < n && r == 0; i++) {
		r = route_add(p->g->table, &prefixes[i], p, &path);
		if (r == ROUTE_E_TAKEN) /* a second silent agent: until it has sent something */
			r = 0;
	}
	if (r == ROUTE_E_FULL)
		return CHAN_R_LIMIT;
	return r == 0 ? CHAN_OK : CHAN_R_MEMORY;
}

enum chan_reason peer_learn(struct peer *p, const struct addr *src)
{
	struct prefix host = prefix_of(src, addr_bits(src));
	enum chan_reason why;

	p->v0_learnt = true;
	/* Where everything went while it was silent: no more, and not for a moment's source checks.
	 */
	route_drop_peer(p->g->table, p);
	why = own(p, &host);
	neighbours_tell(p->g);
	return why;
}

static enum chan_reason introduce(struct peer *p)
{
	const struct control_hello *h = chan_peer(p->c);
	enum chan_reason why = CHAN_OK;

	if (chan_role(p->c) == CONTROL_ROLE_GATEWAY)
		return chan_protocol(p->c) == CHAN_PROTOCOL_V0 ? be_default(p) : CHAN_OK;
	if (chan_protocol(p->c) == CHAN_PROTOCOL_V0)
		return chan_stats(p->c)->frames_in == 0 ? be_default(p) : CHAN_OK;
	for (size_t i = 0; i < h->n_prefixes && why == CHAN_OK; i++)
		why = own(p, &h->prefixes[i]);
	return why;
}

static enum chan_reason on_open(void *owner, struct chan *c)
{
	bool agent = chan_role(c) == CONTROL_ROLE_AGENT;
	struct gateway *g = owner;
	enum chan_reason why;
	struct peer *p;

	if (agent ? g->n_agents >= GATEWAY_AGENTS_MAX : g->n_neighbours >= GATEWAY_NEIGHBOURS_MAX)
		return CHAN_R_LIMIT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return CHAN_R_MEMORY;
	*p = (struct peer){ .g = g, .c = c };
	if (getrandom(p->v0_id, sizeof(p->v0_id), 0) < 0) {
		free(p);
		return CHAN_R_MEMORY;
	}
	chan_set_data(c, p);
	TAILQ_INSERT_TAIL(&g->peers, p, link);
	if (agent)
		g->n_agents++;
	else
		g->n_neighbours++;
	for (size_t i = 0; i < g->n_links; i++)
		if (link_chan(g->links[i]) == c)
			link_up(g->links[i]);
	why = introduce(p);
	neighbours_tell(g);
	if (why == CHAN_OK)
		neighbours_tell_all(g, p);
	return why;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct peer *p = chan_data(c);
	struct gateway *g = owner;

	(void)why;
	for (size_t i = 0; i < g->n_links; i++)
		if (link_chan(g->links[i]) == c)
			link_lost(g->links[i]);
	if (p) {
		g->lost_ms = clock_now_ms();
		if (chan_role(c) == CONTROL_ROLE_AGENT)
			g->n_agents--;
		else
			g->n_neighbours--;
		TAILQ_REMOVE(&g->peers, p, link);
		route_drop_peer(g->table, p);
		g->generation++; /* nobody may remember this peer as a next hop */
		neighbours_tell(g);
		free(p);
	}
	if (g->stopping && chan_loop_count(g->loop) == 0)
		event_base_loopexit(g->base, NULL);
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	(void)owner;
	return forward_packet(chan_data(c), p);
}

static enum chan_reason on_routes(void *owner, struct chan *c, const struct control_routes *r)
{
	(void)owner;
	return neighbours_told(chan_data(c), r);
}

/*
 * What an agent owns was said once, in its HELLO: it goes if that is not granted any more. Of a
 * gateway's routes, those that were not granted were not kept: it comes back and tells them anew.
 */
static enum chan_reason on_reattested(void *owner, struct chan *c, bool grants_changed)
{
	const struct control_hello *h = chan_peer(c);

	(void)owner;
	if (!grants_changed)
		return CHAN_OK;
	if (chan_role(c) == CONTROL_ROLE_GATEWAY || chan_protocol(c) == CHAN_PROTOCOL_V0)
		return CHAN_R_REGRANTED;
	for (size_t i = 0; i < h->n_prefixes; i++)
		if (!chan_may_own(c, &h->prefixes[i]))
			return CHAN_R_DENIED;
	return CHAN_OK;
}

static void on_batch_end(void *owner, struct chan *c)
{
	(void)c;
	forward_flush(owner);
}

static void on_writable(void *owner, struct chan *c)
{
	(void)owner;
	(void)c; /* the queue has sent itself; nothing here waits for room */
}

const struct chan_handler peer_handler = {
	.open = on_open,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
	.reattested = on_reattested,
	.writable = on_writable,
	.closed = on_closed,
};
