/*
 * Attestation on a channel (docs/wire.md 4.6): who asks, who answers, and when both are content.
 *
 *          this side                               the peer
 *   asked:   CHALLENGE ───────────────────────────►
 *            ◄─────────────── EVIDENCE, appraised by the policy (appraiser.h)
 *   accepts: ACCEPT ──────────────────────────────►          and the same the other way round
 *
 * The channel opens when this side accepts the peer and has the peer's ACCEPT. In an open channel
 * the same exchange runs again on a timer, while packets go on. What was accepted is kept, so that
 * a new policy can judge it again without asking the peer.
 *
 * The side that was dialled answers a challenge only when it has accepted the peer itself:
 * strangers cannot make it produce evidence. (Where the configuration demands no proof of these
 * peers, it accepts everybody, and the queue of the prover bounds what they can make it do.)
 *
 * A v0 peer has only its certificate; what it sends before it was judged is dropped.
 */
#include "chan/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/appraiser.h"
#include "chan/prover.h"
#include "wire/attest.h"

enum {
	/*
	 * How often a peer may ask: more than any --reattest makes of it, and not so often that one
	 * keeps the prover from the others.
	 */
	CHALLENGE_BURST = 4,
	CHALLENGE_PERIOD_MS = 2000,
	JITTER_PERCENT = 20 /* of the time to the next challenge: a restart must not make a wave */
};

struct attestation {
	/* The peer's proof. */
	bool asked; /* a challenge of ours is unanswered */
	uint8_t nonce[ATTEST_NONCE];
	uint64_t asked_ms, again_ms; /* again_ms: the next challenge, 0 = none */
	struct job *appraising;
	bool accepts;  /* this side the peer */
	bool accepted; /* this side by the peer */
	/* What was judged last, or is being judged, to be judged again. */
	bool is_certificate;
	uint8_t report_data[PROVER_REPORT_DATA];
	uint8_t *proof; /* evidence, then endorsements */
	size_t n_evidence, n_endorsements;
	uint64_t proved_ms; /* when the last good evidence came */
	bool is_proved;
	struct appraisal verdict;
	/* This side's proof. */
	bool is_challenged; /* by the peer, not answered yet */
	struct log_limit challenges;
	uint8_t peer_nonce[ATTEST_NONCE];
	struct job *proving;
};

int attestation_new(struct chan *c)
{
	c->att = calloc(1, sizeof(*c->att));
	return c->att ? 0 : err_new(-ENOMEM);
}

void attestation_free(struct chan *c)
{
	if (!c->att)
		return;
	job_cancel(c->att->appraising);
	job_cancel(c->att->proving);
	free(c->att->proof);
	free(c->att);
	c->att = NULL;
}

static enum rtls_role own_role(const struct chan *c)
{
	return c->dialled ? RTLS_CLIENT : RTLS_SERVER;
}

static enum rtls_role peer_role(const struct chan *c)
{
	return c->dialled ? RTLS_SERVER : RTLS_CLIENT;
}

/* Whom the operator has named does not wait behind those who come by themselves. */
static bool is_stranger(const struct chan *c)
{
	return c->state != CHAN_OPEN && !c->dialled;
}

static void open_if_both_accept(struct chan *c)
{
	struct attestation *a = c->att;

	if (c->state == CHAN_APPRAISING && a->accepts && a->accepted)
		chan_open(c, CHAN_EV_TRUSTED, CHAN_PROTOCOL_ENG1);
}

/* --- this side's proof --- */

static void send_evidence(struct chan *c, struct span evidence, struct span endorsements)
{
	uint8_t *buf = c->loop->evidence_out;
	struct attest_evidence e = { .evidence = evidence, .endorsements = endorsements };
	size_t n;

	memcpy(e.nonce, c->att->peer_nonce, sizeof(e.nonce));
	if (attest_put_evidence(&e, buf, FRAME_HEAD + FRAME_MAX, &n) != 0) {
		chan_close_detail(c, CHAN_R_CANNOT_PROVE, "the evidence is too large for a frame");
		return;
	}
	c->att->is_challenged = false;
	chan_send_control(c, buf, n);
}

static void on_proved(void *owner, struct span reply, const char *why)
{
	char message[PROVER_MESSAGE_MAX];
	struct span evidence, endorsements;
	struct chan *c = owner;

	c->att->proving = NULL;
	if (prover_read(reply, why, &evidence, &endorsements, message))
		send_evidence(c, evidence, endorsements);
	else
		chan_close_detail(c, CHAN_R_CANNOT_PROVE, message);
}

static void prove(struct chan *c)
{
	struct attestation *a = c->att;
	uint8_t report_data[PROVER_REPORT_DATA];
	int r;

	if (!a->is_challenged || a->proving)
		return;
	if (!c->dialled && !a->accepts)
		return; /* its turn comes when we know who asks */
	r = rtls_session_report_data(c->tls, own_role(c), a->peer_nonce, sizeof(a->peer_nonce),
				     report_data);
	if (r == 0)
		r = prover_submit(c->cfg.trust->prover, is_stranger(c), report_data, on_proved, c,
				  &a->proving);
	if (r != 0)
		chan_close_detail(c, CHAN_R_CANNOT_PROVE,
				  r > 0 ? "too many peers ask at once" : err_text(r));
}

