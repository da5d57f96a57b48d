/*
 * The server: one poll loop, a buffer a connection. It reads while there is room, writes while
 * there is something, and when the client has closed its half it first returns everything it still
 * holds.
 */
#include "echosvr.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

struct connection {
	int fd;
	bool eof;	   /* the client closed its half */
	size_t start, end; /* what is to be returned */
	uint8_t buf[ECHO_BUFFER];
};

struct server {
	size_t n;
	struct connection *list[ECHO_CONNECTIONS_MAX];
};

static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static int bind_to(const struct addrinfo *a)
{
	CLEANUP(fd_closep) int fd = -1;
	const int on = 1, off = 0;

	fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0)
		return -1;
	return TAKE_FD(fd);
}

/* A listening socket, or -1 after a message. Without a host: both families, or IPv4 alone. */
static int listen_at(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	const char *const any[] = { "::", "0.0.0.0" };
	size_t n_try = host ? 1 : ARRAY_LEN(any);
	int fd = -1, r;

	for (size_t i = 0; i < n_try && fd < 0; i++) {
		struct addrinfo *list = NULL;

		r = getaddrinfo(host ? host : any[i], port, &hints, &list);
		if (r != 0) {
			fprintf(stderr, "echosvr: %s: %s\n", host ? host : any[i], gai_strerror(r));
			return -1;
		}
		for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
			fd = bind_to(a);
		freeaddrinfo(list);
	}
	if (fd < 0)
		fprintf(stderr, "echosvr: listen at %s port %s: %s\n", host ? host : "any", port,
			strerror(errno));
	return fd;
}

static void server_accept(struct server *s, int listener)
{
	struct connection *c;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	c = malloc(sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->eof = false;
	c->start = c->end = 0;
	s->list[s->n++] = c;
}

static void server_drop(struct server *s, size_t i)
{
	close(s->list[i]->fd);
	free(s->list[i]);
	s->list[i] = s->list[--s->n];
}

static bool would_block(ssize_t r)
{
	return r < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Moves what can be moved now; false when the connection is done or broken. */
static bool connection_serve(struct connection *c)
{
	ssize_t r;

	if (c->start == c->end && !c->eof) {
		r = recv(c->fd, c->buf, sizeof(c->buf), 0);
		if (r < 0)
			return would_block(r);
		c->eof = r == 0;
		c->start = 0;
		c->end = (size_t)r;
	}
	if (c->start < c->end) {
		r = send(c->fd, c->buf + c->start, c->end - c->start, MSG_NOSIGNAL);
		if (r < 0)
			return would_block(r);
		c->start += (size_t)r;
	}
	return c->start < c->end || !c->eof;
}

static void server_turn(struct server *s, int listener)
{
	struct pollfd polls[ECHO_CONNECTIONS_MAX + 1];
	size_t n = s->n;

	for (size_t i = 0; i < n; i++) {
		bool full = s->list[i]->start < s->list[i]->end;

		polls[i] =
			(struct pollfd){ .fd = s->list[i]->fd, .events = full ? POLLOUT : POLLIN };
	}
	polls[n] =
		(struct pollfd){ .fd = n < ECHO_CONNECTIONS_MAX ? listener : -1, .events = POLLIN };
	if (poll(polls, n + 1, -1) < 0)
		return;
	/* Backwards: server_drop() moves the last one, already served, into the gap. */
	for (size_t i = n; i-- > 0;)
		if (polls[i].revents && !connection_serve(s->list[i]))
			server_drop(s, i);
	if (polls[n].revents)
		server_accept(s, listener);
}

int echo_server(const struct echo_options *o)
{
	CLEANUP(fd_closep) int listener = listen_at(o->host, o->port);
	struct sigaction sa = { .sa_handler = on_signal };
	struct server s = { .n = 0 };

	if (listener < 0)
		return EXIT_FAILURE;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	fprintf(stderr, "echosvr: listening at %s port %s\n", o->host ? o->host : "any", o->port);
	while (!stopping)
		server_turn(&s, listener);
	while (s.n)
		server_drop(&s, s.n - 1);
	return EXIT_SUCCESS;
}
