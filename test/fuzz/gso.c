/* PACKET_GSO: what is accepted becomes good packets that carry all of the payload, and not too
 * many. */
#include "fuzz.h"

#include "wire/gso.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t segment[IP_PACKET_MAX];
	struct ip_info info, part;
	size_t got, headers, payload = 0;
	struct gso_iter it;
	struct span packet;
	struct gso g;

	if (gso_parse(SPAN(bytes, n), &g, &packet, &info) != 0)
		return 0;
	must(packet.p == bytes + 1 + GSO_HDR && packet.n == n - 1 - GSO_HDR);
	gso_iter_init(&it, packet, &g, &info);
	headers = (size_t)info.l4_offset + it.l4_len;
	must(headers <= packet.n && (g.type == GSO_TYPE_NONE || headers == g.hdr_len));
	while ((got = gso_next(&it, segment, packet.n)) > 0) {
		must(got >= headers && got <= packet.n);
		must(g.type == GSO_TYPE_NONE || got - headers <= g.size);
		must(ip_parse(SPAN(segment, got), &part) == 0);
		must(part.l4_offset == info.l4_offset && part.protocol == info.protocol);
		must(span_equal(SPAN(segment + headers, got - headers),
				SPAN(packet.p + headers + payload, got - headers)));
		payload += got - headers;
	}
	must(it.done && payload == packet.n - headers && it.index >= 1);
	must(it.index <= 1 + IP_PACKET_MAX / GSO_SIZE_MIN);
	return 0;
}
