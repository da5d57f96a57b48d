/*
 * The life of a channel: socket, events, states, keepalive, end. See channel.h for the contract and
 * state.h for the table; frames.c says what frames mean, transmit.c sends, rx.c reassembles.
 *
 * One timer per process ticks once a second and looks at every channel, so an idle channel costs no
 * timer of its own: strangers that stay silent, peers that are dead or stuck, PINGs that are due.
 */
#include "chan/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/appraiser.h"
#include "io/stream.h"

void chan_step(struct chan *c, enum chan_event event)
{
	enum chan_state next = chan_state_next(c->state, event);

	if (next == CHAN_CLOSED) {
		chan_close(c, c->state == CHAN_CLOSED ? CHAN_R_STOP : CHAN_R_UNTRUSTED);
		return;
	}
	if (c->state == CHAN_HANDSHAKE && !c->dialled && next == CHAN_OPEN)
		c->loop->n_strangers--;
	if (c->state == CHAN_CLOSED && event == CHAN_EV_ACCEPT)
		c->loop->n_strangers++;
	if (c->state == CHAN_APPRAISING && !c->dialled)
		c->loop->n_strangers--;
	c->state = next;
}

static bool is_stranger(const struct chan *c)
{
	return !c->dialled && (c->state == CHAN_HANDSHAKE || c->state == CHAN_APPRAISING);
}

static uint32_t notice_code(enum chan_reason why)
{
	switch (why) {
	case CHAN_R_PREFIX_TAKEN:
	case CHAN_R_DENIED:
		return CONTROL_CODE_PREFIX;
	case CHAN_R_LIMIT:
	case CHAN_R_CROWDED:
		return CONTROL_CODE_LIMIT;
	case CHAN_R_DEAD:
	case CHAN_R_SILENT:
	case CHAN_R_NO_EVIDENCE:
	case CHAN_R_NOT_ACCEPTED:
		return CONTROL_CODE_TIMEOUT;
	case CHAN_R_UNTRUSTED:
		return CONTROL_CODE_POLICY;
	default:
		return CONTROL_CODE_PROTOCOL;
	}
}

/*
 * Tells an eng/1 peer why, if that still fits into its socket. Of what the policy holds against it
 * a stranger learns nothing but that it does.
 */
static void say_why(struct chan *c, enum chan_reason why)
{
	struct control_notice notice = { .code = notice_code(why) };
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct iovec iov = { buf, 0 };
	size_t sent;

	if (c->fd < 0 || c->txq.n > 0 || c->pending)
		return;
	if (c->peer.version == 0 || why == CHAN_R_EOF || why == CHAN_R_IO || why == CHAN_R_GOAWAY ||
	    why == CHAN_R_ERROR || why == CHAN_R_STOP || why == CHAN_R_HANDSHAKE) {
		if (c->tls)
			tls_farewell(c, SPAN(NULL, 0));
		return;
	}
	snprintf(notice.text, sizeof(notice.text), "%s", chan_reason_word(why));
	if (control_put_notice(FRAME_ERROR, &notice, buf, sizeof(buf), &iov.iov_len) != 0)
		return;
	if (c->tls)
		tls_farewell(c, SPAN(buf, iov.iov_len));
	else if (stream_sendv(c->fd, &iov, 1, &sent) < 0)
		return; /* it will see the connection close */
}

static void log_close(struct chan *c)
{
	enum {
		BURST = 20,	 /* lines at once: every offence of a small test of ours, say */
		PERIOD_MS = 500, /* then two a second: a flood does not fill a disk */
	};
	static const char *const word[] = { "peer-close", "stranger-close" };
	struct log_limit *limit = c->was_open ? &c->loop->peer_log : &c->loop->stranger_log;
	enum log_level level = c->why == CHAN_R_STOP || c->why == CHAN_R_CONNECT ? LOG_LEVEL_DEBUG
			       : c->why <= CHAN_R_GOAWAY			 ? LOG_LEVEL_INFO
										 : LOG_LEVEL_WARN;
	uint32_t suppressed = 0;

	if (!log_enabled(level) ||
	    !log_limit_pass(limit, clock_now_ms(), BURST, PERIOD_MS, &suppressed))
		return;
	log_event(level, word[!c->was_open && !c->dialled], "peer=%s reason=%s%s%s%s suppressed=%u",
		  c->name, chan_reason_word(c->why), c->detail[0] ? " detail=\"" : "", c->detail,
		  c->detail[0] ? "\"" : "", suppressed);
}

