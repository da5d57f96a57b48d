/*
 * Making evidence apart from the loop; see prover.h.
 *
 * A request is 64 bytes of report data, an empty one asks whether the attester is there. A reply is
 * u32 sizes of evidence and endorsements and then both, or sizes of zero and a line of text. The
 * attester is opened by the worker before its first answer, and again by each worker that follows a
 * dead one.
 */
#include "chan/prover.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "io/sandbox.h"

enum {
	LIMIT_S = 25, /* of one quote: the first of a fresh enclave takes ten seconds and more */
	REPLY_HEAD = 8,
};

struct prover {
	atomic_int n_refs;
	struct jobs *jobs;
	char name[PROVER_NAME_MAX], options[PROVER_OPTIONS_MAX];
	bool with_endorsements;
	/* The worker's own. */
	struct rtls_attester *attester;
	char why_not[PROVER_MESSAGE_MAX];
};

static void prover_ref(void *ctx)
{
	struct prover *p = ctx;

	atomic_fetch_add(&p->n_refs, 1);
}

static void prover_unref(void *ctx)
{
	struct prover *p = ctx;

	if (atomic_fetch_sub(&p->n_refs, 1) == 1) {
		rtls_attester_close(p->attester);
		free(p);
	}
}

static int enter_keeper(void *ctx)
{
	(void)ctx;
	return sandbox_enter(SANDBOX_KEEP_USER);
}

static int enter(void *ctx)
{
	(void)ctx;
	return sandbox_filter(SANDBOX_CALLS_DEVICES);
}

static bool is_open(struct prover *p)
{
	int r;

	if (p->attester)
		return true;
	r = rtls_attester_open(p->name, p->options[0] ? p->options : NULL, &p->attester, p->why_not,
			       sizeof(p->why_not));
	if (r < 0 && !p->why_not[0])
		snprintf(p->why_not, sizeof(p->why_not), "%s", err_text(r));
	return r == 0;
}

static void put_failure(struct wspan *reply, const char *text)
{
	static const uint32_t none[2] = { 0, 0 };

	wspan_put(reply, none, sizeof(none));
	wspan_put(reply, text, strlen(text));
}

static void put_evidence(struct wspan *reply, const void *evidence, size_t n,
			 const void *endorsements, size_t n_endorsements)
{
	const uint32_t sizes[2] = { (uint32_t)n, (uint32_t)n_endorsements };

	wspan_put(reply, sizes, sizeof(sizes));
	wspan_put(reply, evidence, n);
	if (n_endorsements > 0)
		wspan_put(reply, endorsements, n_endorsements);
}

static void quote(struct prover *p, const uint8_t *report_data, struct wspan *reply)
{
	void *evidence = NULL, *endorsements = NULL;
	char why[PROVER_MESSAGE_MAX] = "";
	size_t n = 0, n_endorsements = 0;
	int r;

	r = rtls_attester_evidence(p->attester, report_data, &evidence, &n, why, sizeof(why));
	if (r == 0 && p->with_endorsements)
		r = rtls_attester_endorsements(p->attester, &endorsements, &n_endorsements);
	if (r < 0) { /* a device that has gone may come back: opened anew for the next */
		put_failure(reply, why[0] ? why : err_text(r));
		rtls_attester_close(p->attester);
		p->attester = NULL;
	} else if (n == 0 || n > ATTEST_PART_MAX || n_endorsements > ATTEST_PART_MAX ||
		   n + n_endorsements > FRAME_MAX - FRAME_CONTROL_MAX) {
		put_failure(reply, "evidence and endorsements are too large for a frame");
	} else {
		put_evidence(reply, evidence, n, endorsements, n_endorsements);
	}
	free(evidence);
	free(endorsements);
}

static void serve(void *ctx, struct span request, struct wspan *reply)
{
	struct prover *p = ctx;

	if (!is_open(p))
		put_failure(reply, p->why_not);
	else if (request.n == PROVER_REPORT_DATA)
		quote(p, request.p, reply);
}

static void leave(void *ctx)
{
	struct prover *p = ctx;

	rtls_attester_close(p->attester);
	p->attester = NULL;
}

static const struct worker_ops ops = {
	.name = "eng-prover",
	.limit_s = LIMIT_S,
	.enter_keeper = enter_keeper,
	.enter = enter,
	.serve = serve,
	.leave = leave,
	.ref = prover_ref,
	.unref = prover_unref,
};

