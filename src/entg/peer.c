/*
 * Peers of the gateway: what they own when they arrive, and that it is withdrawn when they leave.
 *
 * An agent owns the prefixes of its HELLO (or, v0, the address of its first packet); a prefix has
 * one owner here, and a second one is refused, unless it is the same process on a new connection. A
 * v0 gateway announces nothing, so it is where everything goes that nobody else has.
 *
 * A node with several workers comes on several connections (docs/wire.md 4.9). That of lane 0
 * speaks for it and owns; the others join it, carry its packets, and go when it goes.
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
	return a->f.role == b->f.role && a->f.attested && b->f.attested &&
	       a->f.alternative == b->f.alternative;
}

static bool same_node(const struct peer *a, const struct peer *b)
{
	const bool unproved = !a->f.attested && !b->f.attested;

	/* A node id can be copied: who was accepted as something is replaced by the same only. */
	if (!are_equals(a, b) && !(unproved && a->f.role == b->f.role))
		return false;
	return a->f.protocol == CHAN_PROTOCOL_ENG1 && b->f.protocol == CHAN_PROTOCOL_ENG1 &&
	       memcmp(a->f.hello.node_id, b->f.hello.node_id, CONTROL_NODE_ID) == 0;
}

static bool claims(const struct peer *p, const struct prefix *prefix)
{
	const struct control_hello *h = &p->f.hello;

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
	return are_equals(p, q) && p->f.may_replace && claims(q, prefix);
}

static enum chan_reason own(struct peer *p, const struct prefix *prefix)
{
	static const struct route_path direct = { .n = 0 };
	struct peer *q, *next;
	int r;

