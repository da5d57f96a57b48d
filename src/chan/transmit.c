/*
 * The sending half of a channel.
 *
 * While the socket takes everything, frames go out from where they lie. When it does not, what is
 * left is copied into the channel's bounded queue, whole frames at a time, and what finds no room
 * there is dropped and counted, as a router does: the sender's TCP slows down, and nobody who sends
 * to other peers through the same process waits for this one.
 */
#include "chan/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/stream.h"

/* In the token of a PING: it is chan_probe()'s. */
#define PROBE (1ULL << 63)

/* Best effort: a far peer for which the system does not let us pace is slow where packets get lost.
 */
void chan_adapt(struct chan *c)
{
	const enum congestion_distance was = c->distance;
	int r;

	if (!c->cfg.adapts)
		return;
	r = congestion_adapt(c->fd, &c->distance);
	if (c->distance != was)
		log_debug("congestion", "peer=%s distance=%s result=\"%s\"", c->name,
			  c->distance == CONGESTION_NEAR ? "near" : "far",
			  r < 0 ? err_text(r) : "ok");
}

/* Before packets go to a far peer: whether it had little to carry lately is looked at only then. */
static void wake(struct chan *c)
{
	enum {
		WHILE_MS = 200,	   /* some round trips */
		LITTLE = 64 * 1024 /* bytes in it: 2.6 Mbit/s */
	};
	const uint64_t now_ms = clock_now_ms();

	if (now_ms - c->while_ms < WHILE_MS)
		return;
	if (c->stats.bytes_out - c->while_bytes < LITTLE)
		congestion_forget(c->fd);
	c->while_ms = now_ms;
	c->while_bytes = c->stats.bytes_out;
}

static void count_sent(struct chan *c, size_t n)
{
	c->stats.sends++;
	c->stats.bytes_out += n;
	c->moved_ms = clock_now_ms();
}

void chan_count_drop(struct chan *c, enum chan_drop why)
{
	c->stats.drops[why]++;
}

bool chan_is_blocked(const struct chan *c)
{
	return c->txq.n > 0 || c->pending;
}

/* Keeps what a socket did not take of encrypted bytes: nothing else can go before it. */
static bool keep_pending(struct chan *c, const uint8_t *bytes, size_t n)
{
	c->pending = malloc(n);
	if (!c->pending) {
		chan_close(c, CHAN_R_MEMORY);
		return false;
	}
	memcpy(c->pending, bytes, n);
	c->pending_at = 0;
	c->pending_n = n;
	chan_flush_soon(c);
	return true;
}

bool chan_send_sealed(struct chan *c, const uint8_t *bytes, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	size_t sent = 0;
	int r;

	r = stream_sendv(c->fd, &iov, 1, &sent);
	if (r < 0) {
		chan_close_detail(c, CHAN_R_IO, err_text(r));
		return false;
	}
	if (r == 0)
		count_sent(c, sent);
	return sent == n || keep_pending(c, bytes + sent, n - sent);
}

/* True when nothing is pending any more. */
static bool flush_pending(struct chan *c)
{
	struct iovec iov = { c->pending + c->pending_at, c->pending_n - c->pending_at };
	size_t sent = 0;
	int r;

	if (!c->pending)
		return true;
	r = stream_sendv(c->fd, &iov, 1, &sent);
	if (r < 0) {
		chan_close_detail(c, CHAN_R_IO, err_text(r));
		return false;
	}
	if (r == 0)
		count_sent(c, sent);
	c->pending_at += sent;
	if (c->pending_at < c->pending_n)
		return false;
	free(c->pending);
	c->pending = NULL;
	return true;
}

/* Sends and says how much went; false if the channel had to be closed. */
static bool send_now(struct chan *c, struct iovec *iov, int n_iov, size_t *out_sent)
{
	int r;

	*out_sent = 0;
	if (c->tls)
		return tls_send(c, iov, n_iov, out_sent);
	r = stream_sendv(c->fd, iov, n_iov, out_sent);
	if (r < 0) {
		chan_close_detail(c, CHAN_R_IO, err_text(r));
		return false;
	}
	if (r == 0)
		count_sent(c, *out_sent);
	return true;
}

/* What packets leave free: a peer must not be closed for evidence that finds no room. */
static size_t reserve_of(const struct chan *c)
{
	return c->tls && c->cfg.trust->prover ? CHAN_EVIDENCE_RESERVE : CHAN_CONTROL_RESERVE;
}

