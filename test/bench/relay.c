/*
 * A relay that does nothing: what comes from one side goes to the other, both ways. The floor of a
 * chain of programs with a TCP connection for each hop.
 *
 *   relay PORT ADDRESS PORT [PORT ADDRESS PORT]...
 *
 * One thread, one epoll, nodelay. What a side does not take is held, and the other one is not read
 * until it has; an end of file ends both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FD_MAX = 1024, BUF = 256 * 1024 };

/* By descriptor. */
static struct side {
	int other;
	struct sockaddr_in onward; /* of a listening one: where its visitors go */
	char *held;		   /* for this side */
	size_t n_held;
} sides[FD_MAX];
static int loop;

static int need(int r, const char *what)
{
	if (r >= 0)
		return r;
	perror(what);
	exit(1);
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port)) };

	need(inet_pton(AF_INET, host, &a.sin_addr) - 1, host);
	return a;
}

static void watch(int fd, int how, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	need(epoll_ctl(loop, how, fd, &e), "epoll_ctl");
}

static void add(int fd, int other)
{
	int on = 1;

	need(fd < FD_MAX ? 0 : -1, "too many connections");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	sides[fd].other = other;
	watch(fd, EPOLL_CTL_ADD, EPOLLIN);
}

static void listen_on(const char *port, const char *host, const char *to)
{
	struct sockaddr_in a = address("0.0.0.0", port);
	int fd = need(socket(AF_INET, SOCK_STREAM, 0), "socket"), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(bind(fd, (struct sockaddr *)&a, sizeof(a)), "bind");
	need(listen(fd, 64), "listen");
	add(fd, -1);
	sides[fd].onward = address(host, to);
}

static void join(int door)
{
	const struct sockaddr_in *to = &sides[door].onward;
	int in = accept(door, NULL, NULL), out = need(socket(AF_INET, SOCK_STREAM, 0), "socket");

	if (in < 0 || connect(out, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		perror("connect");
		close(in);
		close(out);
		return;
	}
	add(in, out);
	add(out, in);
}

static void end(int fd)
{
	free(sides[fd].held);
	sides[fd] = (struct side){ 0 };
	close(fd);
}

/* How much went, 0 if it is full, -1 if it is gone. */
static ssize_t give(int fd, const char *bytes, size_t n)
{
	ssize_t sent = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent < 0 && errno == EAGAIN ? 0 : sent;
}

/* What is held for it wants to leave, and until then nothing more comes from the other one. */
static void look(int fd)
{
	const struct side *s = &sides[fd];

	watch(fd, EPOLL_CTL_MOD, (s->held ? EPOLLOUT : 0) | (sides[s->other].held ? 0 : EPOLLIN));
}

static int hold(int fd, const char *bytes, size_t n)
{
	struct side *s = &sides[fd];

	s->held = malloc(n);
	need(s->held ? 0 : -1, "malloc");
	memcpy(s->held, bytes, n);
	s->n_held = n;
	look(fd);
	look(s->other);
	return 0;
}

/* Each is 0, or -1 if this connection is over. */
static int move(int fd)
{
	static char buf[BUF];
	ssize_t n = read(fd, buf, sizeof(buf)), sent;

	if (n <= 0)
		return -1;
	sent = give(sides[fd].other, buf, (size_t)n);
	if (sent < 0 || sent == n)
		return sent < 0 ? -1 : 0;
	return hold(sides[fd].other, buf + sent, (size_t)(n - sent));
}

static int go_on(int fd)
{
	struct side *s = &sides[fd];
	ssize_t sent = give(fd, s->held, s->n_held);

	if (sent < 0)
		return -1;
	s->n_held -= (size_t)sent;
	memmove(s->held, s->held + sent, s->n_held);
	if (s->n_held > 0)
		return 0;
	free(s->held);
	s->held = NULL;
	look(fd);
	look(s->other);
	return 0;
}

static void serve(int fd, uint32_t events)
{
	int other = sides[fd].other, r = 0;

	if (other < 0) {
		join(fd);
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP))
		r = -1;
	if (r == 0 && events & EPOLLOUT)
		r = go_on(fd);
	if (r == 0 && events & EPOLLIN)
		r = move(fd);
	if (r < 0) {
		end(other);
		end(fd);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event e;

	loop = need(epoll_create1(0), "epoll_create1");
	for (int i = 1; i + 2 < argc; i += 3)
		listen_on(argv[i], argv[i + 1], argv[i + 2]);
	while (epoll_wait(loop, &e, 1, -1) >= 0) /* one at a time: it may end another one, too */
		serve(e.data.fd, e.events);
	return 1;
}
