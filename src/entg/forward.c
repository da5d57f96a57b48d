/*
 * Packets from one peer to another: the hot path of the gateway.
 *
 * A packet is checked (its source must belong to the peer it came from), its next hop looked up,
 * its TTL decremented in place, and its frame appended to the run of that next hop: an iovec into
 * the receive buffer, made longer while the frames lie side by side. At the end of the batch each
 * run goes out in one call. Nothing is copied or allocated on the way, but for a next hop that
 * cannot take a GSO packet: for that one it is segmented here.
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

static void flush_run(struct run *run)
{
	if (run->n_iov > 0)
		chan_send(run->to->c, run->iov, run->n_iov);
	run->n_iov = 0;
}

void forward_flush(struct gateway *g)
{
	for (size_t i = 0; i < g->n_runs; i++)
		flush_run(&g->runs[i]);
	g->n_runs = 0;
}

static struct run *run_for(struct gateway *g, struct peer *to)
{
	for (size_t i = 0; i < g->n_runs; i++)
		if (g->runs[i].to == to)
			return &g->runs[i];
	if (g->n_runs == ARRAY_LEN(g->runs))
		forward_flush(g);
	g->runs[g->n_runs] = (struct run){ .to = to };
	return &g->runs[g->n_runs++];
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
	static uint8_t buf[128 * 1024];
	struct iovec iov = { buf, 0 };
	struct gso_iter it;
	size_t n;

	flush_run(run); /* what came before goes before */
	gso_iter_init(&it, p->packet, &p->gso, &p->info);
	for (;;) {
		if (sizeof(buf) - iov.iov_len < FRAME_HEAD + p->packet.n) {
			chan_send(run->to->c, &iov, 1);
			iov = (struct iovec){ buf, 0 };
		}
		n = gso_next(&it, buf + iov.iov_len + FRAME_HEAD,
			     sizeof(buf) - iov.iov_len - FRAME_HEAD);
		if (n == 0)
			break;
		frame_put_head(buf + iov.iov_len, n);
		iov.iov_len += FRAME_HEAD + n;
	}
	if (iov.iov_len > 0)
		chan_send(run->to->c, &iov, 1);
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

	if (chan_role(from->c) != CONTROL_ROLE_AGENT ||
	    clock_now_ms() - from->g->lost_ms < LOST_QUIET_MS)
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

/* Whether the peer may send from this address; if not, drops or closes. */
static enum chan_reason check_source(struct peer *from, const struct addr *src, bool *out_drop)
{
	struct gateway *g = from->g;
	struct prefix host;

	*out_drop = false;
	if (from->generation == g->generation && addr_equal(src, &from->src))
		return CHAN_OK;
	if (chan_protocol(from->c) == CHAN_PROTOCOL_V0 && !from->v0_learnt &&
	    chan_role(from->c) == CONTROL_ROLE_AGENT)
		return peer_learn(from, src);
	if (route_may_send(g->table, from, src))
		return CHAN_OK;
	host = prefix_of(src, addr_bits(src));
	/* A neighbour's route that the policy does not grant was not kept: its packets are dropped.
	 */
	if (chan_role(from->c) == CONTROL_ROLE_AGENT ||
	    (clock_now_ms() - g->changed_ms > SETTLE_MS && chan_may_own(from->c, &host)))
		return CHAN_R_SOURCE;
	*out_drop = true;
	return CHAN_OK;
}

static struct peer *next_hop(struct peer *from, const struct addr *src, const struct addr *dst)
{
	struct gateway *g = from->g;

	if (from->generation != g->generation || !addr_equal(dst, &from->dst)) {
		from->next_hop = route_lookup(g->table, dst);
		from->dst = *dst;
		from->generation = g->generation;
	}
	from->src = *src;
	return from->next_hop;
}

/* In the form that the next hop takes. */
static void send_on(struct run *run, const struct chan_packet *p)
{
	uint32_t features = chan_features(run->to->c);

	if (!p->is_gso || (features & CONTROL_FEATURE_GSO && gso_fits_features(&p->gso, features)))
		append(run, p->frame);
	else if (gso_is_plain(&p->gso))
		append_plain(run, p);
	else
		send_segments(run, p);
}

enum chan_reason forward_packet(struct peer *from, const struct chan_packet *p)
{
	struct gateway *g = from->g;
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
	if (to == from) { /* agents hear themselves in the kernel; a neighbour's route is moving */
		chan_count_drop(from->c, CHAN_DROP_LOOP);
		return CHAN_OK;
	}
	if (!ip_decrement_ttl((uint8_t *)(uintptr_t)p->packet.p)) {
		chan_count_drop(from->c, CHAN_DROP_TTL);
		return CHAN_OK;
	}
	send_on(run_for(g, to), p);
	return CHAN_OK;
}