void chan_close_detail(struct chan *c, enum chan_reason why, const char *detail)
{
	struct chan_loop *l = c->loop;

	if (c->state == CHAN_CLOSED && c->why != CHAN_OK)
		return;
	if (detail[0])
		snprintf(c->detail, sizeof(c->detail), "%s", detail);
	c->why = why;
	say_why(c, why);
	if (is_stranger(c))
		l->n_strangers--;
	stranger_leaves(c);
	c->state = CHAN_CLOSED;
	if (c->ev_read)
		event_free(c->ev_read);
	if (c->ev_write)
		event_free(c->ev_write);
	c->ev_read = c->ev_write = NULL;
	attestation_free(c); /* nobody waits for a verdict any more */
	/* What a dead or hostile peer has not taken must not stay behind in the kernel. */
	stream_close(c->fd, why == CHAN_R_DEAD || why == CHAN_R_STUCK || why == CHAN_R_CROWDED);
	c->fd = -1;
	log_close(c);
	TAILQ_REMOVE(&l->live, c, link);
	l->n_live--;
	TAILQ_INSERT_TAIL(&l->dead, c, link);
	event_active(l->reaper, 0, 0);
}

void chan_close(struct chan *c, enum chan_reason why)
{
	chan_close_detail(c, why, "");
}

static void chan_free(struct chan *c)
{
	attestation_free(c);
	rtls_session_free(c->tls);
	rx_deinit(&c->rx);
	queue_deinit(&c->txq);
	free(c->pending);
	free(c);
}

void chan_reap(struct chan_loop *l)
{
	struct chan *c;

	while ((c = TAILQ_FIRST(&l->dead))) {
		TAILQ_REMOVE(&l->dead, c, link);
		c->cfg.handler->closed(c->cfg.owner, c, c->why);
		chan_free(c);
	}
}

void chan_say_hello(struct chan *c)
{
	struct control_hello h = c->loop->own;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	h.lane = c->dialled ? c->cfg.lane : 0;
	if (control_put_hello(&h, buf, sizeof(buf), &n) != 0) {
		chan_close(c, CHAN_R_MEMORY);
		return;
	}
	chan_send_control(c, buf, n);
}

static void log_open(const struct chan *c)
{
	const struct appraisal *v = chan_appraisal(c);

	log_info("peer-open",
		 "peer=%s lane=%u proto=%s transport=%s attested=%s identity=%s tee=%s gso=%s "
		 "cipher=\"%s\"",
		 c->name, chan_lane(c), c->protocol == CHAN_PROTOCOL_V0 ? "v0" : "eng/1",
		 c->tls ? "rats-tls" : "tcp-plaintext", v ? "yes" : "no",
		 v && v->name[0] ? v->name : "-", v ? v->tee : "-",
		 chan_features(c) & CONTROL_FEATURE_GSO ? "yes" : "no",
		 c->tls ? rtls_session_cipher(c->tls) : "none");
}

void chan_open(struct chan *c, enum chan_event event, enum chan_protocol protocol)
{
	enum chan_reason why;

	if (c->state == CHAN_CLOSED)
		return;
	c->protocol = protocol;
	c->heard_ms = c->ping_ms = clock_now_ms();
	chan_step(c, event);
	if (c->state != CHAN_OPEN)
		return;
	if (c->waits && event_add(c->ev_read, NULL) < 0) {
		chan_close(c, CHAN_R_MEMORY);
		return;
	}
	stranger_leaves(c);
	chan_adapt(c); /* before any packet crosses */
	why = c->cfg.handler->open(c->cfg.owner, c);
	if (why != CHAN_OK) {
		chan_close(c, why);
		return;
	}
	c->was_open = true;
	log_open(c);
}

