/*
 * A long cable: what comes in at one interface goes out at the other, in both directions, after a
 * while, and not faster than it may. For kernels without netem.
 *
 *   delay IFACE1 IFACE2 MICROSECONDS MBIT
 *
 * Each direction is a queue of frames, each with the time when it leaves: when the one before has
 * been sent at MBIT, and MICROSECONDS later. What would have to wait more than QUEUE_US for its
 * turn is dropped, as a router does. Frames keep their offload header (PACKET_VNET_HDR), so that a
 * checksum which the sender left to its device stays left. Says "ready" when it forwards.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAME = 1600, /* bytes: offload header, Ethernet, MTU 1500 */
	SLOTS = 1 << 15,
	QUEUE_US = 50000, /* of waiting for one's turn */
	BURST = 64,	  /* frames in one direction, then the other */
};

struct slot {
	uint64_t due_us;
	uint32_t n;
	uint8_t bytes[FRAME];
};

struct direction {
	int in, out;
	uint32_t head, tail; /* head: next to leave */
	uint64_t free_us;    /* when the wire is free again */
	uint64_t dropped;
	struct slot *slots;
};

static uint64_t delay_us, mbit;

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_iface(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), on = 1, big = 16 << 20;
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name) };

	need(fd >= 0 && a.sll_ifindex > 0, name);
	need(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0, "PACKET_VNET_HDR");
	need(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0,
	     "PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	need(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, name);
	return fd;
}

static void take(struct direction *d)
{
	for (int i = 0; i < BURST; i++) {
		struct slot *s = &d->slots[d->tail % SLOTS];
		uint64_t now;
		ssize_t n;

		if (d->tail - d->head == SLOTS)
			return;
		n = recv(d->in, s->bytes, FRAME, MSG_TRUNC);
		if (n <= 0)
			return;
		now = now_us();
		if (d->free_us < now)
			d->free_us = now;
		if (n > FRAME || d->free_us - now > QUEUE_US) {
			d->dropped++;
			continue;
		}
		d->free_us += (uint64_t)n * 8 / mbit;
		s->due_us = d->free_us + delay_us;
		s->n = (uint32_t)n;
		d->tail++;
	}
}

static void give(struct direction *d, uint64_t now)
{
	for (; d->head != d->tail && d->slots[d->head % SLOTS].due_us <= now; d->head++) {
		const struct slot *s = &d->slots[d->head % SLOTS];

		if (send(d->out, s->bytes, s->n, 0) < 0)
			d->dropped++;
	}
}

/* Microseconds until the next frame has to leave. */
static uint64_t wait_us(const struct direction *d, uint64_t now)
{
	uint64_t due;

	if (d->head == d->tail)
		return 1000000;
	due = d->slots[d->head % SLOTS].due_us;
	return due > now ? due - now : 0;
}

int main(int argc, char **argv)
{
	struct direction d[2];
	struct pollfd polls[2];

	if (argc != 5 || (mbit = strtoull(argv[4], NULL, 10)) == 0) {
		fprintf(stderr, "usage: delay IFACE1 IFACE2 MICROSECONDS MBIT\n");
		return 2;
	}
	delay_us = strtoull(argv[3], NULL, 10);
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (int i = 0; i < 2; i++) {
		polls[i] = (struct pollfd){ .fd = open_iface(argv[1 + i]), .events = POLLIN };
		d[i] = (struct direction){ .slots = calloc(SLOTS, sizeof(struct slot)) };
		need(d[i].slots != NULL, "memory");
	}
	for (int i = 0; i < 2; i++) {
		d[i].in = polls[i].fd;
		d[i].out = polls[1 - i].fd;
	}
	fprintf(stderr, "ready\n");
	for (;;) {
		uint64_t now = now_us(), us = wait_us(&d[0], now), other = wait_us(&d[1], now);
		struct timespec t;

		us = us < other ? us : other;
		t = (struct timespec){ (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
		if (ppoll(polls, 2, &t, NULL) < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < 2; i++) {
			take(&d[i]);
			give(&d[i], now_us());
		}
	}
}