static int parse(const char *spec, struct prover *p, char *message)
{
	const char *colon = strchr(spec, ':');
	const size_t n = colon ? (size_t)(colon - spec) : strlen(spec);

	if (n == 0 || n >= sizeof(p->name) || (colon && strlen(colon + 1) >= sizeof(p->options))) {
		snprintf(message, PROVER_MESSAGE_MAX, "write NAME or NAME:key=value,...");
		return err_new(-EINVAL);
	}
	memcpy(p->name, spec, n);
	if (colon)
		snprintf(p->options, sizeof(p->options), "%s", colon + 1);
	return 0;
}

/* Whether the worker can open the attester: a daemon that could never prove itself must not start.
 */
static int ask_whether_open(struct prover *p, char *message)
{
	uint8_t reply[REPLY_HEAD + PROVER_MESSAGE_MAX];
	size_t n = 0;
	int r;

	r = jobs_ask(p->jobs, SPAN(NULL, 0), reply, sizeof(reply), &n);
	if (r < 0)
		snprintf(message, PROVER_MESSAGE_MAX, "the attester's process does not answer");
	if (r == 0 && n >= REPLY_HEAD) {
		log_sentence((const char *)reply + REPLY_HEAD, n - REPLY_HEAD, message,
			     PROVER_MESSAGE_MAX);
		return err_new(-ENODEV);
	}
	return r;
}

int prover_new(struct event_base *base, const char *spec, bool with_endorsements,
	       struct prover **out, char *message)
{
	struct prover *p = calloc(1, sizeof(*p));
	int r;

	snprintf(message, PROVER_MESSAGE_MAX, "out of memory");
	if (!p)
		return err_new(-ENOMEM);
	p->n_refs = 1;
	p->with_endorsements = with_endorsements;
	r = parse(spec, p, message);
	if (r == 0)
		r = jobs_new(base, &ops, p, &p->jobs);
	if (r == 0)
		r = ask_whether_open(p, message);
	if (r < 0) {
		prover_free(p);
		return err_pass(r);
	}
	*out = p;
	return 0;
}

int prover_remote(struct prover *p, struct mailbox *home, struct mailbox *here, struct prover **out)
{
	struct prover *there = calloc(1, sizeof(*there));
	int r;

	if (!there)
		return err_new(-ENOMEM);
	there->n_refs = 1;
	memcpy(there->name, p->name, sizeof(there->name));
	r = jobs_remote(p->jobs, home, here, &there->jobs);
	if (r < 0) {
		prover_free(there);
		return err_pass(r);
	}
	*out = there;
	return 0;
}

void prover_free(struct prover *p)
{
	if (!p)
		return;
	jobs_free(p->jobs);
	prover_unref(p);
}

const char *prover_name(const struct prover *p)
{
	return p->name;
}

int prover_submit(struct prover *p, bool is_stranger, const uint8_t report_data[PROVER_REPORT_DATA],
		  job_done_fn done, void *owner, struct job **out)
{
	const struct iovec iov = { (void *)(uintptr_t)report_data, PROVER_REPORT_DATA };

	return jobs_submit(p->jobs, is_stranger, &iov, 1, done, owner, out);
}

bool prover_read(struct span reply, const char *why, struct span *out_evidence,
		 struct span *out_endorsements, char *message)
{
	uint32_t sizes[2];

	snprintf(message, PROVER_MESSAGE_MAX, "%s", why);
	if (!reply.p)
		return false;
	snprintf(message, PROVER_MESSAGE_MAX, "nonsense from the attester's process");
	if (!span_copy(&reply, sizes, sizeof(sizes)))
		return false;
	if (sizes[0] == 0) {
		log_sentence((const char *)reply.p, reply.n, message, PROVER_MESSAGE_MAX);
		return false;
	}
	return sizes[0] <= ATTEST_PART_MAX && sizes[1] <= ATTEST_PART_MAX &&
	       span_take(&reply, sizes[0], out_evidence) &&
	       span_take(&reply, sizes[1], out_endorsements) && reply.n == 0;
}

int prover_ask(struct prover *p, const uint8_t report_data[PROVER_REPORT_DATA],
	       uint8_t buf[WORKER_MESSAGE_MAX], struct span *out_evidence,
	       struct span *out_endorsements, char *message)
{
	size_t n = 0;
	int r;

	r = jobs_ask(p->jobs, SPAN(report_data, PROVER_REPORT_DATA), buf, WORKER_MESSAGE_MAX, &n);
	if (r < 0) {
		snprintf(message, PROVER_MESSAGE_MAX, "the attester's process does not answer");
		return err_pass(r);
	}
	if (!prover_read(SPAN(buf, n), "", out_evidence, out_endorsements, message))
		return err_new(-EIO);
	return 0;
}
