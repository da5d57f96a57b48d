/* TCP sockets of the hops; see stream.h. */
#include "io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "io/congestion.h"

enum { LISTEN_BACKLOG = 512 /* a thousand agents come back at once after a restart */ };

static void set_int(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, STREAM_DEAD_MS);
	/* For v0 peers, which cannot be asked for a PONG: probe after 5 s, give up after 14. */
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 3);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

int stream_connect(const struct addr *to, uint16_t port, const struct stream_options *o,
		   int *out_fd)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, port, &ss);
	CLEANUP(fd_closep) int fd = -1;

	fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_new(-errno);
	/* Without its mark the link would be captured by its own rules: that one is not a comfort.
	 */
	if (o->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &o->mark, sizeof(o->mark)) < 0)
		return err_new(-errno);
	tune(fd);
	congestion_start(fd, o->congestion);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno; /* an everyday event while the gateway is away */
	*out_fd = TAKE_FD(fd);
	return 0;
}

int stream_connect_result(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return err_new(-errno);
	return -error;
}

static int listen_on(const struct addr *on, uint16_t port, bool v6_only,
		     const struct stream_options *o, int *out_fd)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(on, port, &ss);
	CLEANUP(fd_closep) int fd = -1;

	fd = socket(on->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno; /* no IPv6 on this host: the caller tries IPv4 */
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (on->family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
	congestion_start(fd, o->congestion); /* accepted sockets inherit it */
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	*out_fd = TAKE_FD(fd);
	return 0;
}

int stream_listen(const struct addr *on, uint16_t port, const struct stream_options *o, int *out_fd)
{
	static const uint8_t zero[16];
	struct addr any6 = addr_v6(zero), any4 = addr_v4(zero);
	int r;

	if (on->family != 0)
		return listen_on(on, port, true, o, out_fd);
	r = listen_on(&any6, port, false, o, out_fd);
	if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
		return listen_on(&any4, port, true, o, out_fd);
	return r;
}

static bool is_somebody_there(int listen_fd)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

int stream_accept(int listen_fd, int *out_fd, struct addr *out_peer, uint16_t *out_port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	CLEANUP(fd_closep) int fd = -1;

	fd = accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		const int r = -errno;

		/* accept() looks for a free descriptor first, and then whether somebody is there.
		 */
		if ((r == -EMFILE || r == -ENFILE) && !is_somebody_there(listen_fd))
			return STREAM_E_AGAIN;
		return r == -EAGAIN ? STREAM_E_AGAIN : r;
	}
	if (!addr_from_sockaddr((struct sockaddr *)&ss, out_peer, out_port))
		return err_new(-EAFNOSUPPORT);
	tune(fd);
	*out_fd = TAKE_FD(fd);
	return 0;
}

size_t stream_bound(struct iovec *iov, int *n_iov)
{
	size_t total = 0;

	for (int i = 0; i < *n_iov; i++) {
		if (iov[i].iov_len >= stream_call_max - total) {
			iov[i].iov_len = stream_call_max - total;
			*n_iov = i + 1;
		}
		total += iov[i].iov_len;
	}
	return total;
}

int stream_readv(int fd, struct iovec *iov, int n_iov, size_t *out_n)
{
	ssize_t n = readv(fd, iov, n_iov);

	if (n == 0)
		return STREAM_E_EOF;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? STREAM_E_AGAIN : -errno;
	*out_n = (size_t)n;
	return 0;
}

static int send_once(int fd, struct iovec *iov, int n_iov, size_t *out_n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n_iov };
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? STREAM_E_AGAIN : -errno;
	*out_n = (size_t)n;
	return 0;
}

/* What lies behind the first `skip` bytes, as far as there is room for it. */
static int window(const struct iovec *iov, int n_iov, size_t skip, struct iovec *out, int room)
{
	int n = 0;

	for (int i = 0; i < n_iov && n < room; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		out[n++] =
			(struct iovec){ (uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip };
		skip = 0;
	}
	return n;
}

int stream_sendv(int fd, struct iovec *iov, int n_iov, size_t *out_n)
{
	struct iovec part[STREAM_IOV_MAX];
	size_t sent = 0, size, n = 0;
	int n_part, r;

	if (stream_call_max == SIZE_MAX)
		return send_once(fd, iov, n_iov, out_n);
	while ((n_part = window(iov, n_iov, sent, part, STREAM_IOV_MAX)) > 0) {
		size = stream_bound(part, &n_part);
		r = send_once(fd, part, n_part, &n);
		if (r != 0 && sent == 0)
			return r;
		if (r != 0) /* an error that stays is the next call's */
			break;
		sent += n;
		if (n < size)
			break;
	}
	*out_n = sent;
	return 0;
}

bool stream_bound_queues(int fd, int unsent)
{
	socklen_t len = sizeof(struct tcp_info);
	struct tcp_info info = { 0 };

	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || info.tcpi_rtt == 0 ||
	    info.tcpi_rtt > STREAM_NEAR_US)
		return false;
	set_int(fd, SOL_SOCKET, SO_RCVBUF, STREAM_NEAR_BUF / 2); /* the kernel doubles it */
	return true;
}

void stream_close(int fd, int reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (fd < 0)
		return;
	if (reset)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