static enum chan_reason on_challenge(struct chan *c, struct span body)
{
	struct attestation *a = c->att;
	struct attest_challenge challenge;
	uint32_t unused;
	int r;

	r = attest_parse_challenge(body, &challenge);
	if (r != 0)
		return CHAN_R_CONTROL;
	if (a->is_challenged || !log_limit_pass(&a->challenges, clock_now_ms(), CHALLENGE_BURST,
						CHALLENGE_PERIOD_MS, &unused))
		return CHAN_R_CHALLENGE;
	if (!c->cfg.trust->prover) {
		snprintf(c->detail, sizeof(c->detail), "no --attester here");
		return CHAN_R_CANNOT_PROVE;
	}
	a->is_challenged = true;
	memcpy(a->peer_nonce, challenge.nonce, sizeof(a->peer_nonce));
	prove(c);
	return CHAN_OK;
}

/* --- the peer's proof --- */

static void schedule_next(struct chan *c, uint64_t now_ms)
{
	const uint64_t period_ms = (uint64_t)c->cfg.trust->reattest_s * 1000;
	uint64_t random = 0;

	c->att->again_ms = 0;
	if (period_ms == 0 || c->att->is_certificate)
		return;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	c->att->again_ms = now_ms + period_ms - random % (period_ms * JITTER_PERCENT / 100 + 1);
}

static void send_accept(struct chan *c)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n;

	c->att->accepts = true;
	rtls_session_decide(c->tls, RTLS_TRUSTED);
	if (c->att->is_certificate) {
		chan_open(c, CHAN_EV_TRUSTED, CHAN_PROTOCOL_V0);
		return;
	}
	if (attest_put_accept(buf, sizeof(buf), &n) == 0)
		chan_send_control(c, buf, n);
	if (c->state == CHAN_CLOSED)
		return;
	prove(c);
	open_if_both_accept(c);
}

static bool same_grants(const struct appraisal *a, const struct appraisal *b)
{
	if (a->n_prefixes != b->n_prefixes)
		return false;
	for (size_t i = 0; i < a->n_prefixes; i++)
		if (!prefix_equal(&a->prefixes[i], &b->prefixes[i]))
			return false;
	return true;
}

static void on_trusted(struct chan *c, const struct appraisal *verdict)
{
	struct attestation *a = c->att;
	const bool changed = !same_grants(&a->verdict, verdict);
	enum chan_reason why;

	a->verdict = *verdict;
	a->is_proved = true;
	if (!a->accepts) {
		send_accept(c);
		return;
	}
	if (c->state != CHAN_OPEN)
		return;
	why = c->cfg.handler->reattested(c->cfg.owner, c, changed);
	if (why != CHAN_OK)
		chan_close(c, why);
}

static void on_appraised(void *owner, struct span reply, const char *why)
{
	struct appraisal verdict; /* on the stack: threads share what is static */
	struct chan *c = owner;

	c->att->appraising = NULL;
	appraiser_read(reply, why, &verdict);
	if (verdict.result != RTLS_TRUSTED)
		chan_close_detail(c, CHAN_R_UNTRUSTED, verdict.why);
	else
		on_trusted(c, &verdict);
}

/* Judges what is kept as proof. */
static void appraise(struct chan *c)
{
	struct attestation *a = c->att;
	const struct appraiser_question q = {
		.is_stranger = is_stranger(c),
		.report_data = a->is_certificate ? NULL : a->report_data,
		.evidence = SPAN(a->proof, a->n_evidence),
		.endorsements = SPAN(a->proof + a->n_evidence, a->n_endorsements)
	};
	int r;

	job_cancel(a->appraising);
	a->appraising = NULL;
	r = appraiser_submit(c->cfg.trust->appraiser, &q, on_appraised, c, &a->appraising);
	if (r != 0)
		chan_close_detail(c, r > 0 ? CHAN_R_CROWDED : CHAN_R_MEMORY,
				  r > 0 ? "too many strangers to be judged" : "");
}

static bool keep_proof(struct attestation *a, struct span evidence, struct span endorsements)
{
	uint8_t *proof = malloc(evidence.n + endorsements.n);

	if (!proof)
		return false;
	memcpy(proof, evidence.p, evidence.n);
	if (endorsements.n > 0)
		memcpy(proof + evidence.n, endorsements.p, endorsements.n);
	free(a->proof);
	a->proof = proof;
	a->n_evidence = evidence.n;
	a->n_endorsements = endorsements.n;
	return true;
}

static enum chan_reason on_evidence(struct chan *c, struct span body)
{
	struct attestation *a = c->att;
	struct attest_evidence e;

