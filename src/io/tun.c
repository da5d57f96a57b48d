/*
 * A TUN device whose packets carry a virtio_net_hdr, so that the kernel hands over up to 64 KiB at
 * once and takes as much, neither segmented nor checksummed.
 *
 * Which offloads a kernel grants differs (UDP segmentation came with Linux 6.2) and cannot be asked
 * for, only tried: tun_set_offloads() drops the youngest until the rest is accepted. They are the
 * device's, and so is the header; the queues differ in nothing but what they get.
 */
#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "base/err.h"
#include "io/steer.h"

/* Missing from the headers of Debian 12 (Linux 6.1). */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct tun_queue {
	int fd;
	bool is_attached;
};

struct tun {
	size_t n_queues;
	struct tun_queue queues[TUN_QUEUES_MAX];
	unsigned ifindex;
	unsigned offloads;
	char name[IFNAMSIZ];
};

DEFINE_FREEP(struct tun *, tun_free)

/* The next queue of the device that ifr names, which comes to be with the first. */
static int open_queue(struct tun *t, struct ifreq *ifr)
{
	struct tun_queue *q = &t->queues[t->n_queues++];

	q->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (q->fd < 0 || ioctl(q->fd, TUNSETIFF, ifr) < 0)
		return err_new(-errno);
	q->is_attached = true;
	return 0;
}

static int open_device(struct tun *t, const char *name, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int size = TUN_VNET_HDR, on = 1, r;

	if (strlen(name) >= IFNAMSIZ || name[0] == '\0')
		return err_new(-EINVAL);
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	/* Outside the range of a short, hence not in the initialiser. */
	ifr.ifr_flags = (short)(ifr.ifr_flags | (short)IFF_TUN_EXCL);
	r = open_queue(t, &ifr);
	if (r < 0)
		return err_pass(r);
	memcpy(t->name, ifr.ifr_name, IFNAMSIZ);
	if (ioctl(t->queues[0].fd, TUNSETVNETHDRSZ, &size) < 0 ||
	    ioctl(t->queues[0].fd, TUNSETVNETLE, &on) < 0)
		return err_new(-errno);
	t->ifindex = if_nametoindex(t->name);
	return t->ifindex ? 0 : err_new(-errno);
}

/* The device keeps the program. */
static int steer(struct tun *t)
{
	CLEANUP(fd_closep) int prog = -1;

	if (steer_load(&prog) < 0 || ioctl(t->queues[0].fd, TUNSETSTEERINGEBPF, &prog) < 0)
		return TUN_E_STEERING;
	return 0;
}

static int add_queues(struct tun *t, size_t n_queues, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int r;

	memcpy(ifr.ifr_name, t->name, IFNAMSIZ);
	r = steer(t);
	while (r == 0 && t->n_queues < n_queues) {
		r = open_queue(t, &ifr);
		if (r == 0)
			r = tun_queue_detach(&t->queues[t->n_queues - 1]);
	}
	return r;
}

int tun_new(const char *name, unsigned wanted, size_t n_queues, struct tun **out)
{
	const int flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (n_queues > 1 ? IFF_MULTI_QUEUE : 0);
	CLEANUP(tun_freep) struct tun *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < TUN_QUEUES_MAX; i++)
		t->queues[i].fd = -1;
	r = open_device(t, name, (short)flags);
	if (r < 0)
		return err_pass(r);
	if (n_queues > 1)
		r = add_queues(t, n_queues, (short)flags);
	if (r != 0)
		return r;
	r = tun_set_offloads(t, wanted);
	if (r < 0)
		return err_pass(r);
	*out = TAKE(t);
	return 0;
}

void tun_free(struct tun *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < TUN_QUEUES_MAX; i++)
		fd_closep(&t->queues[i].fd);
	free(t);
}

struct tun_queue *tun_queue(struct tun *t, size_t i)
{
	return &t->queues[i];
}

int tun_queue_fd(const struct tun_queue *q)
{
	return q->fd;
}

static int set_attached(struct tun_queue *q, bool attached)
{
	struct ifreq ifr = { .ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (q->is_attached == attached)
		return 0;
	if (ioctl(q->fd, TUNSETQUEUE, &ifr) < 0)
		return err_new(-errno);
	q->is_attached = attached;
	return 0;
}

int tun_queue_attach(struct tun_queue *q)
{
	return set_attached(q, true);
}

int tun_queue_detach(struct tun_queue *q)
{
	return set_attached(q, false);
}

unsigned tun_ifindex(const struct tun *t)
{
	return t->ifindex;
}

const char *tun_name(const struct tun *t)
{
	return t->name;
}

unsigned tun_offloads(const struct tun *t)
{
	return t->offloads;
}

static unsigned long kernel_bits(unsigned offloads)
{
	unsigned long bits = 0;

	if (offloads & TUN_OFFLOAD_CSUM)
		bits |= TUN_F_CSUM;
	if (offloads & TUN_OFFLOAD_TSO)
		bits |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	if (offloads & TUN_OFFLOAD_USO)
		bits |= TUN_F_USO4 | TUN_F_USO6;
	return bits;
}

int tun_set_offloads(struct tun *t, unsigned wanted)
{
	static const unsigned youngest_first[] = { TUN_OFFLOAD_USO, TUN_OFFLOAD_TSO,
						   TUN_OFFLOAD_CSUM };
	/* The kernel cannot cut what it has not checksummed. */
	unsigned try = wanted & TUN_OFFLOAD_CSUM ? wanted : 0;

	for (size_t i = 0; ioctl(t->queues[0].fd, TUNSETOFFLOAD, kernel_bits(try)) < 0; i++) {
		if (errno != EINVAL || i == ARRAY_LEN(youngest_first))
			return err_new(-errno);
		try &= ~youngest_first[i];
	}
	t->offloads = try & (TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO | TUN_OFFLOAD_USO);
	return (int)t->offloads;
}

ssize_t tun_read(struct tun_queue *q, uint8_t *buf, size_t size)
{
	ssize_t n = read(q->fd, buf, size);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : err_new(-errno);
}

int tun_write(struct tun_queue *q, const struct iovec *iov, int n_iov)
{
	if (writev(q->fd, iov, n_iov) >= 0)
		return 0;
	switch (errno) {
	case EINVAL: /* neither IPv4 nor IPv6, or a header that contradicts the packet */
	case EMSGSIZE:
	case EAGAIN:
	case EINTR:
	case ENOMEM:
	case ENOBUFS:
		return 1;
	default:
		return err_new(-errno);
	}
}
