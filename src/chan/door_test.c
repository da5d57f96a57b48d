/*
 * Strangers at the door: while packets move they are heard one at a time, in the order of their
 * arrival, for a share of the time; nobody is let in who would only wait; and what they wait for is
 * not held against them. The clock is the test's.
 */
#include "chan/door.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "chan/internal.h"

enum { N = 20, MAX = DOOR_STRANGERS_MAX + 3 };

static uint64_t now_us, reading_takes_us;

uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_ms(void);

uint64_t __wrap_clock_now_us(void)
{
	now_us += reading_takes_us;
	return now_us;
}

uint64_t __wrap_clock_now_ms(void)
{
	return now_us / 1000;
}

struct fixture {
	struct event_base *base;
	struct chan_loop *loop;
	struct chan *peer, *strangers[N];
	int peer_fd, fds[N];
	char opened[N + 1]; /* whose ports, in that order */
	size_t n_open, n_packets, n_closed;
	enum chan_reason closed;
};

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct fixture *f = owner;

	assert_true(f->n_open <= N);
	f->opened[f->n_open++] = (char)atoi(strchr(chan_name(c), ':') + 1);
	return CHAN_OK;
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	(void)c;
	(void)p;
	((struct fixture *)owner)->n_packets++;
	return CHAN_OK;
}

static void on_batch_end(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct fixture *f = owner;

	(void)c;
	f->closed = why;
	f->n_closed++;
}

static const struct chan_handler handler = {
	.open = on_open,
	.packet = on_packet,
	.batch_end = on_batch_end,
	.writable = on_batch_end,
	.closed = on_closed,
};

static const struct control_hello own = {
	.version = CONTROL_VERSION, .role = CONTROL_ROLE_GATEWAY, .node_id = { 1 }, .mtu = 65535
};

static struct chan_config config(struct fixture *f)
{
	return (struct chan_config){
		.handler = &handler, .owner = f, .expect = CONTROL_ROLE_AGENT, .plain = true
	};
}

