/*
 * PACKET_GSO: judging the offload fields, and doing in software what they ask for; see gso.h.
 *
 * What a peer claims is checked against the packet's own headers before it can reach a kernel: the
 * fields must say exactly what Linux would say of this packet. Segmentation follows Linux's
 * inet_gso_segment(), tcp_gso_segment() and __udp_gso_segment() bit for bit. Checksums are computed
 * in full; the partial sum that the sender left in the checksum field is not used.
 */
#include "wire/gso.h"

#include <netinet/in.h>

#include "wire/control.h"

enum {
	TCP_HEADER = 20,
	TCP_FLAGS = 13, /* offset of the flags' byte */
	TCP_FIN_PSH = 0x01 | 0x08,
	TCP_CWR = 0x80,
	TCP_CSUM = 16,
	UDP_HEADER = 8,
	UDP_CSUM = 6,
};

const char *gso_reason(int e)
{
	switch (e) {
	case GSO_E_SHORT:
		return "gso-short";
	case GSO_E_TYPE:
		return "gso-type";
	case GSO_E_SIZE:
		return "gso-size";
	case GSO_E_CSUM:
		return "gso-csum";
	case GSO_E_HEADER:
		return "gso-header";
	default:
		return ip_reason(e);
	}
}

void gso_put(const struct gso *g, uint8_t out[GSO_HDR])
{
	out[0] = g->flags;
	out[1] = g->type;
	put_le16(out + 2, g->hdr_len);
	put_le16(out + 4, g->size);
	put_le16(out + 6, g->csum_start);
	put_le16(out + 8, g->csum_offset);
}

struct gso gso_get(const uint8_t in[GSO_HDR])
{
	return (struct gso){
		.flags = in[0],
		.type = in[1],
		.hdr_len = get_le16(in + 2),
		.size = get_le16(in + 4),
		.csum_start = get_le16(in + 6),
		.csum_offset = get_le16(in + 8),
	};
}

bool gso_fits_features(const struct gso *g, uint32_t features)
{
	if (gso_is_plain(g))
		return true;
	if (!(features & CONTROL_FEATURE_GSO))
		return false;
	return g->type != GSO_TYPE_UDP_L4 || (features & CONTROL_FEATURE_USO);
}

/* The protocol that a type is for, 0 for an unknown type; the family must fit as well. */
static uint8_t type_protocol(uint8_t type, uint8_t family)
{
	switch (type) {
	case GSO_TYPE_TCPV4:
	case GSO_TYPE_TCPV4 | GSO_TYPE_ECN:
		return family == AF_INET ? IPPROTO_TCP : 0;
	case GSO_TYPE_TCPV6:
	case GSO_TYPE_TCPV6 | GSO_TYPE_ECN:
		return family == AF_INET6 ? IPPROTO_TCP : 0;
	case GSO_TYPE_UDP_L4:
		return IPPROTO_UDP;
	default:
		return 0;
	}
}

/* Length of the transport header, or 0 when it is not all there or lies about a length. */
static uint16_t transport_header(struct span packet, const struct ip_info *info)
{
	const uint8_t *l4 = packet.p + info->l4_offset;
	size_t n = packet.n - info->l4_offset, len;

	if (info->protocol == IPPROTO_UDP)
		return n >= UDP_HEADER && get_be16(l4 + 4) == n ? UDP_HEADER : 0;
	if (n < TCP_HEADER)
		return 0;
	len = (size_t)(l4[12] >> 4) * 4;
	return len >= TCP_HEADER && len <= n ? (uint16_t)len : 0;
}

/* Checks what NEEDS_CSUM and a type have in common: both speak of a TCP or UDP header. */
static int check_csum(struct span packet, const struct ip_info *info, const struct gso *g,
		      uint16_t *out_l4_len)
{
	bool udp = info->protocol == IPPROTO_UDP;

	if (!udp && info->protocol != IPPROTO_TCP)
		return GSO_E_CSUM;
	if (g->csum_start != info->l4_offset || g->csum_offset != (udp ? UDP_CSUM : TCP_CSUM))
		return GSO_E_CSUM;
	*out_l4_len = transport_header(packet, info);
	return *out_l4_len == 0 ? GSO_E_HEADER : 0;
}

static int check_size(const struct ip_info *info, const struct gso *g, size_t payload)
{
	if (g->type == GSO_TYPE_NONE)
		return g->size == 0 ? 0 : GSO_E_SIZE;
	if (info->protocol == IPPROTO_TCP)
		return g->size >= GSO_SIZE_MIN ? 0 : GSO_E_SIZE;
	return g->size > 0 && payload <= (size_t)g->size * GSO_UDP_MAX ? 0 : GSO_E_SIZE;
}

