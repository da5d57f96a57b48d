/*
 * A TUN device with IFF_VNET_HDR: packets with their offload fields, 10 bytes little-endian in
 * front (TUNSETVNETLE), which is also the layout of PACKET_GSO on the wire.
 */
#ifndef ENG_IO_TUN_H
#define ENG_IO_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"

enum {
	TUN_VNET_HDR = 10,
	TUN_PACKET_MAX = 65535, /* bytes of the largest IP packet the kernel hands over */
};

struct tun;

/* What the kernel segments and checksums for us (reading) and takes unsegmented (writing). */
enum { TUN_OFFLOAD_CSUM = 1, TUN_OFFLOAD_TSO = 2, TUN_OFFLOAD_USO = 4 };

/*
 * Creates the device `name` (fails with -EBUSY if it exists). wanted: TUN_OFFLOAD_* bits to try;
 * what the kernel refuses is left out. 0 or -errno.
 */
MUST_USE int tun_new(const char *name, unsigned wanted, struct tun **out);
void tun_free(struct tun *t); /* the device and its routes vanish */
int tun_fd(const struct tun *t);
unsigned tun_ifindex(const struct tun *t);
const char *tun_name(const struct tun *t);
unsigned tun_offloads(const struct tun *t); /* in force now */
/* Changes what the kernel may hand over, for a peer that takes less. Granted bits; -errno. */
MUST_USE int tun_set_offloads(struct tun *t, unsigned wanted);

/*
 * Reads one packet, its 10-byte header and then the IP packet, into buf (at least TUN_VNET_HDR +
 * TUN_PACKET_MAX). Bytes read, 0 when there is nothing to read now, -errno.
 */
MUST_USE ssize_t tun_read(struct tun *t, uint8_t *buf, size_t size);
/* Writes one: header then packet. 0; 1 = the kernel found the packet or its header invalid
 * (EINVAL) or had no room for it: dropped; -errno: the device is gone. */
MUST_USE int tun_write(struct tun *t, const struct iovec *iov, int n_iov);

#endif
