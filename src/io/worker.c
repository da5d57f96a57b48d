/* The serving end of a worker; see worker.h. Blocking reads: it has nothing else to do. */
#include "io/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

static bool read_all(int fd, uint8_t *to, size_t n)
{
	ssize_t got;

	while (n > 0) {
		got = recv(fd, to, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const uint8_t *from, size_t n)
{
	ssize_t put;

	while (n > 0) {
		put = send(fd, from, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		from += put;
		n -= (size_t)put;
	}
	return true;
}

void worker_serve_all(const struct worker_ops *ops, void *ctx, int fd)
{
	uint8_t *request = malloc(WORKER_MESSAGE_MAX);
	uint8_t *reply = malloc(WORKER_HEAD + WORKER_MESSAGE_MAX);
	uint32_t head[2];

	while (request && reply && read_all(fd, (uint8_t *)head, sizeof(head)) &&
	       head[0] <= WORKER_MESSAGE_MAX && read_all(fd, request, head[0])) {
		struct wspan w = WSPAN(reply + WORKER_HEAD, WORKER_MESSAGE_MAX);

		alarm(ops->limit_s); /* its default action ends a hung worker, and only the worker
				      */
		ops->serve(ctx, SPAN(request, head[0]), &w);
		alarm(0);
		head[0] = (uint32_t)(w.overflow ? 0 : w.n);
		memcpy(reply, head, sizeof(head));
		if (!write_all(fd, reply, WORKER_HEAD + head[0]))
			break;
	}
	free(request);
	free(reply);
}

int worker_socketpair(int out[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_new(-errno);
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		int r = err_new(-errno);

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	out[0] = fds[0];
	out[1] = fds[1];
	return 0;
}