static enum chan_reason framing_reason(struct chan *c, int r, const struct rx_batch *b)
{
	if (r == FRAME_E_EMPTY)
		return CHAN_R_EMPTY_FRAME;
	/* How a TLS handshake (0x16) or alert (0x15) record starts (RFC 8446 5.1). */
	if (c->stats.frames_in == 0 && b->rest.n >= 2 &&
	    (b->rest.p[0] == 0x16 || b->rest.p[0] == 0x15) && b->rest.p[1] == 0x03)
		return CHAN_R_TLS;
	return CHAN_R_LONG_FRAME;
}

bool chan_take_batch(struct chan *c, struct rx_batch *batch)
{
	enum chan_reason why = CHAN_OK;
	struct span frame, body;
	int r = FRAME_E_MORE;

	while (c->state != CHAN_CLOSED && why == CHAN_OK &&
	       (r = rx_next(batch, &frame, &body)) == 0)
		why = chan_frame(c, frame, body);
	c->cfg.handler->batch_end(c->cfg.owner, c); /* what came before the offence is delivered */
	if (c->state == CHAN_CLOSED)
		return false;
	if (why == CHAN_OK && r != FRAME_E_MORE)
		why = framing_reason(c, r, batch);
	if (why == CHAN_OK && rx_end(&c->rx, batch) != 0)
		why = CHAN_R_MEMORY;
	if (why != CHAN_OK) {
		chan_close(c, why);
		return false;
	}
	return true;
}

static void plain_received(struct chan *c, size_t n)
{
	struct rx_batch batch;

	rx_received(&c->rx, c->loop->rxbuf + RX_HEADROOM, n, &batch);
	(void)chan_take_batch(c, &batch);
}

static bool may_read(struct chan *c)
{
	const struct chan_handler *h = c->cfg.handler;

	if (c->state != CHAN_OPEN || !h->may_read || h->may_read(c->cfg.owner, c))
		return true;
	c->is_paused = true;
	c->stats.pauses++;
	event_del(c->ev_read);
	return false;
}

void chan_resume(struct chan *c)
{
	if (!c->is_paused || c->state == CHAN_CLOSED)
		return;
	c->is_paused = false;
	if (event_add(c->ev_read, NULL) < 0)
		chan_close(c, CHAN_R_MEMORY);
}

/* One batch; then it is somebody else's turn. */
static void on_readable(struct chan *c)
{
	struct iovec iov[2];
	int n_iov = 1, r;
	size_t n;

	if (!may_read(c))
		return;
	if (c->tls)
		iov[0] = (struct iovec){ c->loop->sealed_in, CHAN_SEAL_BUF };
	else
		n_iov = rx_iov(&c->rx, c->loop->rxbuf + RX_HEADROOM, CHAN_RX_BUF, iov);
	(void)stream_bound(iov, &n_iov);
	r = stream_readv(c->fd, iov, n_iov, &n);
	if (r == STREAM_E_AGAIN)
		return;
	if (r != 0) {
		chan_close_detail(c, r == STREAM_E_EOF ? CHAN_R_EOF : CHAN_R_IO,
				  r < 0 ? err_text(r) : "");
		return;
	}
	c->heard_ms = clock_now_ms();
	c->stats.reads++;
	c->stats.bytes_in += n;
	if (c->tls)
		tls_received(c, n);
	else
		plain_received(c, n);
}

/* A session is made for who says something, not for who comes. */
void chan_hear(struct chan *c)
{
	if (event_add(c->ev_read, NULL) < 0 || (!c->cfg.plain && !c->tls && tls_start(c) < 0))
		chan_close(c, CHAN_R_MEMORY);
	else
		on_readable(c);
}

/* Less where what waits has a better place: in an agent's queues of flows (enta/fair.h). */
static void bound_queues(struct chan *c)
{
	const bool is_agent = c->loop->own.role == CONTROL_ROLE_AGENT;

	c->is_near = stream_bound_queues(c->fd, is_agent ? CHAN_UNSENT_AGENT : CHAN_UNSENT);
}

