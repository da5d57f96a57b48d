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
	TUN_QUEUES_MAX = 16,
};

struct tun;
struct tun_queue;

/* What the kernel segments and checksums for us (reading) and takes unsegmented (writing). */
enum { TUN_OFFLOAD_CSUM = 1, TUN_OFFLOAD_TSO = 2, TUN_OFFLOAD_USO = 4 };

enum { TUN_E_STEERING = 1 };

/*
 * Creates the device `name` (fails with -EBUSY if it exists). wanted: TUN_OFFLOAD_* bits to try;
 * what the kernel refuses is left out. n_queues: 1 to TUN_QUEUES_MAX, of which the first is
 * attached; with several the kernel chooses one by the flow (steer.h). 0; TUN_E_STEERING: it may
 * not be told how to choose, and would change the order of packets; -errno.
 */
MUST_USE int tun_new(const char *name, unsigned wanted, size_t n_queues, struct tun **out);
void tun_free(struct tun *t);			      /* the device and its routes vanish */
struct tun_queue *tun_queue(struct tun *t, size_t i); /* i < n_queues; lives as long as t */
unsigned tun_ifindex(const struct tun *t);
const char *tun_name(const struct tun *t);
unsigned tun_offloads(const struct tun *t); /* in force now */
/* Changes what the kernel may hand over, for a peer that takes less. Granted bits; -errno. */
MUST_USE int tun_set_offloads(struct tun *t, unsigned wanted);

/*
 * A queue is one thread's, which reads and writes it; another queue may be another's. Attached, it
 * gets its share of what the kernel sends; detached, it gets nothing, must not be read or written,
 * and has lost what was waiting. Twice is as good as once. 0 or -errno.
 */
int tun_queue_fd(const struct tun_queue *q);
MUST_USE int tun_queue_attach(struct tun_queue *q);
MUST_USE int tun_queue_detach(struct tun_queue *q);

/*
 * Reads one packet, its 10-byte header and then the IP packet, into buf (at least TUN_VNET_HDR +
 * TUN_PACKET_MAX). Bytes read, 0 when there is nothing to read now, -errno.
 */
MUST_USE ssize_t tun_read(struct tun_queue *q, uint8_t *buf, size_t size);
/* Writes one: header then packet. 0; 1 = the kernel found the packet or its header invalid
 * (EINVAL) or had no room for it: dropped; -errno: the device is gone. */
MUST_USE int tun_write(struct tun_queue *q, const struct iovec *iov, int n_iov);

#endif
