/*
 * A device of several queues in a network namespace of its own: who gets what the kernel sends,
 * while queues come and go.
 */
#include "io/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

enum { N_QUEUES = 3, N_FLOWS = 60, PORT = 1000 };

static uint8_t buf[TUN_VNET_HDR + TUN_PACKET_MAX];

/* An address and a route, and up. */
static void configure(const struct tun *t)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *sa = (struct sockaddr_in *)(void *)&ifr.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", tun_name(t));
	sa->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, "10.0.0.1", &sa->sin_addr), 1);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	assert_int_equal(inet_pton(AF_INET, "255.0.0.0", &sa->sin_addr), 1);
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &ifr), 0);
	ifr.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* One datagram of each flow. */
static void send_all(int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, "10.0.0.2", &to.sin_addr), 1);
	for (int i = 0; i < N_FLOWS; i++) {
		to.sin_port = htons((uint16_t)(PORT + i));
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	}
}

/* Which queue each flow came to; how many came. */
static int collect(struct tun *t, unsigned attached, int out_queue[N_FLOWS])
{
	int n_got = 0, flow;
	ssize_t n;

	for (int i = 0; i < N_QUEUES; i++) {
		if (!(attached & 1u << i))
			continue;
		while ((n = tun_read(tun_queue(t, (size_t)i), buf, sizeof(buf))) > 0) {
			if (n != TUN_VNET_HDR + 29 || buf[TUN_VNET_HDR] != 0x45)
				continue; /* the kernel has something to say of its own */
			flow = (buf[TUN_VNET_HDR + 22] << 8 | buf[TUN_VNET_HDR + 23]) - PORT;
			assert_in_range(flow, 0, N_FLOWS - 1);
			out_queue[flow] = i;
			n_got++;
		}
		assert_int_equal(n, 0);
	}
	return n_got;
}

static void flows_keep_to_the_queues_that_are_attached(void **state)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), first[N_FLOWS], again[N_FLOWS];
	const unsigned all = (1u << N_QUEUES) - 1;
	unsigned seen = 0;
	struct tun *t;

	(void)state;
	assert_int_equal(tun_new("eng-test", TUN_OFFLOAD_CSUM, N_QUEUES, &t), 0);
	configure(t);
	send_all(fd);
	assert_int_equal(collect(t, 1, first), N_FLOWS); /* at first there is only one */
	for (size_t i = 0; i < N_QUEUES; i++) {
		assert_int_equal(tun_queue_attach(tun_queue(t, i)), 0);
		assert_int_equal(tun_queue_attach(tun_queue(t, i)), 0);
	}
	send_all(fd);
	assert_int_equal(collect(t, all, first), N_FLOWS);
	send_all(fd);
	assert_int_equal(collect(t, all, again), N_FLOWS);
	for (int i = 0; i < N_FLOWS; i++) {
		assert_int_equal(first[i], again[i]);
		seen |= 1u << first[i];
	}
	assert_int_equal(seen, all);
	assert_int_equal(tun_queue_detach(tun_queue(t, 1)), 0);
	assert_int_equal(tun_queue_detach(tun_queue(t, 1)), 0);
	send_all(fd);
	assert_int_equal(collect(t, all & ~2u, again), N_FLOWS);
	tun_free(t);
	close(fd);
}

static void one_queue_is_an_ordinary_device(void **state)
{
	struct ifreq ifr = { 0 };
	struct tun *t, *other;

	(void)state;
	assert_int_equal(tun_new("eng-test", TUN_OFFLOAD_CSUM, 1, &t), 0);
	assert_int_equal(tun_offloads(t), TUN_OFFLOAD_CSUM);
	assert_int_equal(tun_new("eng-test", 0, 1, &other), -EBUSY);
	assert_int_equal(tun_new("eng-test", 0, 2, &other), -EBUSY);
	assert_int_equal(tun_new("", 0, 1, &other), -EINVAL);
	assert_int_equal(tun_new("sixteen-letters-", 0, 1, &other), -EINVAL);
	assert_int_equal(ioctl(tun_queue_fd(tun_queue(t, 0)), TUNGETIFF, &ifr), 0);
	assert_int_equal(ifr.ifr_flags & IFF_MULTI_QUEUE, 0);
	assert_int_equal(tun_read(tun_queue(t, 0), buf, sizeof(buf)), 0);
	tun_free(t);
	tun_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_queue_is_an_ordinary_device),
		cmocka_unit_test(flows_keep_to_the_queues_that_are_attached),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "no network namespace, or no TUN devices, for this user\n");
		return 77; /* a skip, for meson and test/run */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
