/*
 * PACKET_GSO: a packet that nobody has segmented or checksummed yet (docs/wire.md 5).
 *
 * Body: the type byte FRAME_PACKET_GSO, then the 10 bytes of struct virtio_net_hdr in little-endian
 * order (VIRTIO 1.2, 5.1.6), then the IP packet. So a frame of it is what a TUN device with
 * IFF_VNET_HDR and TUNSETVNETLE reads and writes, with 5 bytes before it, and crosses unchanged.
 *
 * gso_next() is the software fallback: for a peer of protocol v0, or for one that lacks a feature.
 */
#ifndef ENG_WIRE_GSO_H
#define ENG_WIRE_GSO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/frame.h"
#include "wire/ip.h"

enum {
	GSO_HDR = 10,			     /* bytes of the offload fields on the wire */
	GSO_HEAD = FRAME_HEAD + 1 + GSO_HDR, /* bytes before the packet in a frame */
	/*
	 * What one frame may become is bounded: by the headers that every segment repeats, by the
	 * smallest payload of a TCP segment, and by the number of UDP datagrams. The bounds are
	 * Linux's own, so what a kernel emits is never refused: its least MSS is 48
	 * (TCP_MIN_SND_MSS), less at most 40 bytes of options; UDP_MAX_SEGMENTS is 128. So the
	 * worst frame becomes 8 K segments of 136 bytes: about what its sender could also have a
	 * gateway do with small plain packets.
	 */
	GSO_SIZE_MIN = 8,      /* bytes of payload a TCP segment */
	GSO_UDP_MAX = 128,     /* datagrams of one UDP_L4 packet */
	GSO_HEADERS_MAX = 128, /* IPv6 40, TCP 60, and 28 for destination options */
};

enum { GSO_FLAG_NEEDS_CSUM = 1, GSO_FLAG_DATA_VALID = 2 };
enum {
	GSO_TYPE_NONE = 0,
	GSO_TYPE_TCPV4 = 1,
	GSO_TYPE_TCPV6 = 4,
	GSO_TYPE_UDP_L4 = 5,
	GSO_TYPE_ECN = 0x80
};

struct gso {
	uint8_t flags;
	uint8_t type;
	uint16_t hdr_len;
	uint16_t size; /* payload bytes of a segment */
	uint16_t csum_start;
	uint16_t csum_offset;
};

enum {
	GSO_E_SHORT = 32, /* no room for the header and a packet */
	GSO_E_TYPE,	  /* unknown flag or type, or the type does not fit the packet */
	GSO_E_SIZE,	  /* size 0 or beyond the bounds above with a type, or not 0 without */
	GSO_E_CSUM,   /* csum_start or csum_offset do not point at the packet's TCP or UDP checksum,
		       * or there is a type without NEEDS_CSUM */
	GSO_E_HEADER, /* transport header truncated, its length a lie, or headers too long */
};

/*
 * Splits a PACKET_GSO body, parses the packet with ip_parse() and checks that the offload fields
 * describe it. Returns 0, GSO_E_* or IP_E_* (disjoint); outputs on 0 only; *out_packet is borrowed.
 * What is not needed is not trusted: with a type, hdr_len is set to what the packet's own headers
 * say, without one it is 0, and so are the checksum fields without NEEDS_CSUM.
 */
MUST_USE int gso_parse(struct span body, struct gso *out, struct span *out_packet,
		       struct ip_info *out_info);

const char *gso_reason(int e); /* GSO_E_* or IP_E_*: a constant word */

/* Writes the 10 bytes; reads them without judging. */
void gso_put(const struct gso *g, uint8_t out[GSO_HDR]);
struct gso gso_get(const uint8_t in[GSO_HDR]);

/* True when nothing is left to do: the packet can go out as a plain FRAME_PACKET. */
static inline bool gso_is_plain(const struct gso *g)
{
	return g->type == GSO_TYPE_NONE && !(g->flags & GSO_FLAG_NEEDS_CSUM);
}

/* Whether a peer with these CONTROL_FEATURE_* bits takes the packet as it is. */
bool gso_fits_features(const struct gso *g, uint32_t features);

/*
 * Segmentation: every call writes the next complete packet (headers, payload, checksums) into out
 * and returns its length, 0 at the end. out needs as many bytes as the packet; too small a buffer
 * ends it. No allocation. The packet must have passed gso_parse(), and is borrowed until the end.
 */
struct gso_iter {
	struct span packet;
	struct gso gso;
	struct ip_info info;
	uint16_t l4_len; /* transport header, bytes */
	size_t offset;	 /* payload bytes done */
	uint32_t index;	 /* segments done */
	bool done;
};

void gso_iter_init(struct gso_iter *it, struct span packet, const struct gso *g,
		   const struct ip_info *info);
MUST_USE size_t gso_next(struct gso_iter *it, uint8_t *out, size_t size);

#endif
