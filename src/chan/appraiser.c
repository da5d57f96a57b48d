/*
 * Judging evidence apart from the loop; see appraiser.h.
 *
 * Policy and collateral are loaded by the daemon, so that what is wrong with them is said where the
 * operator reads it, and the worker inherits them: it never opens a file. Request and reply are
 * structs, since both ends are one program; the daemon still reads a reply as one reads a
 * stranger's bytes, because the worker is the process that has seen hostile evidence.
 */
#include "chan/appraiser.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "io/sandbox.h"

enum {
	LIMIT_S = 10, /* of one appraisal: they take milliseconds */
	REPORT_DATA = 64,
};

/* What a worker judges by; shared with its thread where it is one. */
struct rules {
	atomic_int n_refs;
	struct rtls_policy *policy;
	struct rtls_collateral *collateral;
};

struct request {
	int64_t time;
	bool has_report_data;
	uint8_t report_data[REPORT_DATA];
	uint32_t n_evidence, n_endorsements; /* which follow */
};

struct appraiser {
	struct jobs *jobs;
	struct event_base *base;
	struct rules *rules;
	char policy[APPRAISER_PATH_MAX], collateral[APPRAISER_PATH_MAX];
};

static void rules_ref(void *ctx)
{
	struct rules *r = ctx;

	atomic_fetch_add(&r->n_refs, 1);
}

static void rules_unref(void *ctx)
{
	struct rules *r = ctx;

	if (!r || atomic_fetch_sub(&r->n_refs, 1) > 1)
		return;
	rtls_policy_free(r->policy);
	rtls_collateral_free(r->collateral);
	free(r);
}

DEFINE_FREEP(struct rules *, rules_unref)
DEFINE_FREEP(struct rtls_verdict *, rtls_verdict_free)

static int load_collateral(struct rules *r, const char *path, char *message)
{
	int e;

	if (!path || !path[0])
		return 0;
	e = rtls_collateral_new(&r->collateral);
	if (e == 0)
		e = rtls_collateral_load(r->collateral, path);
	if (e == 0)
		e = rtls_collateral_seal(r->collateral);
	if (e < 0)
		snprintf(message, APPRAISER_MESSAGE_MAX, "collateral %s: %s", path, err_text(e));
	return e;
}

static int load(const char *policy, const char *collateral, struct rules **out, char *message)
{
	CLEANUP(rules_unrefp) struct rules *r = calloc(1, sizeof(*r));
	char why[APPRAISER_MESSAGE_MAX / 2] = "";
	int e;

	if (!r)
		return err_new(-ENOMEM);
	r->n_refs = 1;
	e = rtls_policy_load(policy, &r->policy, why, sizeof(why));
	if (e < 0) {
		snprintf(message, APPRAISER_MESSAGE_MAX, "policy %s%s%s", policy,
			 why[0] ? ":" : ": ", why[0] ? why : err_text(e));
		return err_pass(e);
	}
	e = load_collateral(r, collateral[0] ? collateral : rtls_policy_collateral_path(r->policy),
			    message);
	if (e < 0)
		return err_pass(e);
	*out = TAKE(r);
	return 0;
}

static void copy_text(char *to, size_t size, const char *text)
{
	log_quote(text, strlen(text), to, size);
}

/* The claim that says which code it is, whatever the kind of TEE calls it. */
static void put_measurement(const struct rtls_verdict *v, struct appraisal *a)
{
	static const char *const names[] = { "mrenclave", "mrtd", "measurement", "measure",
					     "pcr_digest" };
	struct rtls_claim c;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!rtls_verdict_find(v, names[i], &c) || c.kind != RTLS_CLAIM_BYTES)
			continue;
		for (size_t j = 0; j < c.n_bytes && n + 2 < sizeof(a->measurement); j++)
			n += (size_t)snprintf(a->measurement + n, 3, "%02x", c.bytes[j]);
		return;
	}
}

static void put_prefixes(const struct rules *r, const struct rtls_verdict *v, struct appraisal *a)
{
	uint8_t bytes[16];
	unsigned len;
	size_t n;

	for (size_t i = 0; i < APPRAISAL_PREFIXES_MAX &&
			   rtls_policy_allowed_prefix(r->policy, v, i, bytes, &n, &len);
	     i++) {
		const struct addr addr = n == 4 ? addr_v4(bytes) : addr_v6(bytes);

		a->prefixes[a->n_prefixes++] = prefix_of(&addr, (uint8_t)len);
	}
}

