/*
 * Jobs of another thread's; see jobs.h.
 *
 *   here: remote_submit ── asked ──► home: jobs_submit
 *   here: done          ◄─ answered ─ home: the job's own done
 *   here: remote_cancel ── cancelled ► home: job_cancel
 *
 * The mails are parts of the job, so a job may be freed only when none of them is under way: it is
 * counted by the two ways that end separately, question and answer (one mail at a time) and the
 * cancellation. What is `here` does not know how far home is; so whoever cancels is done with it at
 * once, and an answer that comes nevertheless goes nowhere.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "chan/jobs_impl.h"
#include "io/mailbox.h"

struct remote {
	struct jobs *jobs; /* home's */
	struct mailbox *home, *here;
	struct job_list live;
	size_t n_strangers; /* of them */
};

/* Borders between the threads: what only one touches says so. */
struct remote_job {
	atomic_int n_refs;
	struct mail question, cancellation; /* question: and then the answer */
	struct jobs *jobs;		    /* home's */
	struct mailbox *home, *here;
	struct remote *remote; /* here's only; not once it is cancelled */
	struct job *at_home;   /* home's only; NULL: not yet, or not any more */
	/* Of the answer: home's until it is posted, then here's. */
	uint8_t *reply;
	size_t n_reply;
	const char *why;
	struct job job; /* here's; last, for it is as long as its request */
};

static struct remote_job *remote_job_of(struct job *job)
{
	return (struct remote_job *)(void *)((uint8_t *)job - offsetof(struct remote_job, job));
}

static struct remote_job *job_of_question(struct mail *m)
{
	return (struct remote_job *)(void *)((uint8_t *)m - offsetof(struct remote_job, question));
}

static struct remote_job *job_of_cancellation(struct mail *m)
{
	return (struct remote_job *)(void *)((uint8_t *)m -
					     offsetof(struct remote_job, cancellation));
}

static void unref(struct remote_job *j)
{
	if (atomic_fetch_sub(&j->n_refs, 1) > 1)
		return;
	free(j->reply);
	free(j);
}

/* --- here --- */

static void forget(struct remote_job *j)
{
	TAILQ_REMOVE(&j->remote->live, &j->job, link);
	j->remote->n_strangers -= j->job.is_stranger;
}

static void on_answer(struct mail *m, bool dropped)
{
	struct remote_job *j = job_of_question(m);

	if (!dropped && !j->job.cancelled) {
		forget(j);
		j->job.done(j->job.owner, SPAN(j->reply, j->n_reply), j->why);
	}
	unref(j);
}

/* --- home --- */

static void post_answer(struct remote_job *j)
{
	j->at_home = NULL;
	j->question.fn = on_answer;
	mailbox_post(j->here, &j->question);
}

static void on_done(void *owner, struct span reply, const char *why)
{
	struct remote_job *j = owner;

	j->why = why;  /* all reasons are constants */
	if (reply.p) { /* an empty one is a reply */
		j->reply = malloc(reply.n + 1);
		j->n_reply = reply.n;
		if (j->reply)
			memcpy(j->reply, reply.p, reply.n);
		else
			j->why = "out of memory";
	}
	if (!j->reply)
		j->n_reply = 0;
	post_answer(j);
}

static void on_question(struct mail *m, bool dropped)
{
	struct remote_job *j = job_of_question(m);
	const struct iovec iov = { j->job.request + WORKER_HEAD, j->job.n - WORKER_HEAD };
	int r;

	if (dropped) {
		unref(j);
		return;
	}
	r = jobs_submit(j->jobs, j->job.is_stranger, &iov, 1, on_done, j, &j->at_home);
	if (r == 0)
		return;
	j->why = r == JOBS_E_FULL ? "too many wait for the worker process" : "out of memory";
	post_answer(j);
}

/* The question has been here: mails keep their order. */
static void on_cancellation(struct mail *m, bool dropped)
{
	struct remote_job *j = job_of_cancellation(m);

	if (j->at_home) { /* there will be no answer */
		if (!dropped)
			job_cancel(j->at_home);
		unref(j);
	}
	unref(j);
}

/* --- here --- */

int remote_new(struct jobs *jobs, struct mailbox *home, struct mailbox *here, struct remote **out)
{
	struct remote *r = malloc(sizeof(*r));

	if (!r)
		return err_new(-ENOMEM);
	*r = (struct remote){ .jobs = jobs, .home = home, .here = here };
	TAILQ_INIT(&r->live);
	*out = r;
	return 0;
}

void remote_free(struct remote *r)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&r->live)))
		remote_cancel(job);
	free(r);
}

int remote_submit(struct remote *r, bool is_stranger, const struct iovec *request, int n,
		  job_done_fn done, void *owner, struct job **out)
{
	struct remote_job *j;
	size_t size;

	if (is_stranger && r->n_strangers >= JOBS_STRANGERS_MAX)
		return JOBS_E_FULL;
	size = job_measure(request, n);
	if (size == 0)
		return err_new(-EMSGSIZE);
	j = malloc(sizeof(*j) + size);
	if (!j)
		return err_new(-ENOMEM);
	*j = (struct remote_job){ .n_refs = 1,
				  .question.fn = on_question,
				  .cancellation.fn = on_cancellation,
				  .jobs = r->jobs,
				  .home = r->home,
				  .here = r->here,
				  .remote = r,
				  .why = "" };
	job_init(&j->job, NULL, is_stranger, request, n, done, owner);
	TAILQ_INSERT_TAIL(&r->live, &j->job, link);
	r->n_strangers += is_stranger;
	mailbox_post(j->home, &j->question);
	*out = &j->job;
	return 0;
}

void remote_cancel(struct job *job)
{
	struct remote_job *j = remote_job_of(job);

	forget(j);
	job->cancelled = true;
	atomic_fetch_add(&j->n_refs, 1);
	mailbox_post(j->home, &j->cancellation);
}
