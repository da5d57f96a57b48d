/*
 * What a peer may say over TLS, as frames come out of it, and what the appraiser, the prover and
 * the clock do meanwhile. The input is a script: an order below, or the length of a piece of the
 * peer's stream and then the piece. However it goes: nothing opens without a verdict TRUSTED and
 * both ACCEPTs, no packet is delivered before, and the channel ends once, with nothing left over.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "chan/appraiser.h"
#include "chan/internal.h"
#include "chan/prover.h"

enum order { TRUST = 0xf0, REJECT, LOSE, PROVE, CANNOT_PROVE, WAIT, REAPPRAISE };

struct job {
	bool is_there;
	job_done_fn done;
	void *owner;
};

static struct job appraising, proving;
static bool has_trusted, has_said_accept;
static int n_open, n_closed;

/* --- what the channel stands on --- */

ssize_t getrandom(void *to, size_t n, unsigned flags)
{
	(void)flags;
	memset(to, 0x11, n); /* the corpus answers this challenge */
	return (ssize_t)n;
}

static int take(struct job *j, job_done_fn done, void *owner, struct job **out)
{
	must(!j->is_there);
	*j = (struct job){ true, done, owner };
	*out = j;
	return 0;
}

int appraiser_submit(struct appraiser *a, const struct appraiser_question *q, job_done_fn done,
		     void *owner, struct job **out)
{
	(void)a;
	must(q->evidence.n > 0 && q->evidence.n <= ATTEST_PART_MAX);
	must(q->endorsements.n <= ATTEST_PART_MAX);
	return take(&appraising, done, owner, out);
}

void appraiser_read(struct span reply, const char *why, struct appraisal *out)
{
	(void)why;
	*out = (struct appraisal){ .result = reply.n > 0 ? (enum rtls_result)reply.p[0]
							 : RTLS_UNDECIDED };
}

int prover_submit(struct prover *p, bool is_stranger, const uint8_t report_data[PROVER_REPORT_DATA],
		  job_done_fn done, void *owner, struct job **out)
{
	(void)p;
	(void)is_stranger;
	(void)report_data;
	return take(&proving, done, owner, out);
}

bool prover_read(struct span reply, const char *why, struct span *out_evidence,
		 struct span *out_endorsements, char *message)
{
	(void)why;
	message[0] = '\0';
	*out_evidence = reply;
	*out_endorsements = SPAN(NULL, 0);
	return reply.p != NULL;
}

void job_cancel(struct job *job)
{
	if (job)
		job->is_there = false;
}

int tls_start(struct chan *c)
{
	c->tls = (struct rtls_session *)&has_trusted; /* never followed */
	return attestation_new(c);
}

void tls_received(struct chan *c, size_t n)
{
	(void)c;
	(void)n;
}

bool tls_talk(struct chan *c)
{
	return c->state != CHAN_CLOSED;
}

bool tls_send(struct chan *c, const struct iovec *iov, int n_iov, size_t *out_taken)
{
	(void)c;
	*out_taken = 0;
	for (int i = 0; i < n_iov; i++) {
		const uint8_t *p = iov[i].iov_base;

		*out_taken += iov[i].iov_len;
		if (iov[i].iov_len > FRAME_HEAD && p[FRAME_HEAD] == FRAME_ACCEPT) {
			must(has_trusted && !has_said_accept);
			has_said_accept = true;
		}
	}
	return true;
}

void tls_farewell(struct chan *c, struct span frame)
{
	(void)c;
	(void)frame;
}

void rtls_session_free(struct rtls_session *s)
{
	(void)s;
}

void rtls_session_decide(struct rtls_session *s, enum rtls_result result)
{
	(void)s;
	must(result == RTLS_TRUSTED && has_trusted);
}

const char *rtls_session_cipher(const struct rtls_session *s)
{
	(void)s;
	return "none";
}

const void *rtls_session_peer_certificate(const struct rtls_session *s, size_t *out_n)
{
	(void)s;
	*out_n = 0;
	return NULL;
}

int rtls_session_report_data(const struct rtls_session *s, enum rtls_role of, const void *nonce,
			     size_t n, uint8_t out[64])
{
	(void)s;
	memset(out, (int)of, 64);
	memcpy(out, nonce, n < 64 ? n : 64);
	return 0;
}

/* --- its owner --- */

static enum chan_reason on_open(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
	must(has_trusted && has_said_accept && n_open++ == 0);
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	(void)owner;
	(void)c;
	must(n_open == 1 && p->packet.n > 0);
	return CHAN_OK;
}

