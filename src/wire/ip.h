/*
 * What a gateway must know of an IP packet before it forwards it, and nothing more.
 *
 * Accepted are unfragmented IPv4 packets without options and IPv6 packets without hop-by-hop,
 * routing and fragment headers, whose lengths add up to exactly the frame's. An agent drops
 * everything else before it reaches the wire, so whoever sends it is not an agent.
 */
#ifndef ENG_WIRE_IP_H
#define ENG_WIRE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"

enum {
	IP_PACKET_MAX =
		65535, /* bytes: what a TUN device hands over; IPv6 alone could say 40 more */
};

enum { IP_UNREACHABLE_MAX = 1280 /* bytes: IPv6's minimum MTU, RFC 4443 2.4(c) */ };

enum {
	IP_E_VERSION = 1, /* neither 4 nor 6, or shorter than a header */
	IP_E_HEADER,	  /* IPv4 header length not 20: options, or a lie */
	IP_E_LENGTH,	  /* total length is not what arrived, or above IP_PACKET_MAX */
	IP_E_FRAGMENT,	  /* IPv4 fragment, IPv6 fragment header */
	IP_E_EXTENSION,	  /* IPv6 hop-by-hop or routing header, or a chain that does not end in the
			   * packet   or is longer than RFC 8200 ever needs */
	IP_E_ADDRESS,	  /* source or destination unspecified, loopback, multicast or broadcast;
			   * also 0.0.0.0/8, and ::/80, where IPv4 hides inside IPv6 */
};

struct ip_info {
	struct addr src, dst;
	uint8_t protocol;   /* of the transport header: IPPROTO_TCP, … */
	uint8_t ttl;	    /* or hop limit */
	uint16_t l4_offset; /* where the transport header starts */
};

/* Parses a whole packet. Returns 0 or IP_E_*; *out is written on 0 only. Never allocates. */
MUST_USE int ip_parse(struct span packet, struct ip_info *out);

/* A constant word for an IP_E_* value, for logs and counters: "ip-fragment". */
const char *ip_reason(int e);

/*
 * Takes one off the TTL (and mends the IPv4 header checksum, RFC 1624) or hop limit of a packet
 * that ip_parse() accepted. Returns false, packet unchanged, if it would reach 0.
 */
MUST_USE bool ip_decrement_ttl(uint8_t *packet);

/*
 * Writes the "destination unreachable" answer to a packet that ip_parse() accepted: ICMP code 1
 * (host), ICMPv6 code 0 (no route). A TCP connection in the making fails at once by it, and an
 * established one takes it for the outage that it is and retries soon after (RFC 6069).
 * Source is `from` (same family, or nothing is written), destination the packet's source. Returns
 * its length in bytes, or 0 where RFC 1122 3.2.2 and RFC 4443 2.4(e) forbid an answer (ICMP errors)
 * or size is too small; 1280 always suffice.
 */
size_t ip_put_unreachable(struct span packet, const struct ip_info *info, const struct addr *from,
			  uint8_t *out, size_t size);

/*
 * Ones'-complement sum of bytes added to `sum` (RFC 1071; all pieces but the last have an even
 * length), and its folding to the value of a checksum field.
 */
uint32_t ip_sum(const uint8_t *p, size_t n, uint32_t sum);
uint16_t ip_sum_fold(uint32_t sum);

#endif