/* A policy that asks for nothing grants everything, to whoever comes first. */
static void put_all_prefixes(struct appraisal *a)
{
	a->prefixes[0] = (struct prefix){ .addr.family = AF_INET };
	a->prefixes[1] = (struct prefix){ .addr.family = AF_INET6 };
	a->n_prefixes = 2;
}

static void describe(const struct rules *r, const struct rtls_verdict *v, struct appraisal *a)
{
	char why[APPRAISAL_WHY_MAX];

	a->result = rtls_verdict_result(v);
	copy_text(a->tee, sizeof(a->tee), rtls_verdict_tee(v));
	copy_text(a->tcb, sizeof(a->tcb), rtls_verdict_tcb_status(v));
	put_measurement(v, a);
	if (a->result == RTLS_TRUSTED) {
		copy_text(a->name, sizeof(a->name), rtls_policy_accepted_as(r->policy, v));
		a->alternative = rtls_verdict_alternative(v);
		a->may_replace = rtls_policy_may_replace(r->policy, v);
		if (rtls_policy_is_insecure(r->policy))
			put_all_prefixes(a);
		else
			put_prefixes(r, v, a);
		return;
	}
	snprintf(why, sizeof(why), "%s: %s", rtls_check_name(rtls_verdict_failed(v)),
		 rtls_verdict_why(v));
	log_sentence(why, strlen(why), a->why, sizeof(a->why));
}

static int judge(const struct rules *r, struct span in, struct appraisal *a)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	struct rtls_context ctx = { .size = sizeof(ctx) };
	struct span evidence, endorsements;
	struct request q;
	int e;

	if (!span_copy(&in, &q, sizeof(q)) || !span_take(&in, q.n_evidence, &evidence) ||
	    !span_take(&in, q.n_endorsements, &endorsements))
		return err_new(-EINVAL);
	ctx.time = q.time;
	if (q.has_report_data) {
		ctx.report_data = q.report_data;
		ctx.report_data_size = REPORT_DATA;
	}
	if (endorsements.n > 0) {
		ctx.endorsements = endorsements.p;
		ctx.endorsements_size = endorsements.n;
	}
	e = rtls_appraise(r->policy, r->collateral, evidence.p, evidence.n, &ctx, &v);
	if (e < 0)
		return err_pass(e);
	describe(r, v, a);
	return 0;
}

static void serve(void *ctx, struct span in, struct wspan *reply)
{
	struct appraisal a = { 0 }; /* on the stack: threads share what is static */
	int e;

	e = judge(ctx, in, &a);
	if (e < 0)
		snprintf(a.why, sizeof(a.why), "the appraisal could not run: %s", err_text(e));
	wspan_put(reply, &a, sizeof(a));
}

static int enter_keeper(void *ctx)
{
	(void)ctx;
	return sandbox_enter(SANDBOX_KEEP_NOTHING);
}

static int enter(void *ctx)
{
	struct rtls_identity *any = NULL;
	int e;

	(void)ctx;
	/* The crypto library opens its configuration at its first use: that must be now. */
	e = rtls_identity_new(&any);
	rtls_identity_free(any);
	return e < 0 ? err_pass(e) : sandbox_filter(SANDBOX_CALLS_COMPUTE);
}

static const struct worker_ops ops = {
	.name = "eng-appraiser",
	.limit_s = LIMIT_S,
	.enter_keeper = enter_keeper,
	.enter = enter,
	.serve = serve,
	.ref = rules_ref,
	.unref = rules_unref,
};

int appraiser_new(struct event_base *base, const char *policy, const char *collateral,
		  struct appraiser **out, char *message)
{
	struct appraiser *a = calloc(1, sizeof(*a));
	int e;

	snprintf(message, APPRAISER_MESSAGE_MAX, "out of memory");
	if (!a)
		return err_new(-ENOMEM);
	a->base = base;
	snprintf(a->policy, sizeof(a->policy), "%s", policy);
	snprintf(a->collateral, sizeof(a->collateral), "%s", collateral ? collateral : "");
	e = load(a->policy, a->collateral, &a->rules, message);
	if (e == 0)
		e = jobs_new(base, &ops, a->rules, &a->jobs);
	if (e < 0) {
		appraiser_free(a);
		return err_pass(e);
	}
	*out = a;
	return 0;
}

