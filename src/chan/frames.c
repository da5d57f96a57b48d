/*
 * What a frame means in the state that the channel is in. The first frame decides the protocol:
 * HELLO is eng/1, an IP packet is v0 (where the configuration allows it), anything else is refused.
 */
#include "chan/internal.h"

#include <string.h>

#include "base/clock.h"

static enum chan_reason control_reason(int r)
{
	if (r == CONTROL_E_VERSION)
		return CHAN_R_VERSION;
	return r > 0 ? CHAN_R_CONTROL : CHAN_R_MEMORY;
}

static enum chan_reason on_hello(struct chan *c, struct span body)
{
	size_t used = strlen(c->name);
	struct control_hello h;
	int r;

	r = control_parse_hello(body, &h);
	if (r != 0)
		return control_reason(r);
	if (h.role != c->cfg.expect)
		return CHAN_R_ROLE;
	if (memcmp(h.node_id, c->loop->own.node_id, sizeof(h.node_id)) == 0)
		return CHAN_R_SELF;
	if (c->dialled && h.lane != 0)
		return CHAN_R_LANE;
	if (h.role == CONTROL_ROLE_AGENT && h.n_prefixes == 0)
		return CHAN_R_PREFIX_MISSING;
	c->peer = h;
	if (h.name[0]) /* the wire format has made sure of printable characters without space */
		snprintf(c->name + used, sizeof(c->name) - used, "(%s)", h.name);
	if (!c->dialled)
		chan_say_hello(c);
	if (c->cfg.plain) {
		chan_open(c, CHAN_EV_PLAIN_PEER, CHAN_PROTOCOL_ENG1);
		return CHAN_OK;
	}
	if (!c->dialled)
		attestation_challenge(c);
	if (c->state != CHAN_CLOSED)
		chan_step(c, CHAN_EV_HELLO); /* APPRAISING: its evidence comes next */
	if (c->state == CHAN_APPRAISING)
		attestation_begin(c);
	return CHAN_OK;
}

static enum chan_reason on_packet(struct chan *c, struct span frame, struct span body, bool is_gso)
{
	struct chan_packet p = { .frame = frame, .packet = body, .is_gso = is_gso };
	int r;

	if (is_gso)
		r = gso_parse(body, &p.gso, &p.packet, &p.info);
	else
		r = ip_parse(body, &p.info);
	if (r != 0)
		return CHAN_R_PACKET + r;
	c->loop->n_packets++;
	c->stats.packets_in++;
	c->stats.packet_bytes_in += p.packet.n;
	return c->cfg.handler->packet(c->cfg.owner, c, &p);
}

/* The first frame of somebody who has not introduced itself. */
static enum chan_reason on_first(struct chan *c, enum frame_type type, struct span frame,
				 struct span body)
{
	struct ip_info ignored;
	int r;

	if (type == FRAME_HELLO)
		return body.n > FRAME_CONTROL_MAX ? CHAN_R_CONTROL : on_hello(c, body);
	if (type != FRAME_PACKET)
		return type == FRAME_NONE ? CHAN_R_FRAME_TYPE : CHAN_R_HELLO_EXPECTED;
	if (!c->cfg.plain || (c->dialled && !c->cfg.compat))
		return CHAN_R_HELLO_EXPECTED;
	r = ip_parse(body, &ignored);
	if (r != 0)
		return CHAN_R_PACKET + r;
	chan_open(c, CHAN_EV_PLAIN_PEER, CHAN_PROTOCOL_V0);
	return c->state == CHAN_OPEN ? on_packet(c, frame, body, false) : CHAN_OK;
}

static enum chan_reason on_ping(struct chan *c, struct span body)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct control_ping p;
	size_t n;
	int r;

	r = control_parse_ping(body, &p);
	if (r == 0)
		r = control_put_ping(FRAME_PONG, &p, buf, sizeof(buf), &n);
	if (r != 0)
		return control_reason(r);
	chan_send_control(c, buf, n);
	return CHAN_OK;
}

static enum chan_reason on_pong(struct chan *c, struct span body)
{
	struct control_ping p;
	int r;

