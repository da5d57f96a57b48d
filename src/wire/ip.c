/*
 * IPv4 and IPv6 headers as a gateway sees them; see ip.h.
 *
 * ip_parse() runs for every packet of every hop: it reads each header field once, in place, and
 * stores its findings only when all of them are good. It does not verify the IPv4 header checksum:
 * a packet whose sender got it wrong is thrown away by the receiver's kernel, and forwarding mends
 * the field incrementally (RFC 1624), which never turns a wrong checksum into a right one.
 */
#include "wire/ip.h"

#include <netinet/in.h>
#include <stddef.h>

enum {
	V4_HEADER = 20,
	V6_HEADER = 40,
	V6_EXTENSIONS_MAX = 3, /* RFC 8200, 4.1: destination options twice, authentication once */
	ICMP_HEADER = 8,
	ICMP_V4_MAX = 576,  /* RFC 1812, 4.3.2.3: bytes of an ICMP error */
	ICMP_V6_MAX = 1280, /* RFC 4443, 2.4(c) */
	ICMP_TTL = 64,
};

const char *ip_reason(int e)
{
	switch (e) {
	case IP_E_VERSION:
		return "ip-version";
	case IP_E_HEADER:
		return "ip-header";
	case IP_E_LENGTH:
		return "ip-length";
	case IP_E_FRAGMENT:
		return "ip-fragment";
	case IP_E_EXTENSION:
		return "ip-extension";
	case IP_E_ADDRESS:
		return "ip-address";
	default:
		return "ip-unknown";
	}
}

/* 0/8 "this network", 127/8, 224/4 and the limited broadcast name no host (RFC 1122, 3.2.1.3). */
static bool v4_is_host(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] >> 4 != 14 && get_be32(a) != 0xffffffff;
}

/*
 * ff00::/8, and whatever starts with 80 zero bits: ::, ::1 and the IPv4-mapped addresses, by which
 * somebody could write an IPv4 address that the IPv4 rules never see (RFC 4291, 2.5.5).
 */
static bool v6_is_host(const uint8_t *a)
{
	static const uint8_t zero[10];

	return a[0] != 0xff && (a[0] != 0 || memcmp(a, zero, sizeof(zero)) != 0);
}

static int v4_parse(struct span packet, struct ip_info *out)
{
	const uint8_t *p = packet.p;

	if (packet.n < V4_HEADER)
		return IP_E_VERSION;
	if (p[0] != 0x45)
		return IP_E_HEADER;
	if (get_be16(p + 2) != packet.n)
		return IP_E_LENGTH;
	if (get_be16(p + 6) & 0x3fff) /* more fragments, or an offset */
		return IP_E_FRAGMENT;
	if (!v4_is_host(p + 12) || !v4_is_host(p + 16))
		return IP_E_ADDRESS;
	*out = (struct ip_info){ .src = addr_v4(p + 12),
				 .dst = addr_v4(p + 16),
				 .protocol = p[9],
				 .ttl = p[8],
				 .l4_offset = V4_HEADER };
	return 0;
}

/* Finds the transport header behind the extension headers that may pass. */
static int v6_skip_extensions(struct span packet, uint8_t *out_protocol, uint16_t *out_offset)
{
	uint8_t next = packet.p[6];
	size_t offset = V6_HEADER;

	for (unsigned i = 0;; i++) {
		const uint8_t *ext = packet.p + offset;

		if (next == IPPROTO_FRAGMENT)
			return IP_E_FRAGMENT;
		if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING)
			return IP_E_EXTENSION;
		if (next != IPPROTO_DSTOPTS && next != IPPROTO_AH)
			break;
		if (i == V6_EXTENSIONS_MAX || packet.n - offset < 8)
			return IP_E_EXTENSION;
		/* RFC 8200, 4.6 counts in 8 bytes less 1; RFC 4302, 2.2 in 4 bytes less 2. */
		offset += next == IPPROTO_AH ? (ext[1] + 2u) * 4 : (ext[1] + 1u) * 8;
		if (offset > packet.n)
			return IP_E_EXTENSION;
		next = ext[0];
	}
	*out_protocol = next;
	*out_offset = (uint16_t)offset;
	return 0;
}

static int v6_parse(struct span packet, struct ip_info *out)
{
	const uint8_t *p = packet.p;
	uint16_t l4_offset;
	uint8_t protocol;
	int r;

	if (packet.n < V6_HEADER)
		return IP_E_VERSION;
	if (packet.n > IP_PACKET_MAX || V6_HEADER + (size_t)get_be16(p + 4) != packet.n)
		return IP_E_LENGTH;
	if (!v6_is_host(p + 8) || !v6_is_host(p + 24))
		return IP_E_ADDRESS;
	r = v6_skip_extensions(packet, &protocol, &l4_offset);
	if (r != 0)
		return r;
	*out = (struct ip_info){ .src = addr_v6(p + 8),
				 .dst = addr_v6(p + 24),
				 .protocol = protocol,
				 .ttl = p[7],
				 .l4_offset = l4_offset };
	return 0;
}

