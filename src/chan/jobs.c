/*
 * Jobs for a worker; see jobs.h.
 *
 * The socket to the worker carries one request, then one reply. A request is given up when its time
 * is over; what then still comes for it has an old number and is thrown away. The worker limits
 * itself too (worker.h), so that the one behind a hung one finds a fresh worker.
 */
#include "chan/jobs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "chan/jobs_impl.h"

enum {
	GRACE_MS = 1500, /* beyond the worker's own limit: it should be the first to notice */
	REPLY_MAX = WORKER_HEAD + WORKER_MESSAGE_MAX,
};

struct jobs {
	struct remote *remote; /* NULL: the work is done here, by what follows */
	struct event_base *base;
	const struct worker_ops *ops;
	void *ctx;
	struct worker_handle worker;
	int fd;
	struct event *readable, *writable, *late, *turn;
	struct job_list urgent, strangers;
	size_t n_strangers;
	struct job *now; /* under way */
	uint32_t number; /* of it */
	size_t sent;
	size_t have;	/* of the reply with its head */
	uint8_t *reply; /* REPLY_MAX bytes */
};

static void start_next(struct jobs *j);

static uint32_t head_at(const uint8_t *p, size_t i)
{
	uint32_t v;

	memcpy(&v, p + i * sizeof(v), sizeof(v));
	return v;
}

static void finish(struct jobs *j, struct span reply, const char *why)
{
	struct job *job = j->now;

	j->now = NULL;
	event_del(j->late);
	if (j->writable)
		event_del(j->writable);
	if (!job->cancelled)
		job->done(job->owner, reply, why);
	free(job);
	event_active(j->turn, 0, 0);
}