static void on_connected(struct chan *c)
{
	int r = stream_connect_result(c->fd);

	event_del(c->ev_write);
	if (r < 0) {
		chan_close_detail(c, CHAN_R_CONNECT, err_text(r));
		return;
	}
	bound_queues(c);
	chan_step(c, CHAN_EV_CONNECTED);
	event_add(c->ev_read, NULL);
	if (c->tls)
		(void)tls_talk(c);
	else if (c->cfg.compat)
		chan_open(c, CHAN_EV_PLAIN_PEER, CHAN_PROTOCOL_V0);
	else
		chan_say_hello(c);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct chan *c = arg;

	(void)fd;
	if (what & EV_READ && is_stranger(c))
		stranger_waits(c);
	else if (what & EV_READ)
		on_readable(c);
	else if (c->state == CHAN_CONNECTING)
		on_connected(c);
	else
		chan_flush(c);
}

static int chan_new_take_fd(struct chan_loop *l, const struct chan_config *cfg, int fd,
			    const struct addr *peer, uint16_t port, struct chan **out)
{
	struct chan *c = calloc(1, sizeof(*c));
	char text[ADDR_TEXT_MAX];

	if (!c) {
		stream_close(fd, 1);
		return err_new(-ENOMEM);
	}
	*c = (struct chan){ .loop = l, .cfg = *cfg, .fd = fd, .born_ms = clock_now_ms() };
	c->arrival = l->n_arrivals++;
	c->heard_ms = c->moved_ms = c->born_ms;
	c->remote = (struct endpoint){ .port = port };
	snprintf(c->remote.host, sizeof(c->remote.host), "%s", addr_format(peer, text));
	endpoint_format(&c->remote, c->name);
	queue_init(&c->txq, CHAN_TXQ_MAX, &l->budget);
	c->ev_read = event_new(l->base, fd, EV_READ | EV_PERSIST, on_event, c);
	c->ev_write = event_new(l->base, fd, EV_WRITE | EV_PERSIST, on_event, c);
	if (!c->ev_read || !c->ev_write) {
		if (c->ev_read)
			event_free(c->ev_read);
		if (c->ev_write)
			event_free(c->ev_write);
		stream_close(fd, 1);
		free(c);
		return err_new(-ENOMEM);
	}
	TAILQ_INSERT_TAIL(&l->live, c, link);
	l->n_live++;
	*out = c;
	return 0;
}

/* Once it is known who dialled: rats-tls unless the configuration said tcp://. See chan_hear(). */
static void secure(struct chan *c)
{
	if (c->cfg.plain || c->state == CHAN_CLOSED)
		return;
	if (!c->cfg.trust || !c->cfg.trust->identity)
		chan_close_detail(c, CHAN_R_UNTRUSTED, "no key and no policy for this link");
	else if (c->dialled && tls_start(c) < 0)
		chan_close(c, CHAN_R_MEMORY);
}

int chan_accept_take_fd(struct chan_loop *l, const struct chan_config *cfg, int fd,
			const struct addr *peer, uint16_t port, struct chan **out)
{
	int r;

	r = chan_new_take_fd(l, cfg, fd, peer, port, out);
	if (r < 0)
		return err_pass(r);
	bound_queues(*out);
	chan_step(*out, CHAN_EV_ACCEPT);
	secure(*out);
	if ((*out)->state != CHAN_CLOSED && event_add((*out)->ev_read, NULL) < 0)
		chan_close(*out, CHAN_R_MEMORY);
	return 0;
}

int chan_connect(struct chan_loop *l, const struct chan_config *cfg, const struct addr *to,
		 uint16_t port, const struct stream_options *o, struct chan **out)
{
	int r, fd;

	r = stream_connect(to, port, o, &fd);
	if (r < 0)
		return err_pass(r);
	r = chan_new_take_fd(l, cfg, fd, to, port, out);
	if (r < 0)
		return err_pass(r);
	(*out)->dialled = true;
	chan_step(*out, CHAN_EV_CONNECT);
	secure(*out);
	if ((*out)->state != CHAN_CLOSED && event_add((*out)->ev_write, NULL) < 0)
		chan_close(*out, CHAN_R_MEMORY);
	return 0;
}

static void ping(struct chan *c, uint64_t now_ms)
{
	struct control_ping p = { .token = clock_now_us() };
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	c->ping_ms = now_ms;
	c->ping_token = p.token;
	if (control_put_ping(FRAME_PING, &p, buf, sizeof(buf), &n) == 0)
		chan_send_control(c, buf, n);
}

