/*
 * Packets from one peer to another: the hot path of the gateway.
 *
 * A packet is checked (its source must belong to the peer it came from), its next hop looked up,
 * its TTL decremented in place, and its frame appended to the run of that next hop: an iovec into
 * the receive buffer, made longer while the frames lie side by side. At the end of the batch each
 * run goes out in one call. Nothing is copied or allocated on the way, but for a next hop that
 * cannot take a GSO packet: for that one it is segmented here; and for one whose connections are
 * all other workers': to those a copy goes (shard.c). No lock is taken.
 */
#include "entg/peer.h"

#include <string.h>

#include "base/clock.h"
#include "base/span.h"

enum {
	SETTLE_MS =
		10000, /* after a change of routes, packets of neighbours may be astray, honestly */
	LOST_QUIET_MS = 3000, /* a peer that went away may be restarting: no answer yet */
};

static void send_to(struct peer *to, struct iovec *iov, int n_iov)
{
	if (to->c)
		chan_send(to->c, iov, n_iov);
	else
		shard_hand_over(to->s, to, iov, n_iov);
}

static void flush_run(struct run *run)
{
	if (run->n_iov > 0)
		send_to(run->to, run->iov, run->n_iov);
	run->n_iov = 0;
}

void forward_flush(struct shard *s)
{
	for (size_t i = 0; i < s->n_runs; i++)
		flush_run(&s->runs[i]);
	s->n_runs = 0;
}

static struct run *run_for(struct shard *s, struct peer *to)
{
	for (size_t i = 0; i < s->n_runs; i++)
		if (s->runs[i].to == to)
			return &s->runs[i];
	if (s->n_runs == ARRAY_LEN(s->runs))
		forward_flush(s);
	s->runs[s->n_runs] = (struct run){ .to = to };
	return &s->runs[s->n_runs++];
}

static void append(struct run *run, struct span frame)
{
	struct iovec *last = run->n_iov > 0 ? &run->iov[run->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == frame.p) {
		last->iov_len += frame.n;
		return;
	}
	if (run->n_iov == ARRAY_LEN(run->iov))
		flush_run(run);
	run->iov[run->n_iov++] = (struct iovec){ (void *)(uintptr_t)frame.p, frame.n };
}

/* A peer that knows no PACKET_GSO: a complete packet gets a plain head, over the fields it had. */
static void append_plain(struct run *run, const struct chan_packet *p)
{
	uint8_t *head = (uint8_t *)(uintptr_t)p->packet.p - FRAME_HEAD;

	frame_put_head(head, p->packet.n);
	append(run, SPAN(head, FRAME_HEAD + p->packet.n));
}

/* For a peer of v0, or one that lacks a feature: complete packets, in frames, a buffer at a time.
 */
static void send_segments(struct run *run, const struct chan_packet *p)
{
	uint8_t *buf = run->to->s->segments;
	struct iovec iov = { buf, 0 };
	struct gso_iter it;
	size_t n;

	flush_run(run); /* what came before goes before */
	gso_iter_init(&it, p->packet, &p->gso, &p->info);
	for (;;) {
		if (FORWARD_SEGMENTS - iov.iov_len < FRAME_HEAD + p->packet.n) {
			send_to(run->to, &iov, 1);
			iov = (struct iovec){ buf, 0 };
		}
		n = gso_next(&it, buf + iov.iov_len + FRAME_HEAD,
			     FORWARD_SEGMENTS - iov.iov_len - FRAME_HEAD);
		if (n == 0)
			break;
		frame_put_head(buf + iov.iov_len, n);
		iov.iov_len += FRAME_HEAD + n;
	}
	if (iov.iov_len > 0)
		send_to(run->to, &iov, 1);
}

/*
 * Tells an agent's application at once that nobody has this address, instead of letting it time
 * out. Not right after a peer was lost: that one may be restarting, and its connections survive.
 */