	r = control_parse_ping(body, &p);
	if (r != 0)
		return control_reason(r);
	if (p.token == c->ping_token && p.token != 0) {
		c->stats.rtt_us = (uint32_t)(clock_now_us() - p.token);
		c->ping_token = 0;
	}
	if (p.token == c->probe && p.token != 0)
		chan_probe_answered(c);
	return CHAN_OK;
}

static enum chan_reason on_notice(struct chan *c, enum frame_type type, struct span body)
{
	struct control_notice notice;
	int r;

	r = control_parse_notice(body, &notice);
	if (r != 0)
		return control_reason(r);
	memcpy(c->detail, notice.text, sizeof(c->detail));
	return type == FRAME_GOAWAY ? CHAN_R_GOAWAY : CHAN_R_ERROR;
}

static enum chan_reason on_routes(struct chan *c, struct span body)
{
	struct control_routes routes;
	int r;

	if (c->cfg.expect != CONTROL_ROLE_GATEWAY)
		return CHAN_R_ROUTES;
	r = control_parse_routes(body, &routes);
	if (r != 0)
		return control_reason(r);
	return c->cfg.handler->routes(c->cfg.owner, c, &routes);
}

static enum chan_reason on_open(struct chan *c, enum frame_type type, struct span frame,
				struct span body)
{
	if (type == FRAME_PACKET)
		return on_packet(c, frame, body, false);
	if (c->protocol != CHAN_PROTOCOL_ENG1)
		return type == FRAME_HELLO ? CHAN_R_HELLO_AGAIN : CHAN_R_FRAME_TYPE;
	if (type == FRAME_PACKET_GSO)
		return on_packet(c, frame, body, true);
	if (type == FRAME_EVIDENCE)
		return attestation_frame(c, type, body);
	if (body.n > FRAME_CONTROL_MAX)
		return CHAN_R_CONTROL;
	switch (type) {
	case FRAME_PING:
		return on_ping(c, body);
	case FRAME_PONG:
		return on_pong(c, body);
	case FRAME_ROUTES:
		return on_routes(c, body);
	case FRAME_GOAWAY:
	case FRAME_ERROR:
		return on_notice(c, type, body);
	case FRAME_HELLO:
		return CHAN_R_HELLO_AGAIN;
	case FRAME_CHALLENGE:
	case FRAME_ACCEPT:
		return attestation_frame(c, type, body);
	default:
		return CHAN_R_FRAME_TYPE;
	}
}

/* Both have said HELLO over TLS, and at least one does not trust the other yet. */
static enum chan_reason on_appraising(struct chan *c, enum frame_type type, struct span body)
{
	switch (type) {
	case FRAME_CHALLENGE:
	case FRAME_EVIDENCE:
	case FRAME_ACCEPT:
		return attestation_frame(c, type, body);
	case FRAME_GOAWAY:
	case FRAME_ERROR:
		return on_notice(c, type, body);
	case FRAME_HELLO:
		return CHAN_R_HELLO_AGAIN;
	case FRAME_NONE:
		return CHAN_R_FRAME_TYPE;
	case FRAME_PACKET:
		if (c->peer.version != 0)
			return CHAN_R_EARLY;
		chan_count_drop(c, CHAN_DROP_DOWN); /* v0 has no way to say that it must wait */
		return CHAN_OK;
	default:
		return CHAN_R_EARLY;
	}
}

enum chan_reason chan_frame(struct chan *c, struct span frame, struct span body)
{
	enum frame_type type = frame_type_of(body);

	c->stats.frames_in++;
	switch (c->state) {
	case CHAN_HANDSHAKE:
		/* The listener's refusal may come instead of its HELLO. */
		if (c->dialled && type == FRAME_ERROR)
			return on_notice(c, type, body);
		return on_first(c, type, frame, body);
	case CHAN_APPRAISING:
		return on_appraising(c, type, body);
	case CHAN_OPEN:
		return on_open(c, type, frame, body);
	case CHAN_DRAINING:
		return CHAN_OK; /* we are leaving: nobody takes it any more */
	default:
		return CHAN_R_UNTRUSTED;
	}
}