	if (!chan_may_own(p->c, prefix))
		return CHAN_R_DENIED;
	r = rib_add(p, prefix, &direct);
	if (r == ROUTE_E_TAKEN) {
		for (q = TAILQ_FIRST(&p->s->peers); q; q = next) {
			next = TAILQ_NEXT(q, link);
			if (q->f.lane == 0 && q != p &&
			    (same_node(p, q) || may_take_over(p, q, prefix)) &&
			    rib_evict(q, CHAN_R_REPLACED) < 0)
				return CHAN_R_MEMORY;
		}
		r = rib_add(p, prefix, &direct);
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
	struct route_path path = { .n = p->f.role == CONTROL_ROLE_GATEWAY };
	const struct appraisal *a = chan_appraisal(p->c);
	const struct prefix *prefixes = a ? a->prefixes : all;
	const size_t n = a ? a->n_prefixes : ARRAY_LEN(all);
	int r = 0;

	memcpy(path.ids[0], p->v0_id, sizeof(p->v0_id));
	for (size_t i = 0; i < n && r == 0; i++) {
		r = rib_add(p, &prefixes[i], &path);
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
	rib_enter(p->s);
	/* Where everything went while it was silent: no more, and not for a moment's source checks.
	 */
	why = rib_drop(p) == 0 ? own(p, &host) : CHAN_R_MEMORY;
	rib_leave(p->s);
	return why;
}

static enum chan_reason introduce(struct peer *p)
{
	const struct control_hello *h = &p->f.hello;
	enum chan_reason why = CHAN_OK;

	if (p->f.role == CONTROL_ROLE_GATEWAY)
		return p->f.protocol == CHAN_PROTOCOL_V0 ? be_default(p) : CHAN_OK;
	if (p->f.protocol == CHAN_PROTOCOL_V0)
		return chan_stats(p->c)->frames_in == 0 ? be_default(p) : CHAN_OK;
	for (size_t i = 0; i < h->n_prefixes && why == CHAN_OK; i++)
		why = own(p, &h->prefixes[i]);
	return why;
}

/* --- lanes ------------------------------------------------------------------------------------ */

/* Where packets for this node go from here: this worker's own connections before those of others.
 */
static void choose_ways(struct peer *node)
{
	const bool is_ours[] = { true, false };

	node->n_ways = 0;
	for (size_t k = 0; k < ARRAY_LEN(is_ours) && node->n_ways == 0; k++)
		for (size_t i = 0; i < ARRAY_LEN(node->lanes); i++)
			if (node->lanes[i] && !node->lanes[i]->c == !is_ours[k])
				node->ways[node->n_ways++] = node->lanes[i];
}

/* The node that a lane belongs to; the newest, for an older one with that id is being replaced. */
static struct peer *node_of(const struct peer *lane)
{
	struct peer *q;

	TAILQ_FOREACH_REVERSE(q, &lane->s->peers, peer_list, link)
	if (q->f.lane == 0 && !q->is_leaving && same_node(lane, q) && q->f.link == lane->f.link)
		return q;
	return NULL;
}

struct peer *peer_find(const struct shard *s, uint64_t id)
{
	struct peer *p = s->places[id % SHARD_PLACES];

	return p && p->f.id == id ? p : NULL;
}

/* A neighbour that we dialled and that takes lanes: this worker dials it too. */
static void dial_lane(struct shard *s, const struct peer *node)
{
	if (s->index == 0 || node->f.link < 0 || !(node->f.hello.features & CONTROL_FEATURE_LANES))
		return;
	if (shard_dial(s, (size_t)node->f.link, &node->f.remote) < 0)
		log_warn("lane-failed", "worker=%u reason=\"out of memory\"", s->index);
}

void peer_attach(struct peer *p)
{
	struct shard *s = p->s;

	TAILQ_INIT(&p->waiters);
	TAILQ_INSERT_TAIL(&s->peers, p, link);
	s->places[p->f.id % SHARD_PLACES] = p;
	p->node = p->f.lane == 0 ? p : node_of(p);
	if (p->node) {
		p->node->lanes[p->f.lane] = p;
		choose_ways(p->node);
	}
	s->generation++;
	if (p->f.lane == 0)
		dial_lane(s, p);
}

static void leave_node(struct peer *lane)
{
	struct peer *node = lane->node;

	if (!node || node->lanes[lane->f.lane] != lane)
		return;
	node->lanes[lane->f.lane] = NULL;
	choose_ways(node);
}

/* It speaks for nobody any more: its lanes lose their meaning. */
static void leave_lanes(struct peer *node)
{
	struct shard *s = node->s;
	struct peer *q;

	if (node->f.link >= 0 && s->index > 0 && s->links[node->f.link])
		link_stop(s->links[node->f.link]);
	TAILQ_FOREACH (q, &s->peers, link) {
		if (q->node != node || q == node)
			continue;
		q->node = NULL;
		if (q->c)
			chan_close(q->c, CHAN_R_LANE);
	}
}

void peer_detach(struct peer *p)
{
	struct shard *s = p->s;

	if (p->f.lane == 0) {
		route_drop_peer(s->table, p);
		s->lost_ms = clock_now_ms();
		leave_lanes(p);
	} else {
		leave_node(p);
	}
	backpressure_gone(p);
	s->places[p->f.id % SHARD_PLACES] = NULL;
	TAILQ_REMOVE(&s->peers, p, link);
	s->generation++; /* nobody may remember this peer as a next hop */
}

/* One more connection of a node that is here already. */
static enum chan_reason join(struct peer *p)
{
	struct peer *node = node_of(p), *before;

	if (!node || p->f.protocol != CHAN_PROTOCOL_ENG1)
		return CHAN_R_LANE;
	before = node->lanes[p->f.lane];
	if (before && rib_evict(before, CHAN_R_REPLACED) < 0)
		return CHAN_R_MEMORY;
	return rib_introduce(p) == 0 ? CHAN_OK : CHAN_R_MEMORY;
}

/* --- what the channels tell --------------------------------------------------------------------
 */

static void judge(struct peer *p)
{
	const struct appraisal *a = chan_appraisal(p->c);

	p->f.attested = a != NULL;
	p->f.may_replace = a && a->may_replace;
	p->f.alternative = a ? a->alternative : -1;
}

static int link_of(const struct shard *s, const struct chan *c)
{
	for (size_t i = 0; i < ARRAY_LEN(s->links); i++)
		if (s->links[i] && link_chan(s->links[i]) == c)
			return (int)i;
	return -1;
}

/* A number that leads to a free place in the table; that of every worker is alike. */
static bool number(struct peer *p)
{
	for (size_t i = 0; i < SHARD_PLACES; i++) {
		p->f.id = ++p->s->g->last_id;
		if (!p->s->places[p->f.id % SHARD_PLACES])
			return true;
	}
	return false;
}

static struct peer *peer_new(struct shard *s, struct chan *c)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct peer){ .s = s, .c = c };
	p->f = (struct peer_facts){ .home = s->index,
				    .role = chan_role(c),
				    .protocol = chan_protocol(c),
				    .link = link_of(s, c),
				    .lane = chan_lane(c),
				    .hello = *chan_peer(c) };
	STAILQ_INIT(&p->farewells);
	chan_remote(c, &p->f.remote);
	judge(p);
	if (!number(p) || getrandom(p->v0_id, sizeof(p->v0_id), 0) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* How many there are of its kind, and may be. */
static size_t *count_of(struct gateway *g, const struct peer *p, size_t *out_max)
{
	if (p->f.lane > 0) {
		*out_max = GATEWAY_LANES_MAX;
		return &g->n_lanes;
	}
	*out_max = p->f.role == CONTROL_ROLE_AGENT ? GATEWAY_AGENTS_MAX : GATEWAY_NEIGHBOURS_MAX;
	return p->f.role == CONTROL_ROLE_AGENT ? &g->n_agents : &g->n_neighbours;
}

static enum chan_reason admit(struct shard *s, struct chan *c)
{
	struct peer *p = s->is_incomplete ? NULL : peer_new(s, c);
	enum chan_reason why = CHAN_OK;
	size_t *n, max;

	if (!p)
		return CHAN_R_MEMORY;
	n = count_of(s->g, p, &max);
	if (*n >= max)
		why = CHAN_R_LIMIT;
	else if (p->f.lane > 0)
		why = join(p);
	else if (rib_introduce(p) < 0)
		why = CHAN_R_MEMORY;
	if (why != CHAN_OK) {
		free(p);
		return why;
	}
	chan_set_data(c, p);
	++*n;
	return p->f.lane == 0 ? introduce(p) : CHAN_OK;
}

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct shard *s = owner;
	const int link = link_of(s, c);
	enum chan_reason why;

	rib_enter(s);
	why = admit(s, c);
	rib_leave(s);
	if (why != CHAN_OK)
		return why;
	if (link >= 0)
		link_up(s->links[link]);
	neighbours_tell_all(s, chan_data(c));
	return CHAN_OK;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct peer *p = chan_data(c);
	struct shard *s = owner;
	const int link = link_of(s, c);
	size_t max;

	(void)why;
	if (link >= 0)
		link_lost(s->links[link]);
	if (!chan_is_dialled(c))
		atomic_fetch_sub(&s->n_chans, 1);
	if (p) {
		rib_enter(s);
		--*count_of(s->g, p, &max);
		rib_gone(p);
		rib_leave(s);
	}
	if (s->is_stopping && chan_loop_count(s->loop) == 0)
		event_base_loopexit(s->base, NULL);
}

static bool may_read(void *owner, struct chan *c)
{
	(void)owner;
	return backpressure_may_read(chan_data(c));
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
	struct peer *p = chan_data(c);
	struct shard *s = owner;
	int r;

	rib_enter(s);
	judge(p);
	r = rib_update(p);
	rib_leave(s);
	if (r < 0)
		return CHAN_R_MEMORY;
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
	backpressure_room(chan_data(c));
}

const struct chan_handler peer_handler = {
	.open = on_open,
	.may_read = may_read,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
	.reattested = on_reattested,
	.writable = on_writable,
	.closed = on_closed,
};
