/*
 * The hot path of the agent; see pump.h.
 *
 * Out: the kernel writes its packets one by one, unsegmented and unchecksummed, into one buffer,
 * each with room for a frame head before it; together they leave in one call. Once the link is
 * blocked the device is read all the same, into queues of flows (fair.h): its own queue is one for
 * all, and a small packet would wait there behind megabytes. While there are such packets, which
 * overtake a backlog, the link also counts as blocked when the gateway has much to read yet: they
 * would wait there, too. Without them that would only cost throughput.
 *
 * In: a frame's packet goes to the TUN device from where it lies in the receive buffer; the offload
 * fields of PACKET_GSO are already the header that the device wants.
 *
 * What may not cross (fragments, options, multicast, foreign sources) is dropped here, before it
 * reaches the wire: a gateway closes a peer that sends such a thing.
 */
#include "enta/pump.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "enta/agent.h"
#include "enta/fair.h"
#include "io/tun.h"

enum {
	OUT_BUF = 256 * 1024, /* bytes of one batch: what stays in the cache until it is sent */
	OUT_IOV = 64,
	FAIR_BATCH = 64 * 1024, /* bytes: less, since what the socket does not take is no longer
				    fair */
	SEGMENT_BUF = FRAME_HEAD + TUN_PACKET_MAX,
	UNREAD_MAX = 256 * 1024, /* bytes that the gateway has not read, while that matters */
	CAREFUL_MS = 100,	 /* so long after somebody has overtaken */
	REFUSALS = 64,		 /* ICMP answers in one turn of the loop */
};

struct pump {
	const struct agent_config *agent;
	struct tun_queue *queue;
	struct chan *to; /* during pump_out() */
	struct iovec iov[OUT_IOV];
	int n_iov;
	struct fair *fair; /* what waits for `to` */
	bool waits;	   /* what is read now does */
	struct pump_stats stats;
	bool is_careful; /* during pump_out(): little is to be under way */
	uint64_t careful_until_ms, overtaken_ms;
	uint8_t *out;	  /* OUT_BUF bytes */
	uint8_t *segment; /* SEGMENT_BUF bytes */
};

static bool is_own(const struct pump *p, const struct addr *addr)
{
	for (size_t i = 0; i < p->agent->n_addrs; i++)
		if (addr_equal(addr, &p->agent->addrs[i]))
			return true;
	return false;
}

static bool is_full(const struct pump *p)
{
	return chan_is_blocked(p->to) || (p->is_careful && chan_unread(p->to) >= UNREAD_MAX);
}

/* One alone may be the tail of a transfer. */
static void look_who_overtakes(struct pump *p)
{
	const uint64_t n = fair_overtakes(p->fair), now_ms = clock_now_ms();

	if (n == p->stats.overtakes)
		return;
	if (now_ms - p->overtaken_ms < CAREFUL_MS)
		p->careful_until_ms = now_ms + CAREFUL_MS;
	p->overtaken_ms = now_ms;
	p->stats.overtakes = n;
}

static void flush_out(struct pump *p)
{
	if (p->n_iov > 0)
		chan_send(p->to, p->iov, p->n_iov);
	if (p->n_iov > 0 && p->is_careful)
		chan_probe(p->to);
	p->n_iov = 0;
}

static void append(struct pump *p, const uint8_t *frame, size_t n)
{
	struct iovec *last = p->n_iov > 0 ? &p->iov[p->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == frame) {
		last->iov_len += n;
		return;
	}
	if (p->n_iov == OUT_IOV)
		flush_out(p);
	p->iov[p->n_iov++] = (struct iovec){ (void *)(uintptr_t)frame, n };
}