	if (attest_parse_evidence(body, &e) != 0)
		return CHAN_R_CONTROL;
	if (!a->asked || memcmp(e.nonce, a->nonce, sizeof(a->nonce)) != 0)
		return CHAN_R_EVIDENCE;
	a->asked = false;
	a->proved_ms = clock_now_ms();
	schedule_next(c, a->proved_ms);
	if (rtls_session_report_data(c->tls, peer_role(c), a->nonce, sizeof(a->nonce),
				     a->report_data) != 0)
		return CHAN_R_UNTRUSTED;
	if (!keep_proof(a, e.evidence, e.endorsements))
		return CHAN_R_MEMORY;
	appraise(c);
	return CHAN_OK;
}

static enum chan_reason on_accept(struct chan *c, struct span body)
{
	if (attest_parse_accept(body) != 0)
		return CHAN_R_CONTROL;
	if (c->att->accepted)
		return CHAN_R_ACCEPT;
	c->att->accepted = true;
	open_if_both_accept(c);
	return CHAN_OK;
}

void attestation_challenge(struct chan *c)
{
	struct attest_challenge challenge;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct attestation *a = c->att;
	size_t n;

	if (c->state == CHAN_CLOSED || !c->cfg.trust->appraiser)
		return;
	/* Guessable nonces would let a peer make evidence ahead: without random numbers, nothing.
	 */
	if (getrandom(challenge.nonce, sizeof(challenge.nonce), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(challenge.nonce) ||
	    attest_put_challenge(&challenge, buf, sizeof(buf), &n) != 0) {
		chan_close(c, CHAN_R_MEMORY);
		return;
	}
	memcpy(a->nonce, challenge.nonce, sizeof(a->nonce));
	a->asked = true;
	a->asked_ms = clock_now_ms();
	chan_send_control(c, buf, n);
}

void attestation_begin(struct chan *c)
{
	c->att->asked_ms = clock_now_ms();
	if (c->cfg.trust->appraiser)
		return; /* its evidence comes */
	if (c->cfg.trust->unattested)
		send_accept(c);
	else
		chan_close_detail(c, CHAN_R_UNTRUSTED, "no policy for this peer");
}

void attestation_certificate(struct chan *c)
{
	struct attestation *a = c->att;
	struct span der = { 0 };

	a->is_certificate = true;
	a->asked_ms = a->proved_ms = clock_now_ms();
	if (!c->cfg.trust->appraiser) {
		attestation_begin(c);
		return;
	}
	der.p = rtls_session_peer_certificate(c->tls, &der.n);
	if (der.n == 0)
		chan_close_detail(c, CHAN_R_NO_EVIDENCE, "a v0 peer without certificate");
	else if (!keep_proof(a, der, SPAN(NULL, 0)))
		chan_close(c, CHAN_R_MEMORY);
	else
		appraise(c);
}

enum chan_reason attestation_frame(struct chan *c, enum frame_type type, struct span body)
{
	if (!c->att || c->att->is_certificate)
		return CHAN_R_FRAME_TYPE;
	if (type == FRAME_CHALLENGE)
		return on_challenge(c, body);
	return type == FRAME_EVIDENCE ? on_evidence(c, body) : on_accept(c, body);
}

void attestation_tick(struct chan *c, uint64_t now_ms)
{
	struct attestation *a = c->att;
	const bool waiting = a->asked || (c->state == CHAN_APPRAISING && !a->appraising);

	if (waiting && now_ms - a->asked_ms >= CHAN_EVIDENCE_MS)
		chan_close(c, a->asked ? CHAN_R_NO_EVIDENCE : CHAN_R_NOT_ACCEPTED);
	else if (c->state == CHAN_OPEN && a->again_ms != 0 && now_ms >= a->again_ms && !a->asked &&
		 !a->appraising)
		attestation_challenge(c);
}

void attestation_reappraise(struct chan *c)
{
	if (c->att && c->att->proof)
		appraise(c);
}

const struct appraisal *chan_appraisal(const struct chan *c)
{
	return c->att && c->att->is_proved ? &c->att->verdict : NULL;
}

bool chan_may_own(const struct chan *c, const struct prefix *p)
{
	if (c->cfg.plain || (c->cfg.trust->unattested && !c->cfg.trust->appraiser))
		return true;
	if (!c->att || !c->att->is_proved)
		return false;
	for (size_t i = 0; i < c->att->verdict.n_prefixes; i++)
		if (prefix_covers(&c->att->verdict.prefixes[i], p))
			return true;
	return false;
}

void chan_print_peer(const struct chan *c, uint64_t now_ms)
{
	const struct appraisal *v = chan_appraisal(c);

	if (c->cfg.plain) {
		log_info("peer", "peer=%s transport=tcp-plaintext attested=no", c->name);
		return;
	}
	log_info("peer",
		 "peer=%s transport=rats-tls cipher=\"%s\" attested=%s identity=%s tee=%s tcb=%s "
		 "measurement=%s evidence_age_s=%llu",
		 c->name, rtls_session_cipher(c->tls), v ? "yes" : "no",
		 v && v->name[0] ? v->name : "-", v ? v->tee : "-", v && v->tcb[0] ? v->tcb : "-",
		 v && v->measurement[0] ? v->measurement : "-",
		 (unsigned long long)(v ? (now_ms - c->att->proved_ms) / 1000 : 0));
}
