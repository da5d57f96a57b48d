/* What the channels of a process share: buffer, budget, timer, the list of them, and their end. */
#include "chan/internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/door.h"

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct chan_loop *l = arg;
	uint64_t now_ms = clock_now_ms();
	struct chan *c, *next;

	(void)fd;
	(void)what;
	for (c = TAILQ_FIRST(&l->live); c; c = next) {
		next = TAILQ_NEXT(c, link);
		chan_tick(c, now_ms);
	}
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	chan_reap(arg);
}

int chan_loop_new(struct event_base *base, const struct control_hello *own, struct chan_loop **out)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct chan_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return err_new(-ENOMEM);
	*l = (struct chan_loop){ .base = base, .own = *own };
	chan_loop_share_limits(l, 1);
	TAILQ_INIT(&l->live);
	TAILQ_INIT(&l->dead);
	TAILQ_INIT(&l->waiting);
	TAILQ_INIT(&l->doors);
	l->rxbuf = malloc(RX_HEADROOM + CHAN_RX_BUF);
	l->evidence_out = malloc(FRAME_HEAD + FRAME_MAX);
	l->tick = event_new(base, -1, EV_PERSIST, on_tick, l);
	l->reaper = event_new(base, -1, 0, on_reap, l);
	l->turn = event_new(base, -1, 0, door_on_turn, l);
	if (!l->rxbuf || !l->evidence_out || !l->tick || !l->reaper || !l->turn ||
	    event_add(l->tick, &second) < 0) {
		chan_loop_free(l);
		return err_new(-ENOMEM);
	}
	*out = l;
	return 0;
}

void chan_loop_free(struct chan_loop *l)
{
	if (!l)
		return;
	if (l->tick)
		event_free(l->tick);
	if (l->reaper)
		event_free(l->reaper);
	if (l->turn)
		event_free(l->turn);
	free(l->rxbuf);
	free(l->evidence_out);
	free(l->sealed_in);
	free(l->sealed_out);
	free(l);
}

void chan_loop_share_limits(struct chan_loop *l, size_t n)
{
	l->budget.max = CHAN_TXQ_BUDGET / n;
	l->strangers_max = DOOR_STRANGERS_MAX / n;
}

struct event_base *chan_loop_base(const struct chan_loop *l)
{
	return l->base;
}

const struct control_hello *chan_loop_own(const struct chan_loop *l)
{
	return &l->own;
}

void chan_loop_set_features(struct chan_loop *l, uint32_t features)
{
	l->own.features = features;
}

static bool is_over(const struct chan_loop *l)
{
	return event_base_got_exit(l->base) || event_base_got_break(l->base);
}

/* Until nothing has moved for so long, or the loop ends. */
static void poll_a_while(struct chan_loop *l, unsigned poll_us)
{
	uint64_t seen = l->n_packets, since_us = clock_now_us(), now_us = since_us;

	poll_us = polling_window_us(&l->polling, now_us, poll_us);
	if (poll_us == 0)
		return;
	while (now_us - since_us < poll_us) {
		sched_yield();
		if (event_base_loop(l->base, EVLOOP_NONBLOCK) < 0 || is_over(l))
			return;
		now_us = clock_now_us();
		if (l->n_packets != seen) {
			polling_learn(&l->polling, now_us - since_us, poll_us);
			seen = l->n_packets;
			since_us = now_us;
		}
	}
	polling_learn(&l->polling, now_us - since_us, poll_us);
}

void chan_loop_run(struct chan_loop *l, unsigned poll_us)
{
	uint64_t seen = l->n_packets;

	do {
		if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
			return; /* the kernel's event queue itself is broken */
		if (!is_over(l) && l->n_packets != seen)
			poll_a_while(l, poll_us);
		seen = l->n_packets;
	} while (!is_over(l));
}

void chan_loop_drain(struct chan_loop *l)
{
	struct chan *c, *next;

	for (c = TAILQ_FIRST(&l->live); c; c = next) {
		next = TAILQ_NEXT(c, link);
		chan_drain(c);
	}
}

void chan_loop_reappraise(struct chan_loop *l, const struct chan_trust *trust)
{
	struct chan *c, *next;

	for (c = TAILQ_FIRST(&l->live); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->cfg.trust == trust)
			attestation_reappraise(c);
	}
}

size_t chan_loop_count(const struct chan_loop *l)
{
	return l->n_live + !TAILQ_EMPTY(&l->dead);
}

size_t chan_loop_strangers(const struct chan_loop *l)
{
	return l->n_strangers;
}

bool chan_loop_evict_stranger(struct chan_loop *l)
{
	struct chan *c;

	TAILQ_FOREACH (c, &l->live, link) { /* in the order of their arrival */
		if (!c->dialled && (c->state == CHAN_HANDSHAKE || c->state == CHAN_APPRAISING)) {
			chan_close(c, CHAN_R_CROWDED);
			return true;
		}
	}
	return false;
}

