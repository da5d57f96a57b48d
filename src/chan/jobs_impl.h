/* What jobs.c and jobs_remote.c share: a job, and where a job of another thread's goes. */
#ifndef ENG_CHAN_JOBS_IMPL_H
#define ENG_CHAN_JOBS_IMPL_H

#include <sys/queue.h>

#include "chan/jobs.h"

struct remote;

TAILQ_HEAD(job_list, job);

struct job {
	struct jobs *jobs; /* NULL: remote */
	TAILQ_ENTRY(job) link;
	bool is_stranger, cancelled; /* cancelled while under way */
	job_done_fn done;
	void *owner;
	size_t n;	   /* of the request with its head */
	uint8_t request[]; /* WORKER_HEAD bytes for the head first */
};

/* The size of a job with this request, which job_init() fills in. 0: it is too long. */
size_t job_measure(const struct iovec *request, int n);
void job_init(struct job *job, struct jobs *jobs, bool is_stranger, const struct iovec *request,
	      int n, job_done_fn done, void *owner);

MUST_USE int remote_new(struct jobs *j, struct mailbox *home, struct mailbox *here,
			struct remote **out);
void remote_free(struct remote *r);
MUST_USE int remote_submit(struct remote *r, bool is_stranger, const struct iovec *request, int n,
			   job_done_fn done, void *owner, struct job **out);
void remote_cancel(struct job *job);

#endif
