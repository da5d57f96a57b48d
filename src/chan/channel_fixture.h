/* What the tests of a channel over tcp:// share: one over a socket pair, and what is said to it. */
#ifndef ENG_CHAN_CHANNEL_FIXTURE_H
#define ENG_CHAN_CHANNEL_FIXTURE_H

#include "chan/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"
#include "chan/echo_fixture.h"

/* One end is a channel, the other a plain descriptor that the test writes to and reads from. */
struct fixture {
	struct event_base *base;
	struct chan_loop *loop;
	struct chan *c;
	int fd;
	enum chan_reason closed;
	int n_open, n_closed, n_packets, n_batches, n_writable;
	bool holds; /* the channel may not be read */
	struct echo echo;
};

static inline enum chan_reason on_open(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	assert_int_equal(chan_state(c), CHAN_OPEN);
	f->n_open++;
	return CHAN_OK;
}

static inline enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	struct fixture *f = owner;

	(void)c;
	f->n_packets++;
	echo_packet(&f->echo, p);
	return CHAN_OK;
}

static inline enum chan_reason on_routes(void *owner, struct chan *c,
					 const struct control_routes *r)
{
	(void)owner;
	(void)c;
	(void)r;
	return CHAN_OK;
}

static inline void on_batch_end(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	(void)c;
	f->n_batches++;
	echo_flush(&f->echo);
}

static inline bool may_read(void *owner, struct chan *c)
{
	(void)c;
	return !((struct fixture *)owner)->holds;
}

static inline void on_writable(void *owner, struct chan *c)
{
	(void)c;
	((struct fixture *)owner)->n_writable++;
}

static inline void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct fixture *f = owner;

	f->closed = why;
	f->n_closed++;
	if (c == f->c)
		f->c = NULL;
}

static const struct chan_handler handler = {
	.open = on_open,
	.may_read = may_read,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = on_batch_end,
	.writable = on_writable,
	.closed = on_closed,
};

static const struct control_hello own = {
	.version = CONTROL_VERSION,
	.role = CONTROL_ROLE_GATEWAY,
	.node_id = { 1 },
	.name = "gateway",
	.features = CONTROL_FEATURE_GSO,
	.mtu = 65535,
};

static inline struct control_hello agent_hello(void)
{
	struct control_hello h = own;

	h.role = CONTROL_ROLE_AGENT;
	h.node_id[0] = 2;
	h.n_prefixes = 1;
	assert_true(prefix_parse("192.168.0.1/32", false, &h.prefixes[0]));
	return h;
}

static inline int fixture_add(struct fixture *f, const struct chan_config *cfg, struct chan **out)
{
	struct addr peer;
	int fds[2];

	assert_true(addr_parse("192.0.2.1", &peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	if (chan_accept_take_fd(f->loop, cfg, fds[0], &peer, 4711, out) < 0) {
		close(fds[1]);
		return -1;
	}
	return fds[1];
}

static inline struct chan_config config(struct fixture *f)
{
	return (struct chan_config){
		.handler = &handler, .owner = f, .expect = CONTROL_ROLE_AGENT, .plain = true
	};
}

static inline void fixture_start(struct fixture *f)
{
	struct chan_config cfg;

	*f = (struct fixture){ .base = event_base_new() };
	cfg = config(f);
	assert_non_null(f->base);
	assert_int_equal(chan_loop_new(f->base, &own, &f->loop), 0);
	f->fd = fixture_add(f, &cfg, &f->c);
	assert_true(f->fd >= 0);
}

static inline void spin(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static inline void fixture_end(struct fixture *f)
{
	chan_loop_drain(f->loop);
	spin(f);
	close(f->fd);
	assert_int_equal(chan_loop_count(f->loop), 0);
	assert_int_equal(chan_loop_strangers(f->loop), 0);
	chan_loop_free(f->loop);
	event_base_free(f->base);
}

static inline void say(struct fixture *f, const void *bytes, size_t n)
{
	assert_int_equal(write(f->fd, bytes, n), (ssize_t)n);
	spin(f);
}

static inline void say_hello(struct fixture *f)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct control_hello h = agent_hello();
	size_t n;

	assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
	say(f, buf, n);
}

/* A UDP packet of `size` bytes in a frame; returns the frame's size. */
static inline size_t put_packet(uint8_t *out, size_t size)
{
	static const uint8_t head[28] = { 0x45, 0, 0,	0,   0, 0, 0, 0, 64, 17, 0, 0, 192, 168,
					  0,	1, 192, 168, 0, 2, 0, 9, 0,  9,	 0, 0, 0,   0 };
	uint16_t sum;

	assert_true(size >= sizeof(head));
	frame_put_head(out, size);
	memset(out + FRAME_HEAD, 0, size);
	memcpy(out + FRAME_HEAD, head, sizeof(head));
	put_be16(out + FRAME_HEAD + 2, (uint16_t)size);
	put_be16(out + FRAME_HEAD + 24, (uint16_t)(size - 20));
	sum = ip_sum_fold(ip_sum(out + FRAME_HEAD, 20, 0));
	put_be16(out + FRAME_HEAD + 10, sum);
	return FRAME_HEAD + size;
}

/* Reads all that the channel has sent; returns the number of whole frames, -1 if they are broken.
 */
static inline long drain(struct fixture *f, size_t *out_bytes)
{
	static uint8_t buf[16 * 1024 * 1024];
	struct span in, body;
	size_t have = 0;
	long frames = 0;
	ssize_t n;

	do {
		n = read(f->fd, buf + have, sizeof(buf) - have);
		have += n > 0 ? (size_t)n : 0;
		spin(f);
	} while (n > 0);
	in = SPAN(buf, have);
	while (frame_pop(&in, &body) == 0)
		frames++;
	*out_bytes = have;
	return in.n == 0 ? frames : -1;
}

#endif