/* Queues what lies behind the first `skip` bytes, frame by frame. */
static void queue_frames(struct chan *c, const struct iovec *iov, int n_iov, size_t skip)
{
	for (int i = 0; i < n_iov; i++) {
		struct span s = SPAN(iov[i].iov_base, iov[i].iov_len);
		struct span frame;
		size_t total;
		int r;

		while (frame_peek_total(s, &total) == 0 && span_take(&s, total, &frame)) {
			if (skip >= total) {
				skip -= total;
				c->stats.frames_out++;
				continue;
			}
			/* The rest of a frame that has begun must follow, or the stream is broken.
			 */
			r = queue_push(&c->txq, frame.p + skip, total - skip,
				       skip > 0 ? 0 : reserve_of(c));
			if (r == QUEUE_E_FULL && skip == 0) {
				chan_count_drop(c, CHAN_DROP_QUEUE);
				continue;
			}
			if (r != 0) {
				chan_close(c, CHAN_R_MEMORY);
				return;
			}
			c->stats.frames_out++;
			c->stats.queued_bytes += total - skip;
			skip = 0;
		}
	}
}

static size_t iov_total(const struct iovec *iov, int n_iov)
{
	size_t total = 0;

	for (int i = 0; i < n_iov; i++)
		total += iov[i].iov_len;
	return total;
}

uint64_t chan_count_frames(const struct iovec *iov, int n_iov)
{
	uint64_t n = 0;
	size_t total;

	for (int i = 0; i < n_iov; i++) {
		struct span s = SPAN(iov[i].iov_base, iov[i].iov_len);

		while (frame_peek_total(s, &total) == 0 && span_skip(&s, total))
			n++;
	}
	return n;
}

/* When the socket takes more again; the wait for it begins now. */
void chan_flush_soon(struct chan *c)
{
	c->moved_ms = clock_now_ms();
	event_add(c->ev_write, NULL);
}

void chan_send(struct chan *c, struct iovec *iov, int n_iov)
{
	const size_t total = iov_total(iov, n_iov);
	const bool was_blocked = chan_is_blocked(c);
	size_t sent = 0;

	if (c->state != CHAN_OPEN) {
		c->stats.drops[CHAN_DROP_DOWN] += chan_count_frames(iov, n_iov);
		return;
	}
	c->loop->n_packets++;
	c->given += total;
	if (c->distance == CONGESTION_FAR)
		wake(c);
	if (!was_blocked && !send_now(c, iov, n_iov, &sent))
		return;
	if (sent == total) {
		c->stats.frames_out += chan_count_frames(iov, n_iov);
		return;
	}
	queue_frames(c, iov, n_iov, sent);
	if (!was_blocked && chan_is_blocked(c) && c->state == CHAN_OPEN)
		chan_flush_soon(c);
}

void chan_send_control(struct chan *c, const uint8_t *frame, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)frame, n };
	const bool was_blocked = chan_is_blocked(c);
	size_t sent = 0;
	int r;

	if (c->fd < 0 || c->state == CHAN_CONNECTING)
		return;
	if (!was_blocked && !send_now(c, &iov, 1, &sent))
		return;
	c->stats.frames_out++;
	if (sent == n)
		return;
	r = queue_push(&c->txq, frame + sent, n - sent, 0);
	if (r != 0) {
		chan_close(c, r > 0 ? CHAN_R_STUCK : CHAN_R_MEMORY);
		return;
	}
	if (!was_blocked)
		chan_flush_soon(c);
}

void chan_probe(struct chan *c)
{
	enum { STALE = 4 * 1024 * 1024 /* bytes since it was last asked: more than may wait */ };
	const struct control_ping p = { .token = clock_now_us() | PROBE };
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	if (c->state != CHAN_OPEN || c->protocol != CHAN_PROTOCOL_ENG1 || !c->is_near || c->probe ||
	    c->is_mute)
		return;
	if (c->given - c->read_to > STALE)
		c->read_to = c->given;
	c->probe = p.token;
	c->probe_at = c->given;
	c->probe_ms = clock_now_ms();
	if (control_put_ping(FRAME_PING, &p, buf, sizeof(buf), &n) == 0)
		chan_send_control(c, buf, n);
}

size_t chan_unread(const struct chan *c)
{
	return c->probe ? c->given - c->read_to : 0;
}

void chan_probe_answered(struct chan *c)
{
	c->read_to = c->probe_at;
	c->probe = 0;
	c->cfg.handler->writable(c->cfg.owner, c);
}

/* What waits for the answer goes on without it. */
void chan_probe_tick(struct chan *c, uint64_t now_ms)
{
	if (!c->probe || now_ms - c->probe_ms < CHAN_PROBE_MS)
		return;
	c->is_mute = true;
	chan_probe_answered(c);
}

void chan_flush(struct chan *c)
{
	struct iovec runs[2];
	size_t sent;
	int n;

	if (!flush_pending(c) || (c->tls && !tls_talk(c)))
		return;
	while (!c->pending && (n = queue_peek(&c->txq, runs)) > 0) {
		const size_t total = iov_total(runs, n);

		if (!send_now(c, runs, n, &sent))
			return;
		queue_pop(&c->txq, sent);
		if (sent < total)
			return;
	}
	if (c->pending)
		return;
	event_del(c->ev_write);
	if (c->state == CHAN_DRAINING)
		chan_close(c, CHAN_R_STOP);
	else if (c->state == CHAN_OPEN)
		c->cfg.handler->writable(c->cfg.owner, c);
}
