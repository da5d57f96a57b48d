/*
 * Workers as threads, where there is no fork; see worker.h. It has the rights of the program, whose
 * walls are the enclave's, and it ends when the daemon closes its end of the socket. One that hangs
 * keeps its context and its end for ever, so that nothing is freed under its feet.
 */
#include "io/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "io/thread.h"

struct job {
	const struct worker_ops *ops;
	void *ctx;
	int fd;
};

static void *run(void *arg)
{
	struct job *j = arg;

	if (j->ops->enter(j->ctx) == 0)
		worker_serve_all(j->ops, j->ctx, j->fd);
	close(j->fd);
	j->ops->unref(j->ctx);
	free(j);
	return NULL;
}

int worker_spawn(const struct worker_ops *ops, void *ctx, struct worker_handle *out, int *out_fd)
{
	struct job *j = calloc(1, sizeof(*j));
	pthread_t thread;
	int fds[2], r;

	if (!j)
		return err_new(-ENOMEM);
	r = worker_socketpair(SOCK_STREAM, fds);
	if (r < 0) {
		free(j);
		return err_pass(r);
	}
	*j = (struct job){ .ops = ops, .ctx = ctx, .fd = fds[1] };
	ops->ref(ctx);
	r = thread_start("eng-appraiser", run, j, &thread);
	if (r < 0) {
		ops->unref(ctx);
		close(fds[0]);
		close(fds[1]);
		free(j);
		return err_pass(r);
	}
	pthread_detach(thread);
	*out = (struct worker_handle){ .pid = 0 };
	*out_fd = fds[0];
	return 0;
}

void worker_end(struct worker_handle *h)
{
	h->pid = 0; /* the thread ends by itself once the daemon has closed its end */
}

void worker_exit(int status)
{
	_exit(status);
}

void worker_limit(unsigned seconds)
{
	(void)seconds; /* a signal would end the daemon with it; the daemon gives the request up */
}