/* For fairness only: who makes two flows of the same hash shares a turn with himself. */
static uint32_t flow_of(struct span packet, const struct ip_info *info)
{
	const bool has_ports = (info->protocol == IPPROTO_TCP || info->protocol == IPPROTO_UDP) &&
			       packet.n >= info->l4_offset + 4U;
	const struct span parts[] = { SPAN(info->src.bytes, sizeof(info->src.bytes)),
				      SPAN(info->dst.bytes, sizeof(info->dst.bytes)),
				      SPAN(packet.p + info->l4_offset, has_ports ? 4 : 0) };
	uint32_t h = 2166136261U ^ info->protocol; /* FNV-1a */

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (size_t k = 0; k < parts[i].n; k++)
			h = (h ^ parts[i].p[k]) * 16777619U;
	return h ^ h >> 16;
}

/* A packet that was in the device's queue when its offloads were turned off. */
static void send_segments(struct pump *p, struct span packet, const struct gso *g,
			  const struct ip_info *info)
{
	struct gso_iter it;
	size_t n;

	flush_out(p);
	gso_iter_init(&it, packet, g, info);
	while ((n = gso_next(&it, p->segment + FRAME_HEAD, TUN_PACKET_MAX)) > 0) {
		struct iovec iov = { p->segment, FRAME_HEAD + n };

		frame_put_head(p->segment, n);
		if (p->waits)
			p->stats.drops_queue += fair_push_copy(p->fair, flow_of(packet, info),
							       p->segment, iov.iov_len);
		else
			chan_send(p->to, &iov, 1);
	}
}

/*
 * One packet read to slot + FRAME_HEAD + 1: its frame is made around it. Returns how much of the
 * buffer it keeps, 0 if it was dropped.
 */
static size_t take_out(struct pump *p, uint8_t *slot, size_t n)
{
	uint32_t features = chan_features(p->to);
	struct span body = SPAN(slot + FRAME_HEAD, n + 1), packet;
	struct ip_info info;
	size_t skip = 0;
	struct gso g;

	slot[FRAME_HEAD] = FRAME_PACKET_GSO;
	if (gso_parse(body, &g, &packet, &info) != 0) {
		p->stats.drops_form++;
		return 0;
	}
	if (!is_own(p, &info.src)) {
		p->stats.drops_source++;
		return 0;
	}
	p->stats.packets_out++;
	p->stats.waited += p->waits;
	if (!(features & CONTROL_FEATURE_GSO && gso_fits_features(&g, features))) {
		if (!gso_is_plain(&g)) {
			send_segments(p, packet, &g, &info);
			return 0;
		}
		skip = GSO_HEAD - FRAME_HEAD; /* over the header that the gateway does not know */
	}
	frame_put_head(slot + skip, n + 1 - skip);
	if (p->waits)
		p->stats.drops_queue +=
			fair_push(p->fair, flow_of(packet, &info), skip, FRAME_HEAD + n + 1 - skip);
	else
		append(p, slot + skip, FRAME_HEAD + n + 1 - skip);
	return FRAME_HEAD + n + 1;
}

/* Reads into the queues: not more at once than without, for the socket may take some meanwhile. */
static int read_waiting(struct pump *p)
{
	uint8_t *room;
	ssize_t n = 1;

	for (size_t used = 0; n > 0 && used < OUT_BUF; used += (size_t)n) {
		room = fair_room(p->fair);
		if (!room)
			return 0; /* it stays in the device */
		n = tun_read(p->queue, room + FRAME_HEAD + 1, TUN_VNET_HDR + TUN_PACKET_MAX);
		if (n < 0)
			return (int)n;
		if (n > 0)
			(void)take_out(p, room, (size_t)n);
	}
	return 0;
}

/* One batch, before which the device is read: there may be a packet that goes first. */
static int pump_waiting(struct pump *p)
{
	int r;

	p->waits = true;
	r = read_waiting(p);
	p->waits = false;
	if (r < 0 || is_full(p))
		return r;
	p->n_iov = fair_next(p->fair, p->iov, OUT_IOV, FAIR_BATCH);
	flush_out(p);
	fair_taken(p->fair);
	look_who_overtakes(p);
	return fair_count(p->fair) == 0 || is_full(p) ? 0 : PUMP_E_MORE;
}