static int come(struct fixture *f, uint16_t port, struct chan **out)
{
	struct chan_config cfg = config(f);
	struct addr peer;
	int fds[2];

	assert_true(addr_parse("192.0.2.1", &peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(chan_accept_take_fd(f->loop, &cfg, fds[0], &peer, port, out), 0);
	return fds[1];
}

/* One look at the sockets, and what follows from it. */
static void turn(struct fixture *f)
{
	assert_true(event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

static void say_hello(int fd, int who)
{
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	struct control_hello h = own;
	size_t n;

	h.role = CONTROL_ROLE_AGENT;
	h.node_id[0] = (uint8_t)who;
	h.n_prefixes = 1;
	assert_true(prefix_parse("192.168.0.1/32", false, &h.prefixes[0]));
	assert_int_equal(control_put_hello(&h, buf, sizeof(buf), &n), 0);
	assert_int_equal(write(fd, buf, n), (ssize_t)n);
}

static void say_packet(struct fixture *f)
{
	uint8_t frame[FRAME_HEAD + 28] = { 0, 0,  0,  28, 0x45, 0,   0,	  28, 0, 0,   0,
					   0, 64, 17, 0,  0,	192, 168, 0,  1, 192, 168,
					   0, 2,  0,  9,  0,	9,   0,	  8,  0, 0 };
	uint16_t sum = ip_sum_fold(ip_sum(frame + FRAME_HEAD, 20, 0));

	put_be16(frame + FRAME_HEAD + 10, sum);
	assert_int_equal(write(f->peer_fd, frame, sizeof(frame)), sizeof(frame));
}

/* One peer is open; nobody has sent a packet yet. */
static void fixture_start(struct fixture *f)
{
	now_us = 1000000;
	reading_takes_us = 0;
	*f = (struct fixture){ .base = event_base_new() };
	assert_non_null(f->base);
	assert_int_equal(chan_loop_new(f->base, &own, &f->loop), 0);
	f->peer_fd = come(f, 99, &f->peer);
	say_hello(f->peer_fd, 99);
	turn(f);
	assert_int_equal(chan_state(f->peer), CHAN_OPEN);
	f->n_open = 0;
}

static void fixture_strangers(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->fds[i] = come(f, (uint16_t)(i + 1), &f->strangers[i]);
}

/* Packets move, and strangers have had more than their share. */
static void be_busy(struct fixture *f)
{
	say_packet(f);
	turn(f);
	assert_false(share_may(&f->loop->share, now_us, f->loop->n_packets) &&
		     f->loop->share.saved_us <= 0);
	share_spend(&f->loop->share, SHARE_BURST_US + 100);
	assert_false(share_may(&f->loop->share, now_us, f->loop->n_packets));
}

/* Until the timer of the waiting has come, whose clock is the real one. */
static void let_time_pass(struct fixture *f, uint64_t us)
{
	now_us += us;
	while (!TAILQ_EMPTY(&f->loop->waiting))
		assert_true(event_base_loop(f->base, EVLOOP_ONCE) >= 0);
}

static void fixture_end(struct fixture *f)
{
	chan_loop_drain(f->loop);
	for (int i = 0; i < 5; i++)
		turn(f);
	for (size_t i = 0; i < N && f->fds[i] > 0; i++)
		close(f->fds[i]);
	close(f->peer_fd);
	assert_int_equal(chan_loop_count(f->loop), 0);
	assert_int_equal(chan_loop_strangers(f->loop), 0);
	chan_loop_free(f->loop);
	event_base_free(f->base);
}

static void one_at_a_time_between_the_packets(void **state)
{
	uint64_t begin_us, heard_us = 0, step_us;
	size_t n_turns, had;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	fixture_strangers(&f, N);
	be_busy(&f);
	for (int i = 0; i < N; i++)
		say_hello(f.fds[i], i + 2);
	reading_takes_us = 50;
	begin_us = now_us;
	for (n_turns = 0; f.n_open < N; n_turns++) {
		had = f.n_open;
		step_us = now_us;
		say_packet(&f);
		turn(&f);
		assert_int_equal(f.n_packets, n_turns + 2); /* none waits for a second stranger */
		assert_true(f.n_open - had <= 1);
		if (f.n_open > had)
			heard_us += now_us - step_us;
	}
	assert_true(n_turns > N);
	assert_true(heard_us < (now_us - begin_us) / 2);
	fixture_end(&f);
}

static void an_idle_loop_hears_one_a_turn(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f);
	fixture_strangers(&f, N);
	for (int i = 0; i < N; i++)
		say_hello(f.fds[i], i + 2);
	reading_takes_us = 1000;
	for (size_t i = 1; i <= N; i++) {
		turn(&f);
		assert_int_equal(f.n_open, i);
	}
	fixture_end(&f);
}

static void who_came_first_is_heard_first(void **state)
{
	static const uint8_t order[] = { 3, 1, 0, 2 };
	struct fixture f;

	(void)state;
	fixture_start(&f);
	fixture_strangers(&f, 4);
	be_busy(&f);
	for (size_t i = 0; i < sizeof(order); i++) {
		say_hello(f.fds[order[i]], order[i] + 2);
		turn(&f);
	}
	assert_int_equal(f.n_open, 0);
	chan_close(f.strangers[1], CHAN_R_CROWDED); /* and who waits may go */
	let_time_pass(&f, SHARE_QUIET_US);
	assert_string_equal(f.opened, "\1\3\4");
	fixture_end(&f);
}

static void to_wait_for_us_is_not_silence(void **state)
{
	const uint64_t limit_us = (uint64_t)CHAN_HANDSHAKE_MS * 1000;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	fixture_strangers(&f, 3); /* who says everything, half of it, nothing */
	be_busy(&f);
	say_hello(f.fds[0], 2);
	assert_int_equal(write(f.fds[1], "\0\0", 2), 2);
	turn(&f);
	now_us += limit_us;
	for (size_t i = 0; i < 3; i++)
		chan_tick(f.strangers[i], now_us / 1000);
	turn(&f);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.closed, CHAN_R_SILENT);
	let_time_pass(&f, 0);
	assert_string_equal(f.opened, "\1");
	chan_tick(f.strangers[1], now_us / 1000); /* it has as long as everybody, from now on */
	turn(&f);
	assert_int_equal(f.n_closed, 1);
	chan_tick(f.strangers[1], (now_us + limit_us) / 1000);
	turn(&f);
	assert_int_equal(f.n_closed, 2);
	fixture_end(&f);
}

static void who_is_trusted_meanwhile_is_no_stranger(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f);
	fixture_strangers(&f, 1);
	be_busy(&f);
	assert_int_equal(write(f.fds[0], "\0\0\0\0", 4), 4);
	turn(&f);
	assert_int_equal(f.n_closed, 0);
	chan_open(f.strangers[0], CHAN_EV_PLAIN_PEER, CHAN_PROTOCOL_V0);
	turn(&f);
	turn(&f);
	assert_int_equal(f.closed, CHAN_R_EMPTY_FRAME); /* it was read */
	fixture_end(&f);
}

static int listener(struct sockaddr_in *out)
{
	socklen_t n = sizeof(*out);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*out = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)out, n), 0);
	assert_int_equal(listen(fd, MAX), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)out, &n), 0);
	return fd;
}

static int knock(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)at, sizeof(*at)), 0);
	return fd;
}

/* Where the door leads. */
struct inside {
	struct chan_loop *loop;
	struct chan_config cfg;
	size_t n_full; /* how often others were asked to make room */
};

