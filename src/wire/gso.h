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
	GSO_HDR = 10,			  /* bytes of the offload fields on the wire */
	GSO_HEAD = FRAME_HEAD + 1 + GSO_HDR, /* bytes before the packet in a frame */
	GSO_SIZE_MIN = 88,		  /* bytes of payload a segment: bounds what one frame may become
					   * (TCP_MIN_MSS that Linux accepts by default is 48 + options…) */
};

enum { GSO_FLAG_NEEDS_CSUM = 1, GSO_FLAG_DATA_VALID = 2 };
enum { GSO_TYPE_NONE = 0, GSO_TYPE_TCPV4 = 1, GSO_TYPE_TCPV6 = 4, GSO_TYPE_UDP_L4 = 5, GSO_TYPE_ECN = 0x80 };

struct gso {
	uint8_t flags;
	uint8_t type;
	uint16_t hdr_len;
	uint16_t size; /* payload bytes of a segment */
	uint16_t csum_start;
	uint16_t csum_offset;
};

enum {
	GSO_E_SHORT = 32,  /* no room for the header and a packet */
	GSO_E_TYPE,	   /* unknown flag or type, or the type does not fit the packet */
	GSO_E_SIZE,	   /* size 0 or below the minimum with a type, or not 0 without */
	GSO_E_CSUM,	   /* csum_start or csum_offset do not point at the packet's TCP or UDP checksum */
	GSO_E_HEADER,	   /* transport header truncated or its length a lie */
};

/*
 * Splits a PACKET_GSO body, parses the packet with ip_parse() and checks that the offload fields
 * describe it. Returns 0, GSO_E_* or IP_E_* (disjoint); outputs on 0 only; *out_packet is borrowed.
 * hdr_len is not trusted: it is set to what the packet's own headers say.
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
 * and returns its length, 0 at the end. out needs as many bytes as the packet. No allocation.
 * The packet must have passed gso_parse().
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
