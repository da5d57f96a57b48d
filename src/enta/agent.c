/*
 * Packets between a TUN device and a gateway: the hot path of the agent.
 *
 * Out: the kernel writes its packets one by one, unsegmented and unchecksummed, into one buffer,
 * each with room for a frame head before it; together they leave in one call. When the gateway does
 * not keep up the TUN device is not read, and its queue is the one that fills.
 *
 * In: a frame's packet goes to the TUN device from where it lies in the receive buffer; the offload
 * fields of PACKET_GSO are already the header that the device wants.
 *
 * What may not cross (fragments, options, multicast, foreign sources) is dropped here, before it
 * reaches the wire: a gateway closes a peer that sends such a thing.
 *
 * While the link is down packets first wait in the device; after AGENT_WAIT_MS they are answered
 * with ICMP unreachable: a new connection fails at once, and an established one keeps trying
 * without backing off (RFC 6069).
 */
#include "enta/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "io/congestion.h"
#include "io/tun.h"

enum {
	OUT_BUF = 256 * 1024, /* bytes of one batch: what stays in the cache until it is sent */
	OUT_IOV = 64,
	REFUSALS = 64, /* ICMP answers in one turn of the loop */
};

struct agent {
	struct event_base *base;
	struct chan_loop *loop;
	struct link *link;
	struct security *security;
	struct tun *tun;
	struct agent_config cfg;
	struct event *tun_readable, *wait_over;
	struct chan *gateway; /* while it is open */
	bool refusing, failed, stopping;
	struct iovec iov[OUT_IOV];
	int n_iov;
	uint64_t packets_out, packets_in, drops_form, drops_source, drops_tun, refused;
	uint8_t *out; /* OUT_BUF bytes */
};

static void fail(struct agent *a, int r)
{
	log_error("tun-lost", "name=%s reason=\"%s\"", tun_name(a->tun), err_text(r));
	a->failed = true;
	event_base_loopbreak(a->base);
}

static bool is_own(const struct agent *a, const struct addr *addr)
{
	for (size_t i = 0; i < a->cfg.n_addrs; i++)
		if (addr_equal(addr, &a->cfg.addrs[i]))
			return true;
	return false;
}

static void flush_out(struct agent *a)
{
	if (a->n_iov > 0)
		chan_send(a->gateway, a->iov, a->n_iov);
	a->n_iov = 0;
}

static void append(struct agent *a, const uint8_t *frame, size_t n)
{
	struct iovec *last = a->n_iov > 0 ? &a->iov[a->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == frame) {
		last->iov_len += n;
		return;
	}
	if (a->n_iov == OUT_IOV)
		flush_out(a);
	a->iov[a->n_iov++] = (struct iovec){ (void *)(uintptr_t)frame, n };
}

/* A packet that was in the device's queue when its offloads were turned off. */
static void send_segments(struct agent *a, struct span packet, const struct gso *g,
			  const struct ip_info *info)
{
	static uint8_t buf[FRAME_HEAD + TUN_PACKET_MAX];
	struct gso_iter it;
	size_t n;

	flush_out(a);
	gso_iter_init(&it, packet, g, info);
	while ((n = gso_next(&it, buf + FRAME_HEAD, sizeof(buf) - FRAME_HEAD)) > 0) {
		struct iovec iov = { buf, FRAME_HEAD + n };

		frame_put_head(buf, n);
		chan_send(a->gateway, &iov, 1);
	}
}

/*
 * One packet read to slot + FRAME_HEAD + 1: its frame is made around it. Returns how much of the
 * buffer it keeps, 0 if it was dropped.
 */
static size_t take_out(struct agent *a, uint8_t *slot, size_t n)
{
	uint32_t features = chan_features(a->gateway);
	struct span body = SPAN(slot + FRAME_HEAD, n + 1), packet;
	uint8_t *head = slot;
	struct ip_info info;
	struct gso g;

	slot[FRAME_HEAD] = FRAME_PACKET_GSO;
	if (gso_parse(body, &g, &packet, &info) != 0) {
		a->drops_form++;
		return 0;
	}
	if (!is_own(a, &info.src)) {
		a->drops_source++;
		return 0;
	}
	a->packets_out++;
	if (features & CONTROL_FEATURE_GSO && gso_fits_features(&g, features)) {
		frame_put_head(head, body.n);
		append(a, head, FRAME_HEAD + body.n);
		return GSO_HEAD + packet.n;
	}
	if (!gso_is_plain(&g)) {
		send_segments(a, packet, &g, &info);
		return 0;
	}
	head = slot + GSO_HEAD - FRAME_HEAD; /* over the header that the gateway does not know */
	frame_put_head(head, packet.n);
	append(a, head, FRAME_HEAD + packet.n);
	return GSO_HEAD + packet.n;
}