static void take_in(void *owner, int fd, const struct addr *from, uint16_t port)
{
	struct inside *in = owner;

	assert_int_equal(door_let_in_take_fd(in->loop, &in->cfg, fd, from, port), 0);
}

static void on_full(void *owner)
{
	((struct inside *)owner)->n_full++;
}

static const struct door_handler leads_in = { .take = take_in, .full = on_full };

/* A fixture with a door to it, and where that is. */
static struct door *fixture_door(struct fixture *f, struct inside *in, struct sockaddr_in *at)
{
	struct door *d;

	fixture_start(f);
	*in = (struct inside){ .loop = f->loop, .cfg = config(f) };
	assert_int_equal(door_new_take_fd(f->loop, listener(at), &leads_in, in, &d), 0);
	return d;
}

static void nobody_is_let_in_to_wait(void **state)
{
	struct sockaddr_in at;
	struct inside in;
	struct fixture f;
	struct door *d;
	int guest;

	(void)state;
	d = fixture_door(&f, &in, &at);
	be_busy(&f);
	guest = knock(&at);
	for (int i = 0; i < 5; i++)
		turn(&f);
	assert_int_equal(chan_loop_strangers(f.loop), 0); /* there is no time for anybody */
	now_us += SHARE_QUIET_US;
	while (chan_loop_strangers(f.loop) == 0)
		assert_true(event_base_loop(f.base, EVLOOP_ONCE) >= 0);
	close(guest);
	door_free(d);
	fixture_end(&f);
}

static void who_has_been_there_longest_gives_way(void **state)
{
	struct sockaddr_in at;
	struct inside in;
	struct fixture f;
	struct door *d;
	int guests[MAX];

	(void)state;
	d = fixture_door(&f, &in, &at);
	for (size_t i = 0; i < MAX; i++)
		guests[i] = knock(&at);
	for (size_t i = 0; i < MAX; i++)
		turn(&f);
	assert_int_equal(f.n_closed, MAX - DOOR_STRANGERS_MAX);
	assert_int_equal(chan_loop_strangers(f.loop), DOOR_STRANGERS_MAX);
	assert_int_equal(f.closed, CHAN_R_CROWDED);
	door_free(d);
	fixture_end(&f);
	for (size_t i = 0; i < MAX; i++)
		close(guests[i]);
}

/* The process may open no more; *out_before is for getting that back. */
static void take_descriptors(struct rlimit *out_before)
{
	struct rlimit none;
	const int next = dup(0);

	assert_true(next > 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, out_before), 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = out_before->rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void without_descriptors_the_door_is_shut_for_a_moment(void **state)
{
	struct rlimit before;
	struct sockaddr_in at;
	struct inside in;
	struct fixture f;
	struct door *d;
	int guest;

	(void)state;
	d = fixture_door(&f, &in, &at);
	guest = knock(&at);
	take_descriptors(&before);
	for (int i = 0; i < 100; i++)
		turn(&f);
	assert_int_equal(in.n_full, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (chan_loop_strangers(f.loop) == 0) /* it waits outside, and is seen again */
		assert_true(event_base_loop(f.base, EVLOOP_ONCE) >= 0);
	assert_int_equal(f.n_closed, 0);
	close(guest);
	door_free(d);
	fixture_end(&f);
}

static void for_the_last_descriptor_a_stranger_gives_way(void **state)
{
	struct rlimit before;
	struct sockaddr_in at;
	struct inside in;
	struct fixture f;
	struct door *d;
	int guests[2];

	(void)state;
	d = fixture_door(&f, &in, &at);
	guests[0] = knock(&at);
	for (int i = 0; i < 5; i++)
		turn(&f);
	assert_int_equal(chan_loop_strangers(f.loop), 1);
	guests[1] = knock(&at);
	take_descriptors(&before);
	for (int i = 0; i < 5; i++)
		turn(&f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(in.n_full, 0);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.closed, CHAN_R_CROWDED);
	assert_int_equal(chan_loop_strangers(f.loop), 1);
	door_free(d);
	fixture_end(&f);
	for (size_t i = 0; i < ARRAY_LEN(guests); i++)
		close(guests[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time_between_the_packets),
		cmocka_unit_test(an_idle_loop_hears_one_a_turn),
		cmocka_unit_test(who_came_first_is_heard_first),
		cmocka_unit_test(to_wait_for_us_is_not_silence),
		cmocka_unit_test(who_is_trusted_meanwhile_is_no_stranger),
		cmocka_unit_test(nobody_is_let_in_to_wait),
		cmocka_unit_test(who_has_been_there_longest_gives_way),
		cmocka_unit_test(without_descriptors_the_door_is_shut_for_a_moment),
		cmocka_unit_test(for_the_last_descriptor_a_stranger_gives_way),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