static void answer_no_route(struct peer *from, const struct chan_packet *p)
{
	uint8_t buf[FRAME_HEAD + IP_UNREACHABLE_MAX];
	struct iovec iov = { buf, 0 };
	size_t n;

	if (from->f.role != CONTROL_ROLE_AGENT || clock_now_ms() - from->s->lost_ms < LOST_QUIET_MS)
		return;
	n = ip_put_unreachable(p->packet, &p->info, &p->info.dst, buf + FRAME_HEAD,
			       IP_UNREACHABLE_MAX);
	if (n == 0)
		return;
	frame_put_head(buf, n);
	iov.iov_len = FRAME_HEAD + n;
	if (!chan_is_blocked(from->c))
		chan_send(from->c, &iov, 1);
}

/*
 * Whether a neighbour's packet from an address that is not its own may be honest: routes move, and
 * over several connections the packets of a new one can overtake the news of it.
 */
static bool may_be_astray(const struct peer *from, const struct addr *src)
{
	const struct prefix host = prefix_of(src, addr_bits(src));

	if (from->f.role == CONTROL_ROLE_AGENT)
		return false;
	/* A route that the policy does not grant was not kept: its packets are dropped. */
	return from->f.lane > 0 || clock_now_ms() - from->s->changed_ms <= SETTLE_MS ||
	       !chan_may_own(from->c, &host);
}

/* Whether the peer may send from this address; if not, drops or closes. */
static enum chan_reason check_source(struct peer *from, const struct addr *src, bool *out_drop)
{
	const struct shard *s = from->s;

	*out_drop = false;
	if (from->generation == s->generation && addr_equal(src, &from->src))
		return CHAN_OK;
	if (from->f.protocol == CHAN_PROTOCOL_V0 && !from->v0_learnt &&
	    from->f.role == CONTROL_ROLE_AGENT)
		return peer_learn(from, src);
	if (route_may_send(s->table, from->node, src))
		return CHAN_OK;
	*out_drop = may_be_astray(from, src);
	return *out_drop ? CHAN_OK : CHAN_R_SOURCE;
}

/*
 * One of the node's connections, always the same for packets that come in over the same one: so
 * those of a flow stay in order. Peers, and the lanes of each, are spread over them.
 */
static struct peer *way_to(const struct peer *node, const struct peer *from)
{
	return node->ways[(from->node->f.id + from->f.lane) % node->n_ways];
}

static struct peer *next_hop(struct peer *from, const struct addr *src, const struct addr *dst)
{
	struct shard *s = from->s;
	const struct peer *node;

	if (from->generation != s->generation || !addr_equal(dst, &from->dst)) {
		const struct peer *before = from->next_hop;

		node = route_lookup(s->table, dst);
		from->next_hop = node ? way_to(node, from) : NULL;
		from->dst = *dst;
		if (from->generation == s->generation && from->next_hop != before)
			from->spread_ms = clock_now_ms();
		from->generation = s->generation;
	}
	from->src = *src;
	return from->next_hop;
}

/* In the form that the next hop takes. */
static void send_on(struct run *run, const struct chan_packet *p)
{
	const uint32_t features = peer_features(run->to);

	if (!p->is_gso || (features & CONTROL_FEATURE_GSO && gso_fits_features(&p->gso, features)))
		append(run, p->frame);
	else if (gso_is_plain(&p->gso))
		append_plain(run, p);
	else
		send_segments(run, p);
}

enum chan_reason forward_packet(struct peer *from, const struct chan_packet *p)
{
	struct shard *s = from->s;
	enum chan_reason why;
	struct peer *to;
	bool drop;

	why = check_source(from, &p->info.src, &drop);
	if (why != CHAN_OK)
		return why;
	if (drop) {
		chan_count_drop(from->c, CHAN_DROP_SOURCE);
		return CHAN_OK;
	}
	to = next_hop(from, &p->info.src, &p->info.dst);
	if (!to) {
		chan_count_drop(from->c, CHAN_DROP_NO_ROUTE);
		answer_no_route(from, p);
		return CHAN_OK;
	}
	if (to->node ==
	    from->node) { /* agents hear themselves in the kernel; a neighbour's route is moving */
		chan_count_drop(from->c, CHAN_DROP_LOOP);
		return CHAN_OK;
	}
	if (!ip_decrement_ttl((uint8_t *)(uintptr_t)p->packet.p)) {
		chan_count_drop(from->c, CHAN_DROP_TTL);
		return CHAN_OK;
	}
	send_on(run_for(s, to), p);
	return CHAN_OK;
}