static void print_one(const struct chan *c)
{
	static const char *const words[CHAN_N_DROPS] = { "queue",  "no-route", "ttl", "loop",
							 "source", "down",     "form" };
	static const char *const protocols[] = { "none", "v0", "eng/1" };
	const struct chan_stats *s = &c->stats;
	char drops[200] = "";
	size_t n = 0;

	for (size_t i = 0; i < CHAN_N_DROPS; i++)
		n += (size_t)snprintf(drops + n, sizeof(drops) - n, " drop_%s=%llu", words[i],
				      (unsigned long long)s->drops[i]);
	log_info("counter",
		 "peer=%s lane=%u role=%s state=%s proto=%s frames_in=%llu bytes_in=%llu "
		 "packets_in=%llu "
		 "packet_bytes_in=%llu reads=%llu pauses=%llu frames_out=%llu bytes_out=%llu "
		 "sends=%llu "
		 "queue_bytes=%zu queued_bytes=%llu moved_bytes=%llu rtt_us=%u%s",
		 c->name, chan_lane(c), c->cfg.expect == CONTROL_ROLE_AGENT ? "agent" : "gateway",
		 chan_state_name(c->state), protocols[c->protocol],
		 (unsigned long long)s->frames_in, (unsigned long long)s->bytes_in,
		 (unsigned long long)s->packets_in, (unsigned long long)s->packet_bytes_in,
		 (unsigned long long)s->reads, (unsigned long long)s->pauses,
		 (unsigned long long)s->frames_out, (unsigned long long)s->bytes_out,
		 (unsigned long long)s->sends, c->txq.n, (unsigned long long)s->queued_bytes,
		 (unsigned long long)c->rx.moved, s->rtt_us, drops);
}

void chan_loop_print(const struct chan_loop *l, struct chan_totals *sum)
{
	const struct chan *c;

	TAILQ_FOREACH (c, &l->live, link) {
		print_one(c);
		if (c->state == CHAN_OPEN)
			chan_print_peer(c, clock_now_ms());
	}
	sum->peers += l->n_live;
	sum->strangers += l->n_strangers;
	sum->queued += l->budget.used;
}

void chan_print_totals(const struct chan_totals *sum)
{
	log_info("counter-total", "peers=%zu strangers=%zu queue_budget_used=%zu", sum->peers,
		 sum->strangers, sum->queued);
}

const char *chan_reason_word(enum chan_reason r)
{
	static const char *const words[CHAN_R_PACKET] = {
		[CHAN_OK] = "none",
		[CHAN_R_STOP] = "stop",
		[CHAN_R_EOF] = "closed-by-peer",
		[CHAN_R_IO] = "io-error",
		[CHAN_R_GOAWAY] = "goaway",
		[CHAN_R_ERROR] = "refused-by-peer",
		[CHAN_R_CONNECT] = "connect-failed",
		[CHAN_R_DEAD] = "dead-peer",
		[CHAN_R_STUCK] = "stuck-reader",
		[CHAN_R_SILENT] = "silent",
		[CHAN_R_CROWDED] = "crowded-out",
		[CHAN_R_LIMIT] = "limit",
		[CHAN_R_REPLACED] = "replaced",
		[CHAN_R_EMPTY_FRAME] = "frame-empty",
		[CHAN_R_LONG_FRAME] = "frame-too-long",
		[CHAN_R_TLS] = "tls-on-plain-link",
		[CHAN_R_FRAME_TYPE] = "frame-type",
		[CHAN_R_CONTROL] = "control-malformed",
		[CHAN_R_VERSION] = "version",
		[CHAN_R_HELLO_EXPECTED] = "hello-expected",
		[CHAN_R_HELLO_AGAIN] = "hello-unexpected",
		[CHAN_R_ROLE] = "role",
		[CHAN_R_SELF] = "self",
		[CHAN_R_LANE] = "lane-unexpected",
		[CHAN_R_PREFIX_TAKEN] = "prefix-taken",
		[CHAN_R_PREFIX_MISSING] = "prefix-missing",
		[CHAN_R_SOURCE] = "source-not-owned",
		[CHAN_R_ROUTES] = "routes-not-allowed",
		[CHAN_R_UNTRUSTED] = "untrusted",
		[CHAN_R_NO_EVIDENCE] = "no-evidence",
		[CHAN_R_NOT_ACCEPTED] = "not-accepted",
		[CHAN_R_EVIDENCE] = "evidence-unexpected",
		[CHAN_R_CHALLENGE] = "challenge-unexpected",
		[CHAN_R_ACCEPT] = "accept-unexpected",
		[CHAN_R_EARLY] = "too-early",
		[CHAN_R_CANNOT_PROVE] = "cannot-prove",
		[CHAN_R_HANDSHAKE] = "tls-handshake",
		[CHAN_R_DENIED] = "prefix-not-granted",
		[CHAN_R_REGRANTED] = "grants-changed",
		[CHAN_R_MEMORY] = "out-of-memory",
	};

	if (r > CHAN_R_PACKET && r < CHAN_R_END)
		return gso_reason((int)r - CHAN_R_PACKET);
	return (unsigned)r < CHAN_R_PACKET && words[r] ? words[r] : "unknown";
}
