/*
 * The packet path of a gateway, for callgrind: one agent's bytes in, checked, forwarded, out to the
 * other agent, over socket pairs, with the same input every time.
 *
 *   bench_path plain|evp|ipsec-mb BYTES TURNS
 *
 * Packets of BYTES (TCP over IPv4, offloaded above one segment) fill a stream that is cut every CUT
 * bytes, in the middle of frames and records, as reads cut it. Only turn() is counted (count.py
 * says
 * --toggle-collect=turn): one run of the loop, without what the agents do. Says how many frames and
 * bytes crossed; a frame that is lost, queued or refused ends it with status 1.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "entg/peer.h"
#include "wire/attest.h"

enum {
	CUT = 100000, /* bytes a turn: a few large frames, and well within a socket's buffer */
	STREAM = 4 * CUT + 2 * FRAME_MAX,
	SEGMENT = 1448,
	HEADERS = 40, /* IPv4 and TCP without options */
};

/* One end of a socket pair is the gateway's channel, the other is this. */
struct agent {
	int fd;
	struct chan *c;
	struct rtls_session *tls; /* NULL: plain */
	size_t n_plain;		  /* bytes of frames received */
};

static uint8_t stream[STREAM], sealed[STREAM * 2], in[1 << 20], opened[1 << 20];
static struct gateway *gateway;
static struct event_base *base;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_path: %s\n", what);
	exit(1);
}

/* What is counted. */
__attribute__((noinline)) void turn(void);
void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void send_bytes(const struct agent *a, const uint8_t *p, size_t n)
{
	need(send(a->fd, p, n, 0) == (ssize_t)n, "the socket does not take a turn's bytes");
}

/* Everything that has come, decrypted. */
static void receive(struct agent *a)
{
	size_t used, got;
	ssize_t n;

	while ((n = recv(a->fd, in, sizeof(in), 0)) > 0) {
		if (!a->tls) {
			a->n_plain += (size_t)n;
			continue;
		}
		for (size_t at = 0; at < (size_t)n; at += used) {
			need(rtls_session_feed(a->tls, in + at, (size_t)n - at, &used, opened,
					       sizeof(opened), &got) == 0,
			     rtls_session_why(a->tls));
			a->n_plain += got;
			while (rtls_session_next_event(a->tls) != RTLS_EVENT_NONE)
				rtls_session_decide(a->tls, RTLS_TRUSTED);
		}
	}
	need(n < 0, "the gateway has closed");
}

static void drain(struct agent *a)
{
	size_t n;

	while (a->tls && rtls_session_drain(a->tls, sealed, sizeof(sealed), &n) == 0 && n > 0)
		send_bytes(a, sealed, n);
}

/* As it goes out: *out is borrowed until the next call. */
static size_t seal(const struct agent *a, uint8_t *frames, size_t n, const uint8_t **out)
{
	struct iovec iov = { frames, n };
	size_t taken, n_sealed;

	*out = frames;
	if (!a->tls)
		return n;
	need(rtls_session_seal(a->tls, &iov, 1, 0, sealed, sizeof(sealed), &taken, &n_sealed) ==
			     0 &&
		     taken == n,
	     "cannot seal");
	*out = sealed;
	return n_sealed;
}

static void spin(struct agent *a)
{
	for (int i = 0; i < 5; i++) {
		drain(a);
		event_base_loop(base, EVLOOP_NONBLOCK);
		receive(a);
	}
}

static void start_tls(struct agent *a, const char *backend)
{
	static struct rtls_identity *id;
	struct rtls_session_config cfg = { .size = sizeof(cfg),
					   .role = RTLS_CLIENT,
					   .alpn = "eng/1",
					   .cipher_backend = backend,
					   .untrusted_max = CHAN_UNTRUSTED_MAX };

	need(id || rtls_identity_new(&id) == 0, "no identity");
	cfg.identity = id;
	need(rtls_session_new(&cfg, &a->tls) == 0, "no such cipher backend here");
}