static void disconnect(struct jobs *j)
{
	if (j->readable)
		event_free(j->readable);
	if (j->writable)
		event_free(j->writable);
	j->readable = j->writable = NULL;
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	j->have = 0;
	worker_end(&j->worker);
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static int connect_worker(struct jobs *j)
{
	int r;

	r = worker_spawn(j->ops, j->ctx, &j->worker, &j->fd);
	if (r < 0)
		return err_pass(r);
	j->readable = event_new(j->base, j->fd, EV_READ | EV_PERSIST, on_readable, j);
	j->writable = event_new(j->base, j->fd, EV_WRITE | EV_PERSIST, on_writable, j);
	if (!j->readable || !j->writable || event_add(j->readable, NULL) < 0) {
		disconnect(j);
		return err_new(-ENOMEM);
	}
	return 0;
}

/* The connection itself is gone: a keeper killed, or a protocol error of the worker. */
static void lose(struct jobs *j)
{
	disconnect(j);
	if (j->now)
		finish(j, SPAN(NULL, 0), "the worker process has ended");
}

static void take_reply(struct jobs *j, uint32_t number, struct span reply)
{
	if (!j->now || (number != j->number && number != WORKER_JOB_DIED))
		return; /* of a job that was given up */
	if (number == WORKER_JOB_DIED)
		finish(j, SPAN(NULL, 0), "the worker process has died at it");
	else
		finish(j, reply, "");
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *j = arg;
	size_t size;
	ssize_t n;

	(void)what;
	n = recv(fd, j->reply + j->have, REPLY_MAX - j->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(j);
		return;
	}
	j->have += (size_t)n;
	while (j->have >= WORKER_HEAD) {
		size = head_at(j->reply, 0);
		if (size > WORKER_MESSAGE_MAX) {
			lose(j);
			return;
		}
		size += WORKER_HEAD;
		if (j->have < size)
			return;
		take_reply(j, head_at(j->reply, 1),
			   SPAN(j->reply + WORKER_HEAD, size - WORKER_HEAD));
		j->have -= size;
		memmove(j->reply, j->reply + size, j->have);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *j = arg;
	ssize_t n;

	(void)what;
	n = send(fd, j->now->request + j->sent, j->now->n - j->sent, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		lose(j);
		return;
	}
	j->sent += (size_t)n;
	if (j->sent == j->now->n)
		event_del(j->writable);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *j = arg;

	(void)fd;
	(void)what;
	if (j->sent < j->now->n || j->have > 0) { /* half a message: nothing can follow it */
		lose(j);
		return;
	}
	finish(j, SPAN(NULL, 0), "no answer from the worker process in time");
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start_next(arg);
}

static struct job *pop(struct jobs *j)
{
	struct job *job = TAILQ_FIRST(&j->urgent);

	if (job) {
		TAILQ_REMOVE(&j->urgent, job, link);
		return job;
	}
	job = TAILQ_FIRST(&j->strangers);
	if (job) {
		TAILQ_REMOVE(&j->strangers, job, link);
		j->n_strangers--;
	}
	return job;
}

static void start_next(struct jobs *j)
{
	const struct timeval limit = { .tv_sec = j->ops->limit_s + GRACE_MS / 1000,
				       .tv_usec = GRACE_MS % 1000 * 1000 };
	uint32_t head[2];

	if (j->now)
		return;
	j->now = pop(j);
	if (!j->now)
		return;
	if (++j->number == WORKER_JOB_DIED)
		j->number++;
	head[0] = (uint32_t)(j->now->n - WORKER_HEAD);
	head[1] = j->number;
	memcpy(j->now->request, head, sizeof(head));
	j->sent = 0;
	if (j->fd < 0 && connect_worker(j) < 0) {
		finish(j, SPAN(NULL, 0), "no worker process could be started");
		return;
	}
	event_add(j->late, &limit);
	event_add(j->writable, NULL);
}

int jobs_new(struct event_base *base, const struct worker_ops *ops, void *ctx, struct jobs **out)
{
	struct jobs *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return err_new(-ENOMEM);
	j->base = base;
	j->ops = ops;
	j->ctx = ctx;
	j->fd = -1;
	TAILQ_INIT(&j->urgent);
	TAILQ_INIT(&j->strangers);
	j->late = event_new(base, -1, 0, on_late, j);
	j->turn = event_new(base, -1, 0, on_turn, j);
	j->reply = malloc(REPLY_MAX);
	r = j->late && j->turn && j->reply ? connect_worker(j) : err_new(-ENOMEM);
	if (r < 0) {
		jobs_free(j);
		return err_pass(r);
	}
	*out = j;
	return 0;
}

void jobs_free(struct jobs *j)
{
	struct job *job;

	if (!j)
		return;
	if (j->remote) {
		remote_free(j->remote);
		free(j);
		return;
	}
	disconnect(j);
	while ((job = pop(j)))
		free(job);
	free(j->now);
	if (j->late)
		event_free(j->late);
	if (j->turn)
		event_free(j->turn);
	free(j->reply);
	free(j);
}

int jobs_remote(struct jobs *j, struct mailbox *home, struct mailbox *here, struct jobs **out)
{
	struct jobs *there = calloc(1, sizeof(*there));
	int r;

	if (!there)
		return err_new(-ENOMEM);
	r = remote_new(j, home, here, &there->remote);
	if (r < 0) {
		free(there);
		return err_pass(r);
	}
	*out = there;
	return 0;
}

int jobs_replace(struct jobs *j, void *ctx)
{
	void *before = j->ctx;
	int r;

	disconnect(j);
	j->ctx = ctx;
	r = connect_worker(j);
	if (r < 0)
		j->ctx = before; /* the next job tries again, and says so if it cannot */
	if (j->now && j->now->cancelled)
		finish(j, SPAN(NULL, 0), "");
	if (j->now) { /* what the old worker had begun */
		j->now->is_stranger = false;
		TAILQ_INSERT_HEAD(&j->urgent, j->now, link);
		j->now = NULL;
		event_del(j->late);
		event_active(j->turn, 0, 0);
	}
	return r;
}

size_t job_measure(const struct iovec *request, int n)
{
	size_t size = WORKER_HEAD;

	for (int i = 0; i < n; i++)
		size += request[i].iov_len;
	return size > WORKER_HEAD + WORKER_MESSAGE_MAX ? 0 : sizeof(struct job) + size;
}

void job_init(struct job *job, struct jobs *jobs, bool is_stranger, const struct iovec *request,
	      int n, job_done_fn done, void *owner)
{
	*job = (struct job){
		.jobs = jobs, .is_stranger = is_stranger, .done = done, .owner = owner
	};
	job->n = WORKER_HEAD;
	for (int i = 0; i < n; i++) {
		if (request[i].iov_len > 0)
			memcpy(job->request + job->n, request[i].iov_base, request[i].iov_len);
		job->n += request[i].iov_len;
	}
}

int jobs_submit(struct jobs *j, bool is_stranger, const struct iovec *request, int n,
		job_done_fn done, void *owner, struct job **out)
{
	struct job *job;
	size_t size;

	if (j->remote)
		return remote_submit(j->remote, is_stranger, request, n, done, owner, out);
	if (is_stranger && j->n_strangers >= JOBS_STRANGERS_MAX)
		return JOBS_E_FULL;
	size = job_measure(request, n);
	if (size == 0)
		return err_new(-EMSGSIZE);
	job = malloc(size);
	if (!job)
		return err_new(-ENOMEM);
	job_init(job, j, is_stranger, request, n, done, owner);
	if (is_stranger) {
		TAILQ_INSERT_TAIL(&j->strangers, job, link);
		j->n_strangers++;
	} else {
		TAILQ_INSERT_TAIL(&j->urgent, job, link);
	}
	event_active(j->turn, 0, 0);
	*out = job;
	return 0;
}

void job_cancel(struct job *job)
{
	struct jobs *j;

	if (!job)
		return;
	j = job->jobs;
	if (!j) {
		remote_cancel(job);
		return;
	}
	if (job == j->now) { /* the worker cannot be stopped in the middle */
		job->cancelled = true;
		return;
	}
	if (job->is_stranger) {
		TAILQ_REMOVE(&j->strangers, job, link);
		j->n_strangers--;
	} else {
		TAILQ_REMOVE(&j->urgent, job, link);
	}
	free(job);
}

/* What came of jobs_ask(): the loop does not run yet, but it is the only one that reads. */
struct answer {
	bool is_there;
	int r;
	void *to;
	size_t size, n;
};

static void on_answer(void *owner, struct span reply, const char *why)
{
	struct answer *a = owner;

	(void)why;
	a->is_there = true;
	if (!reply.p)
		a->r = err_new(-EPIPE);
	else if (reply.n > a->size)
		a->r = err_new(-EMSGSIZE);
	else
		memcpy(a->to, reply.p, a->n = reply.n);
}

int jobs_ask(struct jobs *j, struct span request, void *to, size_t size, size_t *out_n)
{
	struct iovec iov = { (void *)(uintptr_t)request.p, request.n };
	struct answer a = { .to = to, .size = size };
	struct job *job;
	int r;

	r = jobs_submit(j, false, &iov, 1, on_answer, &a, &job);
	if (r != 0)
		return r;
	while (!a.is_there)
		if (event_base_loop(j->base, EVLOOP_ONCE) < 0)
			return err_new(-EIO);
	if (a.r == 0)
		*out_n = a.n;
	return a.r;
}
