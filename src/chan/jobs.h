/*
 * Jobs for a worker (io/worker.h): what the loop hands out and gets back later. One is under way at
 * a time; those of peers that are open go before those of strangers, of which only so many wait.
 * Every job ends in exactly one call of `done`, unless it is cancelled: with a reply, or with the
 * reason why there is none. A worker that is gone or does not answer is a reason, never trust.
 */
#ifndef ENG_CHAN_JOBS_H
#define ENG_CHAN_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "io/worker.h"

struct event_base;
struct job;
struct jobs;
struct mailbox;

enum {
	JOBS_STRANGERS_MAX = 64, /* waiting: half a second of a slow verifier's work */
	JOBS_E_FULL = 1,
};

/* reply.p NULL: there is none, and why says why. Borrowed during the call. */
typedef void (*job_done_fn)(void *owner, struct span reply, const char *why);

/* ops is borrowed for ever, ctx until jobs_free() or jobs_replace(). 0 or -errno. */
MUST_USE int jobs_new(struct event_base *base, const struct worker_ops *ops, void *ctx,
		      struct jobs **out);
void jobs_free(struct jobs *j); /* jobs that are left are dropped without a word */
/* From now on a worker with this ctx does all jobs, those that wait or are under way included. */
MUST_USE int jobs_replace(struct jobs *j, void *ctx);

/*
 * j as another thread sees it: jobs_submit(), job_cancel() and jobs_free() on *out are for the
 * thread that owns `here`, and that is where `done` comes; the work is done by j, in the thread
 * that owns `home`. All three are borrowed, j for as long as mails arrive at home. When no thread
 * runs any more: jobs_free(*out) first, then the mailboxes in any order. A stranger too many in all
 * threads together ends in `done` without a reply. 0 or -errno.
 */
MUST_USE int jobs_remote(struct jobs *j, struct mailbox *home, struct mailbox *here,
			 struct jobs **out);

/*
 * Queues a copy of the request, at most WORKER_MESSAGE_MAX bytes. `done` comes from the loop, never
 * from inside this call. 0, JOBS_E_FULL (a stranger too many), or -errno.
 */
MUST_USE int jobs_submit(struct jobs *j, bool is_stranger, const struct iovec *request, int n,
			 job_done_fn done, void *owner, struct job **out);
void job_cancel(struct job *job); /* NULL is harmless */

/*
 * Before the loop runs: asks and waits for the answer. The reply is copied to `to`. 0, -EPIPE
 * (no answer) or -errno.
 */
MUST_USE int jobs_ask(struct jobs *j, struct span request, void *to, size_t size, size_t *out_n);

#endif