static void pump_out(struct agent *a)
{
	size_t used = 0;
	ssize_t n;

	while (used + GSO_HEAD + TUN_PACKET_MAX <= OUT_BUF) {
		n = tun_read(a->tun, a->out + used + FRAME_HEAD + 1, TUN_VNET_HDR + TUN_PACKET_MAX);
		if (n < 0) {
			fail(a, (int)n);
			return;
		}
		if (n == 0)
			break;
		used += take_out(a, a->out + used, (size_t)n);
	}
	flush_out(a);
	if (a->gateway && chan_is_blocked(a->gateway))
		event_del(a->tun_readable); /* until `writable` */
}

/* Answers one packet that cannot be delivered, as the router that this agent is. */
static int refuse(struct agent *a, size_t n)
{
	uint8_t answer[TUN_VNET_HDR + IP_UNREACHABLE_MAX] = { 0 };
	struct span body = SPAN(a->out, n + 1), packet;
	struct iovec iov = { answer, 0 };
	struct ip_info info;
	struct gso g;
	size_t len;

	a->out[0] = FRAME_PACKET_GSO;
	if (gso_parse(body, &g, &packet, &info) != 0)
		return 0;
	len = ip_put_unreachable(packet, &info, &info.dst, answer + TUN_VNET_HDR,
				 IP_UNREACHABLE_MAX);
	if (len == 0)
		return 0;
	a->refused++;
	iov.iov_len = TUN_VNET_HDR + len;
	return tun_write(a->tun, &iov, 1);
}

static void pump_refusals(struct agent *a)
{
	ssize_t n;
	int r = 0;

	for (int i = 0; i < REFUSALS && r >= 0; i++) {
		n = tun_read(a->tun, a->out + 1, TUN_VNET_HDR + TUN_PACKET_MAX);
		if (n == 0)
			return;
		r = n < 0 ? (int)n : refuse(a, (size_t)n);
	}
	if (r < 0)
		fail(a, r);
}

static void on_tun_readable(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)fd;
	(void)what;
	if (a->gateway)
		pump_out(a);
	else
		pump_refusals(a);
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)fd;
	(void)what;
	if (a->gateway || a->stopping)
		return;
	a->refusing = true;
	log_warn("link-waiting", "gateways=%zu captured_traffic=refused", a->cfg.n_endpoints);
	event_add(a->tun_readable, NULL);
}

static void start_waiting(struct agent *a)
{
	static const struct timeval wait = { .tv_sec = AGENT_WAIT_MS / 1000,
					     .tv_usec = (long)(AGENT_WAIT_MS % 1000) * 1000 };

	a->gateway = NULL;
	a->n_iov = 0;
	event_del(a->tun_readable);
	event_add(a->wait_over, &wait);
}

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct agent *a = owner;
	uint32_t features = chan_features(c);
	unsigned wanted = 0;
	int r;

	if (features & CONTROL_FEATURE_GSO)
		wanted |= TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO;
	if (features & CONTROL_FEATURE_GSO && features & CONTROL_FEATURE_USO)
		wanted |= TUN_OFFLOAD_USO;
	r = tun_set_offloads(a->tun, wanted);
	if (r < 0) {
		fail(a, r);
		return CHAN_R_IO;
	}
	link_up(a->link);
	a->gateway = c;
	a->refusing = false;
	event_del(a->wait_over);
	event_add(a->tun_readable, NULL);
	log_info("link-up", "gateway=%s tun=%s gso=%s uso=%s transport=%s", chan_name(c),
		 tun_name(a->tun), r & TUN_OFFLOAD_TSO ? "yes" : "no",
		 r & TUN_OFFLOAD_USO ? "yes" : "no", a->security ? "rats-tls" : "tcp-plaintext");
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	static const uint8_t plain[TUN_VNET_HDR];
	struct agent *a = owner;
	struct iovec iov[2] = { { (void *)(uintptr_t)plain, sizeof(plain) },
				{ (void *)(uintptr_t)p->packet.p, p->packet.n } };
	int r;

	if (!is_own(a, &p->info.dst)) { /* the gateway's mistake must not become a route into this
					   host */
		chan_count_drop(c, CHAN_DROP_NO_ROUTE);
		return CHAN_OK;
	}
	a->packets_in++;
	if (p->is_gso) {
		/* The fields as gso_parse() judged them, over the peer's own in the receive buffer.
		 */
		gso_put(&p->gso, (uint8_t *)(uintptr_t)p->packet.p - GSO_HDR);
		iov[0] = (struct iovec){ (void *)(uintptr_t)(p->packet.p - GSO_HDR),
					 p->packet.n + GSO_HDR };
		r = tun_write(a->tun, iov, 1);
	} else {
		r = tun_write(a->tun, iov, 2);
	}
	if (r > 0)
		a->drops_tun++;
	if (r < 0)
		fail(a, r);
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
	(void)owner;
	(void)c;
	(void)grants_changed; /* an agent asks its gateway for no prefix */
	return CHAN_OK;
}