int appraiser_remote(struct appraiser *a, struct mailbox *home, struct mailbox *here,
		     struct appraiser **out)
{
	struct appraiser *there = calloc(1, sizeof(*there));
	int e;

	if (!there)
		return err_new(-ENOMEM);
	e = jobs_remote(a->jobs, home, here, &there->jobs);
	if (e < 0) {
		appraiser_free(there);
		return err_pass(e);
	}
	*out = there;
	return 0;
}

void appraiser_free(struct appraiser *a)
{
	if (!a)
		return;
	jobs_free(a->jobs);
	rules_unref(a->rules);
	free(a);
}

int appraiser_reload(struct appraiser *a, char *message)
{
	struct rules *r = NULL;
	int e;

	snprintf(message, APPRAISER_MESSAGE_MAX, "out of memory");
	e = load(a->policy, a->collateral, &r, message);
	if (e < 0)
		return err_pass(e);
	e = jobs_replace(a->jobs, r);
	if (e < 0) { /* no process: the old policy stays, and the next job tries again */
		rules_unref(r);
		snprintf(message, APPRAISER_MESSAGE_MAX, "no worker process: %s", err_text(e));
		return err_pass(e);
	}
	rules_unref(a->rules);
	a->rules = r;
	return 0;
}

bool appraiser_is_insecure(const struct appraiser *a)
{
	return rtls_policy_is_insecure(a->rules->policy);
}

/* A text that ends, and can stand in a line of the log. */
static bool is_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size && text[i]; i++)
		if (i == size - 1 || text[i] < ' ' || text[i] > '~' || text[i] == '"')
			return false;
	return true;
}

/* The same without spaces: a word. */
static bool is_word(const char *text, size_t size)
{
	return is_text(text, size) && !memchr(text, ' ', strlen(text));
}

/* A reply that is not exactly what serve() writes counts as no reply. */
static bool is_sane(const struct appraisal *a)
{
	if (a->may_replace > 1 || a->n_prefixes > APPRAISAL_PREFIXES_MAX ||
	    !is_text(a->why, sizeof(a->why)) || !is_word(a->name, sizeof(a->name)) ||
	    !is_word(a->tee, sizeof(a->tee)) || !is_word(a->tcb, sizeof(a->tcb)) ||
	    !is_word(a->measurement, sizeof(a->measurement)))
		return false;
	for (size_t i = 0; i < a->n_prefixes; i++) {
		const struct prefix *p = &a->prefixes[i];

		if (addr_bits(&p->addr) == 0 || p->len > addr_bits(&p->addr))
			return false;
	}
	return true;
}

void appraiser_read(struct span reply, const char *why, struct appraisal *out)
{
	static const char nonsense[] = "not appraised: nonsense from the worker process";

	*out = (struct appraisal){ 0 };
	if (!reply.p) {
		snprintf(out->why, sizeof(out->why), "not appraised: %s", why);
		return;
	}
	if (reply.n == sizeof(*out)) {
		memcpy(out, reply.p, sizeof(*out));
		if (is_sane(out))
			return;
	}
	*out = (struct appraisal){ 0 };
	memcpy(out->why, nonsense, sizeof(nonsense));
}

int appraiser_submit(struct appraiser *a, const struct appraiser_question *q, job_done_fn done,
		     void *owner, struct job **out)
{
	struct request r = { .time = (int64_t)time(NULL),
			     .has_report_data = q->report_data != NULL,
			     .n_evidence = (uint32_t)q->evidence.n,
			     .n_endorsements = (uint32_t)q->endorsements.n };
	const struct iovec parts[] = { { &r, sizeof(r) },
				       { (void *)(uintptr_t)q->evidence.p, q->evidence.n },
				       { (void *)(uintptr_t)q->endorsements.p,
					 q->endorsements.n } };

	if (q->report_data)
		memcpy(r.report_data, q->report_data, REPORT_DATA);
	return jobs_submit(a->jobs, q->is_stranger, parts, ARRAY_LEN(parts), done, owner, out);
}