int pump_out(struct pump *p, struct chan *to)
{
	size_t used = 0;
	ssize_t n = 1;

	p->to = to;
	p->is_careful = p->careful_until_ms > 0 && clock_now_ms() < p->careful_until_ms;
	if (fair_count(p->fair) > 0 || is_full(p))
		return pump_waiting(p);
	while (n > 0 && used + GSO_HEAD + TUN_PACKET_MAX <= OUT_BUF) {
		n = tun_read(p->queue, p->out + used + FRAME_HEAD + 1,
			     TUN_VNET_HDR + TUN_PACKET_MAX);
		if (n > 0)
			used += take_out(p, p->out + used, (size_t)n);
	}
	flush_out(p);
	return n < 0 ? (int)n : 0;
}

void pump_clear(struct pump *p)
{
	fair_clear(p->fair);
}

/* Answers one packet that cannot be delivered, as the router that this agent is. */
static int refuse(struct pump *p, size_t n)
{
	uint8_t answer[TUN_VNET_HDR + IP_UNREACHABLE_MAX] = { 0 };
	struct span body = SPAN(p->out, n + 1), packet;
	struct iovec iov = { answer, 0 };
	struct ip_info info;
	struct gso g;
	size_t len;

	p->out[0] = FRAME_PACKET_GSO;
	if (gso_parse(body, &g, &packet, &info) != 0)
		return 0;
	len = ip_put_unreachable(packet, &info, &info.dst, answer + TUN_VNET_HDR,
				 IP_UNREACHABLE_MAX);
	if (len == 0)
		return 0;
	p->stats.refused++;
	iov.iov_len = TUN_VNET_HDR + len;
	return tun_write(p->queue, &iov, 1);
}

int pump_refuse(struct pump *p)
{
	ssize_t n;
	int r = 0;

	for (int i = 0; i < REFUSALS && r >= 0; i++) {
		n = tun_read(p->queue, p->out + 1, TUN_VNET_HDR + TUN_PACKET_MAX);
		if (n == 0)
			return 0;
		r = n < 0 ? (int)n : refuse(p, (size_t)n);
	}
	return r < 0 ? err_pass(r) : 0;
}

int pump_in(struct pump *p, struct chan *from, const struct chan_packet *packet)
{
	static const uint8_t plain[TUN_VNET_HDR];
	struct iovec iov[2] = { { (void *)(uintptr_t)plain, sizeof(plain) },
				{ (void *)(uintptr_t)packet->packet.p, packet->packet.n } };
	int r;

	if (!is_own(p, &packet->info.dst)) { /* the gateway's mistake must not become a route into
						this host */
		chan_count_drop(from, CHAN_DROP_NO_ROUTE);
		return 0;
	}
	p->stats.packets_in++;
	if (packet->is_gso) {
		/* The fields as gso_parse() judged them, over the peer's own in the receive buffer.
		 */
		gso_put(&packet->gso, (uint8_t *)(uintptr_t)packet->packet.p - GSO_HDR);
		iov[0] = (struct iovec){ (void *)(uintptr_t)(packet->packet.p - GSO_HDR),
					 packet->packet.n + GSO_HDR };
		r = tun_write(p->queue, iov, 1);
	} else {
		r = tun_write(p->queue, iov, 2);
	}
	p->stats.drops_tun += r > 0;
	return r < 0 ? err_pass(r) : 0;
}

int pump_new(const struct agent_config *agent, struct tun_queue *queue, struct pump **out)
{
	struct pump *p = calloc(1, sizeof(*p));

	if (!p)
		return err_new(-ENOMEM);
	p->agent = agent;
	p->queue = queue;
	p->out = malloc(OUT_BUF);
	p->segment = malloc(SEGMENT_BUF);
	if (!p->out || !p->segment || fair_new(GSO_HEAD + TUN_PACKET_MAX, FAIR_MAX, &p->fair) < 0) {
		pump_free(p);
		return err_new(-ENOMEM);
	}
	*out = p;
	return 0;
}

void pump_free(struct pump *p)
{
	if (!p)
		return;
	fair_free(p->fair);
	free(p->segment);
	free(p->out);
	free(p);
}

const struct pump_stats *pump_stats(const struct pump *p)
{
	return &p->stats;
}