void chan_tick(struct chan *c, uint64_t now_ms)
{
	bool open = c->state == CHAN_OPEN;

	if (c->waits) /* for us */
		return;
	if (c->att && (open || c->state == CHAN_APPRAISING))
		attestation_tick(c, now_ms);
	if (c->state == CHAN_CLOSED)
		return;
	if (c->state == CHAN_DRAINING && now_ms - c->drain_ms >= CHAN_DRAIN_MS)
		chan_close(c, CHAN_R_STOP);
	else if (c->state == CHAN_CONNECTING && now_ms - c->born_ms >= CHAN_CONNECT_MS)
		chan_close_detail(c, CHAN_R_CONNECT, "no answer");
	else if (!open && c->state != CHAN_APPRAISING && now_ms - c->born_ms >= CHAN_HANDSHAKE_MS)
		chan_close(c, CHAN_R_SILENT);
	else if (c->state == CHAN_HANDSHAKE && c->cfg.compat && c->cfg.plain &&
		 c->stats.bytes_in == 0 && now_ms - c->born_ms >= CHAN_COMPAT_SILENCE_MS)
		chan_open(c, CHAN_EV_PLAIN_PEER, CHAN_PROTOCOL_V0);
	else if (open && chan_is_blocked(c) && now_ms - c->moved_ms >= CHAN_STUCK_MS)
		chan_close(c, CHAN_R_STUCK);
	else if (open && c->protocol == CHAN_PROTOCOL_ENG1 && now_ms - c->heard_ms >= CHAN_DEAD_MS)
		chan_close(c, CHAN_R_DEAD);
	else if (open && c->protocol == CHAN_PROTOCOL_ENG1 && now_ms - c->ping_ms >= CHAN_PING_MS)
		ping(c, now_ms);
	if (c->state == CHAN_OPEN && c->txq.n == 0)
		queue_trim(&c->txq);
	if (c->state == CHAN_OPEN)
		chan_probe_tick(c, now_ms);
	if (c->state == CHAN_OPEN)
		chan_adapt(c);
	if (now_ms - c->heard_ms >= CHAN_PING_MS)
		rx_trim(&c->rx);
}

void chan_drain(struct chan *c)
{
	struct control_notice bye = { .code = CONTROL_CODE_SHUTDOWN, .text = "shutdown" };
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	if (c->state != CHAN_OPEN) {
		chan_close(c, CHAN_R_STOP);
		return;
	}
	if (c->protocol == CHAN_PROTOCOL_ENG1 &&
	    control_put_notice(FRAME_GOAWAY, &bye, buf, sizeof(buf), &n) == 0)
		chan_send_control(c, buf, n);
	if (c->state == CHAN_CLOSED)
		return;
	c->drain_ms = clock_now_ms();
	chan_step(c, CHAN_EV_DRAIN);
	if (!chan_is_blocked(c))
		chan_close(c, CHAN_R_STOP);
}

enum chan_state chan_state(const struct chan *c)
{
	return c->state;
}

enum chan_protocol chan_protocol(const struct chan *c)
{
	return c->protocol;
}

enum control_role chan_role(const struct chan *c)
{
	return c->cfg.expect;
}

const struct control_hello *chan_peer(const struct chan *c)
{
	return &c->peer;
}

uint32_t chan_features(const struct chan *c)
{
	return c->protocol == CHAN_PROTOCOL_ENG1 ? c->peer.features : 0;
}

uint8_t chan_lane(const struct chan *c)
{
	return c->dialled ? c->cfg.lane : c->peer.lane;
}

bool chan_is_dialled(const struct chan *c)
{
	return c->dialled;
}

void chan_remote(const struct chan *c, struct endpoint *out)
{
	*out = c->remote;
}

const char *chan_name(const struct chan *c)
{
	return c->name;
}

const struct chan_stats *chan_stats(const struct chan *c)
{
	return &c->stats;
}

void *chan_data(const struct chan *c)
{
	return c->data;
}

void chan_set_data(struct chan *c, void *data)
{
	c->data = data;
}