/* Checks the fields against the packet and clears or corrects those that carry nothing. */
static int check_fields(struct span packet, const struct ip_info *info, struct gso *g)
{
	uint16_t l4_len;
	size_t hdr_len;
	int r;

	if (g->flags & ~(GSO_FLAG_NEEDS_CSUM | GSO_FLAG_DATA_VALID))
		return GSO_E_TYPE;
	if (g->type != GSO_TYPE_NONE && type_protocol(g->type, info->src.family) != info->protocol)
		return GSO_E_TYPE;
	g->hdr_len = 0;
	if (!(g->flags & GSO_FLAG_NEEDS_CSUM)) {
		g->csum_start = g->csum_offset = 0;
		return g->type != GSO_TYPE_NONE ? GSO_E_CSUM : check_size(info, g, 0);
	}
	r = check_csum(packet, info, g, &l4_len);
	if (r != 0)
		return r;
	hdr_len = (size_t)info->l4_offset + l4_len;
	if (g->type != GSO_TYPE_NONE) {
		if (hdr_len > GSO_HEADERS_MAX)
			return GSO_E_HEADER;
		g->hdr_len = (uint16_t)hdr_len;
	}
	return check_size(info, g, packet.n - hdr_len);
}

int gso_parse(struct span body, struct gso *out, struct span *out_packet, struct ip_info *out_info)
{
	struct ip_info info;
	struct span packet;
	struct gso g;
	int r;

	if (body.n <= 1 + GSO_HDR)
		return GSO_E_SHORT;
	if (body.p[0] != FRAME_PACKET_GSO)
		return GSO_E_TYPE;
	g = gso_get(body.p + 1);
	packet = SPAN(body.p + 1 + GSO_HDR, body.n - 1 - GSO_HDR);
	r = ip_parse(packet, &info);
	if (r != 0)
		return r;
	r = check_fields(packet, &info, &g);
	if (r != 0)
		return r;
	*out = g;
	*out_packet = packet;
	*out_info = info;
	return 0;
}

void gso_iter_init(struct gso_iter *it, struct span packet, const struct gso *g,
		   const struct ip_info *info)
{
	*it = (struct gso_iter){ .packet = packet, .gso = *g, .info = *info };
	if (g->flags & GSO_FLAG_NEEDS_CSUM)
		it->l4_len = transport_header(packet, info);
}

/* The lengths, and for IPv4 the identification and checksum, of segment number it->index. */
static void put_ip(const struct gso_iter *it, uint8_t *out, size_t n)
{
	if (it->info.src.family == AF_INET6) {
		put_be16(out + 4, (uint16_t)(n - 40));
		return;
	}
	if (it->gso.type == GSO_TYPE_NONE)
		return;
	put_be16(out + 2, (uint16_t)n);
	put_be16(out + 4, (uint16_t)(get_be16(it->packet.p + 4) + it->index));
	put_be16(out + 10, 0);
	put_be16(out + 10, ip_sum_fold(ip_sum(out, 20, 0)));
}

static void put_tcp(const struct gso_iter *it, uint8_t *tcp, bool last)
{
	if (it->gso.type == GSO_TYPE_NONE)
		return;
	put_be32(tcp + 4, get_be32(tcp + 4) + (uint32_t)it->offset);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
	if (it->index > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

/* The full checksum over pseudo header (RFC 9293, 3.1; RFC 8200, 8.1), transport header and
 * payload. */
static void put_l4_checksum(const struct gso_iter *it, uint8_t *l4, size_t n)
{
	size_t addr_len = it->info.src.family == AF_INET ? 4 : 16;
	uint8_t *field = l4 + it->gso.csum_offset;
	uint32_t sum = (uint32_t)n + it->info.protocol;
	uint16_t csum;

	put_be16(field, 0);
	sum = ip_sum(it->info.src.bytes, addr_len, sum);
	sum = ip_sum(it->info.dst.bytes, addr_len, sum);
	csum = ip_sum_fold(ip_sum(l4, n, sum));
	if (csum == 0 && it->info.protocol == IPPROTO_UDP) /* 0 says "no checksum": RFC 768 */
		csum = 0xffff;
	put_be16(field, csum);
}

size_t gso_next(struct gso_iter *it, uint8_t *out, size_t size)
{
	size_t headers = (size_t)it->info.l4_offset + it->l4_len;
	size_t part = it->packet.n - headers - it->offset, n;
	uint8_t *l4 = out + it->info.l4_offset;
	bool last = true;

	if (it->gso.type != GSO_TYPE_NONE && part > it->gso.size) {
		part = it->gso.size;
		last = false;
	}
	n = headers + part;
	if (it->done || n > size)
		return 0;
	memcpy(out, it->packet.p, headers);
	memcpy(out + headers, it->packet.p + headers + it->offset, part);
	if (it->gso.flags & GSO_FLAG_NEEDS_CSUM) {
		put_ip(it, out, n);
		if (it->info.protocol == IPPROTO_UDP)
			put_be16(l4 + 4, (uint16_t)(UDP_HEADER + part));
		else
			put_tcp(it, l4, last);
		put_l4_checksum(it, l4, n - it->info.l4_offset);
	}
	it->offset += part;
	it->index++;
	it->done = last;
	return n;
}
