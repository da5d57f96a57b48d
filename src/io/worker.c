/* The serving end of a worker; see worker.h. Blocking reads: it has nothing else to do. */
#include "io/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

/* A request, and of a stream what came behind it. */
struct input {
	size_t have, used;
	uint8_t bytes[WORKER_HEAD + WORKER_MESSAGE_MAX];
};

/* False: the daemon has closed its end, or what it says makes no sense. */
static bool next_request(int fd, struct input *in, uint32_t head[2])
{
	ssize_t got;

	in->have -= in->used;
	memmove(in->bytes, in->bytes + in->used, in->have);
	in->used = 0;
	for (;;) {
		if (in->have >= WORKER_HEAD) {
			memcpy(head, in->bytes, WORKER_HEAD);
			if (head[0] > WORKER_MESSAGE_MAX)
				return false;
			in->used = WORKER_HEAD + head[0];
			if (in->have >= in->used)
				return true;
		}
		got = recv(fd, in->bytes + in->have, sizeof(in->bytes) - in->have, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		in->have += (size_t)got;
	}
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
	struct input *in = calloc(1, sizeof(*in));
	uint8_t *reply = malloc(WORKER_HEAD + WORKER_MESSAGE_MAX);
	uint32_t head[2];

	while (in && reply && next_request(fd, in, head)) {
		struct wspan w = WSPAN(reply + WORKER_HEAD, WORKER_MESSAGE_MAX);

		worker_limit(ops->limit_s);
		ops->serve(ctx, SPAN(in->bytes + WORKER_HEAD, head[0]), &w);
		worker_limit(0);
		head[0] = (uint32_t)(w.overflow ? 0 : w.n);
		memcpy(reply, head, sizeof(head));
		if (!write_all(fd, reply, WORKER_HEAD + head[0]))
			break;
	}
	free(in);
	free(reply);
}

int worker_socketpair(int type, int out[2])
{
	const int room = 2 * (WORKER_HEAD + WORKER_MESSAGE_MAX);
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return err_new(-errno);
	for (int i = 0; i < 2; i++) /* the default has room for one, if nobody has lowered it */
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
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
