/*
 * The client: sends messages, takes the echo while it still sends (so no size of message can fill
 * both directions and stop), compares every byte, closes its half and expects the server's end of
 * stream right after the last byte. One line reports, and the exit status is 0 only if all is well.
 */
#include "echosvr.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

struct client {
	int fd;
	int timeout_ms;
	uint64_t sent, received;
	bool content_ok;
	const char *error; /* what ended it early, or NULL */
};

/* Byte `at` of the stream: xorshift of the position, so that a lost or moved block is seen. */
static uint8_t pattern(uint64_t at)
{
	uint64_t x = at / 8 + 0x9e3779b97f4a7c15u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint8_t)(x >> (at % 8 * 8));
}

static size_t fill(uint8_t *buf, size_t size, uint64_t at, uint64_t end)
{
	size_t n = end - at < size ? (size_t)(end - at) : size;

	for (size_t i = 0; i < n; i++)
		buf[i] = pattern(at + i);
	return n;
}

/* A socket connected to the first address of the host that answers, or -1 after a message. */
static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int fd = -1, r;

	r = getaddrinfo(host ? host : "127.0.0.1", port, &hints, &list);
	if (r != 0) {
		fprintf(stderr, "echosvr: %s: %s\n", host, gai_strerror(r));
		return -1;
	}
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0)
			fd_closep(&fd);
	}
	if (fd < 0)
		fprintf(stderr, "echosvr: connect to %s port %s: %s\n", host ? host : "127.0.0.1",
			port, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

static bool client_send(struct client *c, uint64_t end)
{
	uint8_t buf[ECHO_BUFFER];
	size_t n = fill(buf, sizeof(buf), c->sent, end);
	ssize_t r = send(c->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r < 0 && errno != EAGAIN && errno != EINTR) {
		c->error = strerror(errno);
		return false;
	}
	c->sent += r > 0 ? (uint64_t)r : 0;
	return true;
}

/* False at the end of the stream or on an error. */
static bool client_receive(struct client *c, uint64_t end)
{
	uint8_t buf[ECHO_BUFFER], want[ECHO_BUFFER];
	ssize_t r = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	size_t n;

	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (r < 0)
		c->error = strerror(errno);
	if (r <= 0)
		return false;
	n = fill(want, (size_t)r, c->received, end);
	if (n < (size_t)r || memcmp(buf, want, n) != 0)
		c->content_ok = false;
	c->received += (uint64_t)r;
	return true;
}

/* Until everything up to `end` went out and came back; false when the connection ended first. */
static bool client_exchange(struct client *c, uint64_t end)
{
	while (c->received < end) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int r;

		if (c->sent < end)
			p.events |= POLLOUT;
		r = poll(&p, 1, c->timeout_ms);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			c->error = r == 0 ? "timeout" : strerror(errno);
			return false;
		}
		if ((p.revents & POLLOUT) && !client_send(c, end))
			return false;
		if ((p.revents & ~POLLOUT) && !client_receive(c, end))
			return false;
	}
	return true;
}

/* Half-closes and waits for the server's end of stream: what still comes is too much. */
static void client_finish(struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	shutdown(c->fd, SHUT_WR);
	do {
		if (poll(&p, 1, c->timeout_ms) == 0) {
			c->error = "timeout: the server does not close";
			return;
		}
	} while (client_receive(c, c->received));
}

int echo_client(const struct echo_options *o)
{
	CLEANUP(fd_closep) int fd = connect_to(o->host, o->port);
	struct client c = { .fd = fd, .timeout_ms = o->timeout_ms, .content_ok = true };
	uint64_t total = (uint64_t)o->size * o->count;
	bool going = true, size_ok;

	if (fd < 0)
		return EXIT_FAILURE;
	for (size_t i = 1; i <= o->count && going; i++)
		going = client_exchange(&c, (uint64_t)o->size * i);
	if (going)
		client_finish(&c);
	if (c.error)
		fprintf(stderr, "echosvr: %s\n", c.error);
	size_ok = c.sent == total && c.received == total;
	printf("sent %llu bytes, received %llu bytes, check size: %s, check content: %s\n",
	       (unsigned long long)c.sent, (unsigned long long)c.received,
	       size_ok ? "ok" : "FAILED", c.content_ok ? "ok" : "FAILED");
	return size_ok && c.content_ok && !c.error ? EXIT_SUCCESS : EXIT_FAILURE;
}