static void on_batch_end(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
}

static void on_writable(void *owner, struct chan *c)
{
	struct agent *a = owner;

	if (c == a->gateway)
		event_add(a->tun_readable, NULL);
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct agent *a = owner;

	if (a->stopping) {
		event_base_loopexit(a->base, NULL);
		return;
	}
	if (c == a->gateway) {
		log_warn("link-lost", "gateway=%s reason=%s", chan_name(c), chan_reason_word(why));
		start_waiting(a);
	}
	link_lost(a->link);
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

/* What the gateway hears of us: our addresses, and what our TUN device takes. */
static int own_hello(const struct agent *a, struct control_hello *out)
{
	unsigned offloads = tun_offloads(a->tun);

	*out = (struct control_hello){ .version = CONTROL_VERSION,
				       .role = CONTROL_ROLE_AGENT,
				       .n_prefixes = a->cfg.n_addrs,
				       .mtu = AGENT_MTU };
	memcpy(out->name, a->cfg.name, sizeof(out->name));
	for (size_t i = 0; i < a->cfg.n_addrs; i++)
		out->prefixes[i] = prefix_of(&a->cfg.addrs[i], addr_bits(&a->cfg.addrs[i]));
	if (offloads & TUN_OFFLOAD_CSUM && offloads & TUN_OFFLOAD_TSO)
		out->features |= CONTROL_FEATURE_GSO;
	if (out->features && offloads & TUN_OFFLOAD_USO)
		out->features |= CONTROL_FEATURE_USO;
	if (getrandom(out->node_id, sizeof(out->node_id), 0) < 0)
		return err_new(-errno);
	return 0;
}

static int set_up(struct agent *a)
{
	struct chan_config cfg = { .handler = &handler,
				   .owner = a,
				   .expect = CONTROL_ROLE_GATEWAY,
				   .plain = !a->security,
				   .compat = a->cfg.compat,
				   .adapts = congestion_is_auto(a->cfg.stream.congestion),
				   .trust = security_trust(a->security, CONTROL_ROLE_GATEWAY) };
	struct control_hello own;
	int r;

	r = own_hello(a, &own);
	if (r < 0)
		return err_pass(r);
	a->out = malloc(OUT_BUF);
	a->tun_readable =
		event_new(a->base, tun_fd(a->tun), EV_READ | EV_PERSIST, on_tun_readable, a);
	a->wait_over = event_new(a->base, -1, 0, on_wait_over, a);
	if (!a->out || !a->tun_readable || !a->wait_over)
		return err_new(-ENOMEM);
	r = chan_loop_new(a->base, &own, &a->loop);
	if (r < 0)
		return err_pass(r);
	start_waiting(a);
	return link_new(a->loop, &cfg, a->cfg.endpoints, a->cfg.n_endpoints, &a->cfg.stream,
			&a->link);
}

int agent_new(struct event_base *base, const struct agent_config *cfg, struct tun *tun,
	      struct security *security, struct agent **out)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_new(-ENOMEM);
	*a = (struct agent){ .base = base, .tun = tun, .cfg = *cfg, .security = security };
	r = set_up(a);
	if (r < 0) {
		agent_free(a);
		return err_pass(r);
	}
	*out = a;
	return 0;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	link_free(a->link);
	if (a->tun_readable)
		event_free(a->tun_readable);
	if (a->wait_over)
		event_free(a->wait_over);
	chan_loop_free(a->loop);
	free(a->out);
	free(a);
}

void agent_run(struct agent *a, unsigned poll_us)
{
	chan_loop_run(a->loop, poll_us);
}

void agent_reload(struct agent *a)
{
	security_reload(a->security, a->loop);
}

void agent_print(const struct agent *a)
{
	chan_loop_print(a->loop);
	log_info("counter-tun",
		 "name=%s link=%s packets_out=%llu packets_in=%llu drop_form=%llu drop_source=%llu "
		 "drop_tun=%llu refused=%llu",
		 tun_name(a->tun),
		 a->gateway    ? "up"
		 : a->refusing ? "refusing"
			       : "waiting",
		 (unsigned long long)a->packets_out, (unsigned long long)a->packets_in,
		 (unsigned long long)a->drops_form, (unsigned long long)a->drops_source,
		 (unsigned long long)a->drops_tun, (unsigned long long)a->refused);
}

void agent_stop(struct agent *a)
{
	static const struct timeval limit = { .tv_sec = 1 };

	if (a->stopping)
		return;
	a->stopping = true;
	event_del(a->tun_readable);
	link_stop(a->link);
	if (chan_loop_count(a->loop) == 0) {
		event_base_loopexit(a->base, NULL);
		return;
	}
	chan_loop_drain(a->loop);
	event_base_loopexit(a->base, &limit);
}

bool agent_failed(const struct agent *a)
{
	return a->failed;
}