static void join(struct agent *a, uint8_t number, const char *backend)
{
	struct chan_config cfg = { .handler = &peer_handler,
				   .owner = gateway->shards[0],
				   .expect = CONTROL_ROLE_AGENT,
				   .plain = !backend };
	struct control_hello hello = { .version = CONTROL_VERSION,
				       .role = CONTROL_ROLE_AGENT,
				       .node_id = { number },
				       .n_prefixes = 1,
				       .features = CONTROL_FEATURE_GSO,
				       .mtu = 65535 };
	uint8_t buf[2 * (FRAME_HEAD + FRAME_CONTROL_MAX)];
	const uint8_t *out;
	struct addr peer;
	size_t n, more = 0;
	int fds[2];

	need(addr_parse("192.0.2.1", &peer), "no address");
	peer.bytes[3] = number;
	hello.prefixes[0] = prefix_of(&peer, 32);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, "no socket pair");
	a->fd = fds[1];
	if (backend)
		start_tls(a, backend);
	cfg.trust =
		backend ? security_trust(gateway->shards[0]->security, CONTROL_ROLE_AGENT) : NULL;
	need(chan_accept_take_fd(gateway->shards[0]->loop, &cfg, fds[0], &peer, number, &a->c) == 0,
	     "not accepted");
	spin(a);
	need(control_put_hello(&hello, buf, sizeof(buf), &n) == 0, "no HELLO");
	if (backend)
		need(attest_put_accept(buf + n, sizeof(buf) - n, &more) == 0, "no ACCEPT");
	n = seal(a, buf, n + more, &out);
	send_bytes(a, out, n);
	spin(a);
	need(chan_state(a->c) == CHAN_OPEN, "the channel is not open");
	a->n_plain = 0;
}

/* One frame, from the first agent to the second; its size. */
static size_t put_frame(uint8_t *p, size_t packet)
{
	const struct gso g = { .flags = GSO_FLAG_NEEDS_CSUM,
			       .type = packet > SEGMENT + HEADERS ? GSO_TYPE_TCPV4 : GSO_TYPE_NONE,
			       .hdr_len = HEADERS,
			       .size = packet > SEGMENT + HEADERS ? SEGMENT : 0,
			       .csum_start = 20,
			       .csum_offset = 16 };
	uint8_t *ip = p + GSO_HEAD;

	memset(ip, 0, HEADERS);
	memset(ip + HEADERS, 0x5a, packet - HEADERS);
	frame_put_head(p, 1 + GSO_HDR + packet);
	p[FRAME_HEAD] = FRAME_PACKET_GSO;
	gso_put(&g, p + FRAME_HEAD + 1);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)packet);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
	ip[32] = 0x50; /* five words of TCP header */
	return GSO_HEAD + packet;
}

/* Turns of CUT bytes each; the frames lie in `stream`, what a turn does not take stays in front. */
static size_t cross(struct agent *from, struct agent *to, size_t packet, int turns)
{
	size_t have = 0, n_frames = 0, n;
	const uint8_t *out;

	for (int i = 0; i < turns; i++) {
		while (have < CUT) {
			have += put_frame(stream + have, packet);
			n_frames++;
		}
		n = seal(from, stream, CUT, &out);
		send_bytes(from, out, n);
		memmove(stream, stream + CUT, have - CUT);
		have -= CUT;
		turn();
		receive(to);
	}
	n = seal(from, stream, have, &out); /* the rest of the last frame */
	if (have > 0)
		send_bytes(from, out, n);
	event_base_loop(base, EVLOOP_NONBLOCK);
	receive(to);
	need(to->n_plain == n_frames * (GSO_HEAD + packet), "bytes are missing");
	need(chan_stats(from->c)->packets_in == n_frames, "frames are missing");
	need(chan_stats(to->c)->queued_bytes == 0, "the socket was full: not what is counted");
	return n_frames;
}

int main(int argc, char **argv)
{
	static struct gateway_config cfg = { .n_workers = 1,
					     .security.policy_agents = SECURITY_UNATTESTED };
	const char *backend = argc > 1 && strcmp(argv[1], "plain") != 0 ? argv[1] : NULL;
	const size_t packet = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	const int turns = argc > 3 ? atoi(argv[3]) : 0;
	struct agent one = { .fd = -1 }, two = { .fd = -1 };
	const char *wrong = "";

	need(argc == 4 && packet >= HEADERS && packet <= IP_PACKET_MAX && turns > 0,
	     "usage: plain|evp|ipsec-mb BYTES TURNS");
	log_set_level(LOG_LEVEL_ERROR);
	base = event_base_new();
	cfg.security.with_agents = backend != NULL;
	if (backend)
		snprintf(cfg.security.cipher_backend, sizeof(cfg.security.cipher_backend), "%s",
			 backend);
	need(base && gateway_new(base, &cfg, &gateway, &wrong) == 0, wrong);
	join(&one, 1, backend);
	join(&two, 2, backend);
	printf("%zu %zu\n", cross(&one, &two, packet, turns), (size_t)turns * CUT);
	return 0;
}