int ip_parse(struct span packet, struct ip_info *out)
{
	if (packet.n == 0)
		return IP_E_VERSION;
	if (packet.p[0] >> 4 == 4)
		return v4_parse(packet, out);
	if (packet.p[0] >> 4 == 6)
		return v6_parse(packet, out);
	return IP_E_VERSION;
}

bool ip_decrement_ttl(uint8_t *packet)
{
	uint8_t *ttl = packet[0] >> 4 == 4 ? packet + 8 : packet + 7;
	uint32_t sum;

	if (*ttl <= 1)
		return false;
	(*ttl)--;
	if (packet[0] >> 4 == 4) {
		/* RFC 1624, eqn. 3: HC' = ~(~HC + ~m + m'), where m' is m less 0x0100 */
		sum = (uint16_t)~get_be16(packet + 10) + 0xfeffu;
		put_be16(packet + 10, ip_sum_fold(sum));
	}
	return true;
}

uint32_t ip_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	uint64_t acc = 0, word;
	uint8_t tail[8] = { 0 };

	/* Two 32-bit halves a step, in the machine's byte order: RFC 1071, 2(B) and 2(C). */
	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		acc += (word & 0xffffffff) + (word >> 32);
	}
	if (n > 0) {
		memcpy(tail, p, n);
		memcpy(&word, tail, sizeof(word));
		acc += (word & 0xffffffff) + (word >> 32);
	}
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return sum + ntohs((uint16_t)acc);
}

uint16_t ip_sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An error must not answer an error; what is too short to tell counts as one. */
static bool may_answer(struct span packet, const struct ip_info *info)
{
	bool v4 = info->src.family == AF_INET;
	uint8_t type;

	if (info->protocol != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return true;
	if (packet.n <= info->l4_offset)
		return false;
	type = packet.p[info->l4_offset];
	if (v4) /* queries: RFC 792 and its followers; anything unknown may be an error */
		return type == 0 || type == 8 || (type >= 13 && type <= 18);
	return type >= 128 && type != 137; /* RFC 4443, 2.1; 2.4(e.2): nor a redirect */
}

static size_t v4_put_unreachable(struct span packet, const struct ip_info *info,
				 const struct addr *from, uint8_t *out, size_t size)
{
	size_t quoted = packet.n, n;

	if (quoted > ICMP_V4_MAX - V4_HEADER - ICMP_HEADER)
		quoted = ICMP_V4_MAX - V4_HEADER - ICMP_HEADER;
	n = V4_HEADER + ICMP_HEADER + quoted;
	if (size < n)
		return 0;
	memset(out, 0, V4_HEADER + ICMP_HEADER);
	out[0] = 0x45;
	out[1] = 0xc0; /* precedence "internetwork control": RFC 1812, 4.3.2.5 */
	put_be16(out + 2, (uint16_t)n);
	put_be16(out + 6, 0x4000); /* don't fragment, so the id may be 0 (RFC 6864, 4.1) */
	out[8] = ICMP_TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, from->bytes, 4);
	memcpy(out + 16, info->src.bytes, 4);
	put_be16(out + 10, ip_sum_fold(ip_sum(out, V4_HEADER, 0)));
	out[20] = 3; /* destination unreachable */
	out[21] = 1; /* host unreachable */
	memcpy(out + V4_HEADER + ICMP_HEADER, packet.p, quoted);
	put_be16(out + 22, ip_sum_fold(ip_sum(out + V4_HEADER, n - V4_HEADER, 0)));
	return n;
}

static size_t v6_put_unreachable(struct span packet, const struct ip_info *info,
				 const struct addr *from, uint8_t *out, size_t size)
{
	size_t quoted = packet.n, n;
	uint32_t sum;

	if (quoted > ICMP_V6_MAX - V6_HEADER - ICMP_HEADER)
		quoted = ICMP_V6_MAX - V6_HEADER - ICMP_HEADER;
	n = V6_HEADER + ICMP_HEADER + quoted;
	if (size < n)
		return 0;
	memset(out, 0, V6_HEADER + ICMP_HEADER);
	out[0] = 0x60;
	put_be16(out + 4, (uint16_t)(n - V6_HEADER));
	out[6] = IPPROTO_ICMPV6;
	out[7] = ICMP_TTL;
	memcpy(out + 8, from->bytes, 16);
	memcpy(out + 24, info->src.bytes, 16);
	out[40] = 1; /* destination unreachable, code 0: no route to destination */
	memcpy(out + V6_HEADER + ICMP_HEADER, packet.p, quoted);
	/* RFC 8200, 8.1: the pseudo header is both addresses, the length and the protocol. */
	sum = (uint32_t)(n - V6_HEADER) + IPPROTO_ICMPV6;
	sum = ip_sum(out + 8, 32, sum);
	put_be16(out + 42, ip_sum_fold(ip_sum(out + V6_HEADER, n - V6_HEADER, sum)));
	return n;
}

size_t ip_put_unreachable(struct span packet, const struct ip_info *info, const struct addr *from,
			  uint8_t *out, size_t size)
{
	if (from->family != info->src.family || !may_answer(packet, info))
		return 0;
	if (from->family == AF_INET)
		return v4_put_unreachable(packet, info, from, out, size);
	return v6_put_unreachable(packet, info, from, out, size);
}
