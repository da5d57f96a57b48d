/*
 * A TUN device whose packets carry a virtio_net_hdr, so that the kernel hands over up to 64 KiB at
 * once and takes as much, neither segmented nor checksummed.
 *
 * Which offloads a kernel grants differs (UDP segmentation came with Linux 6.2) and cannot be asked
 * for, only tried: tun_set_offloads() drops the youngest until the rest is accepted. One queue, no
 * thread: several queues would need several readers, which the agent does not have.
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

/* Missing from the headers of Debian 12 (Linux 6.1). */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct tun {
	int fd;
	unsigned ifindex;
	unsigned offloads;
	char name[IFNAMSIZ];
};

DEFINE_FREEP(struct tun *, tun_free)

static int tun_attach(struct tun *t, const char *name)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR) };
	int size = TUN_VNET_HDR, on = 1;

	if (strlen(name) >= IFNAMSIZ || name[0] == '\0')
		return err_new(-EINVAL);
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	/* Outside the range of a short, hence not in the initialiser. */
	ifr.ifr_flags = (short)(ifr.ifr_flags | (short)IFF_TUN_EXCL);
	if (ioctl(t->fd, TUNSETIFF, &ifr) < 0)
		return err_new(-errno);
	memcpy(t->name, ifr.ifr_name, IFNAMSIZ);
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(t->fd, TUNSETVNETLE, &on) < 0)
		return err_new(-errno);
	t->ifindex = if_nametoindex(t->name);
	return t->ifindex ? 0 : err_new(-errno);
}

int tun_new(const char *name, unsigned wanted, struct tun **out)
{
	CLEANUP(tun_freep) struct tun *t = malloc(sizeof(*t));
	int r;

	if (!t)
		return err_new(-ENOMEM);
	*t = (struct tun){ .fd = -1 };
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		return err_new(-errno);
	r = tun_attach(t, name);
	if (r < 0)
		return err_pass(r);
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
	fd_closep(&t->fd);
	free(t);
}

int tun_fd(const struct tun *t)
{
	return t->fd;
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

	for (size_t i = 0; ioctl(t->fd, TUNSETOFFLOAD, kernel_bits(try)) < 0; i++) {
		if (errno != EINVAL || i == ARRAY_LEN(youngest_first))
			return err_new(-errno);
		try &= ~youngest_first[i];
	}
	t->offloads = try & (TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO | TUN_OFFLOAD_USO);
	return (int)t->offloads;
}

ssize_t tun_read(struct tun *t, uint8_t *buf, size_t size)
{
	ssize_t n = read(t->fd, buf, size);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : err_new(-errno);
}

int tun_write(struct tun *t, const struct iovec *iov, int n_iov)
{
	if (writev(t->fd, iov, n_iov) >= 0)
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