static enum chan_reason on_routes(void *owner, struct chan *c, const struct control_routes *r)
{
	(void)owner;
	(void)c;
	must(n_open == 1 && r->n_routes <= CONTROL_ROUTES_MAX);
	return CHAN_OK;
}

static enum chan_reason on_reattested(void *owner, struct chan *c, bool changed)
{
	(void)owner;
	(void)c;
	(void)changed;
	must(n_open == 1);
	return CHAN_OK;
}

static void ignore(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	*(struct chan **)owner = NULL;
	must(c->att == NULL && why != CHAN_OK && n_closed++ == 0);
}

static const struct chan_handler handler = {
	.open = on_open,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = ignore,
	.reattested = on_reattested,
	.writable = ignore,
	.closed = on_closed,
};

/* --- the script --- */

static void end_job(struct job *j, struct span reply)
{
	if (!j->is_there)
		return;
	j->is_there = false;
	j->done(j->owner, reply, "gone");
}

static void verdict(enum rtls_result result)
{
	const uint8_t byte = (uint8_t)result;

	has_trusted = has_trusted || (appraising.is_there && result == RTLS_TRUSTED);
	end_job(&appraising, SPAN(&byte, 1));
}

static void obey(struct chan_loop *l, struct chan *c, uint8_t order)
{
	static const uint8_t quote[] = "quote";

	switch (order) {
	case TRUST:
		verdict(RTLS_TRUSTED);
		break;
	case REJECT:
		verdict(RTLS_REJECTED);
		break;
	case LOSE:
		end_job(&appraising, SPAN(NULL, 0));
		break;
	case PROVE:
		end_job(&proving, SPAN(quote, sizeof(quote)));
		break;
	case CANNOT_PROVE:
		end_job(&proving, SPAN(NULL, 0));
		break;
	case WAIT:
		c->heard_ms = c->ping_ms = clock_now_ms() + 3601 * 1000;
		chan_tick(c, clock_now_ms() + 3601 * 1000);
		break;
	default:
		chan_loop_reappraise(l, c->cfg.trust);
	}
}

static void hear(struct chan *c, struct span piece)
{
	uint8_t *buf = c->loop->rxbuf + RX_HEADROOM, *room;
	struct rx_batch batch;
	size_t size;

	while (piece.n > 0 && c->state != CHAN_CLOSED) {
		room = rx_room(&c->rx, buf, CHAN_RX_BUF, RTLS_RECORD_MAX, &size);
		size = size < piece.n ? size : piece.n;
		must(span_copy(&piece, room, size));
		rx_filled(&c->rx, buf, room, size, &batch);
		if (!chan_take_batch(c, &batch))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct control_hello own = { .version = CONTROL_VERSION,
						  .role = CONTROL_ROLE_GATEWAY,
						  .node_id = { 1 },
						  .mtu = 65535 };
	struct chan_trust trust = { .identity = (struct rtls_identity *)&appraising,
				    .prover = (struct prover *)&proving,
				    .appraiser = (struct appraiser *)&appraising,
				    .reattest_s = 3600 };
	struct event_base *base = event_base_new();
	struct addr peer = { .family = AF_INET };
	struct span in = SPAN(bytes, n), piece;
	struct chan *c = NULL;
	const struct chan_config cfg = {
		.handler = &handler, .owner = &c, .expect = CONTROL_ROLE_AGENT, .trust = &trust
	};
	struct chan_loop *l = NULL;
	uint8_t order;
	int fds[2];

	log_set_level(LOG_LEVEL_ERROR);
	appraising = proving = (struct job){ 0 };
	has_trusted = has_said_accept = false;
	n_open = n_closed = 0;
	must(base && chan_loop_new(base, &own, &l) == 0);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	must(chan_accept_take_fd(l, &cfg, fds[0], &peer, 1, &c) == 0);
	must(tls_start(c) == 0); /* as the first byte would */
	while (c->state != CHAN_CLOSED && span_u8(&in, &order)) {
		if (order >= TRUST)
			obey(l, c, order);
		else if (span_take(&in, order < in.n ? order : in.n, &piece))
			hear(c, piece);
		must(c->state != CHAN_OPEN || n_open == 1);
	}
	chan_loop_drain(l);
	event_base_loop(base, EVLOOP_NONBLOCK);
	must(c == NULL && n_closed == 1 && chan_loop_count(l) == 0 && l->n_strangers == 0);
	must(!appraising.is_there && !proving.is_there && l->budget.used == 0);
	chan_loop_free(l);
	event_base_free(base);
	close(fds[1]);
	return 0;
}
