/*
 * Properties that hold for every size: the segments' payloads are the packet's, in order, and every
 * checksum verifies. The vectors have the exact bytes and the refusals.
 */
#include "wire/gso.h"

#include <netinet/in.h>

#include "base/test.h"
#include "wire/control.h"

enum { PAYLOAD_MAX = 65000 };

static uint8_t body[1 + GSO_HDR + IP_PACKET_MAX], segment[IP_PACKET_MAX];

/* A PACKET_GSO body of any kind with n bytes of payload; returns its length. */
static size_t make(bool v6, bool udp, uint8_t type, uint16_t size, size_t n)
{
	uint16_t l4_at = v6 ? 40 : 20, l4_len = udp ? 8 : 32;
	uint8_t *p = body + 1 + GSO_HDR, *l4 = p + l4_at;
	struct gso g = { .flags = GSO_FLAG_NEEDS_CSUM,
			 .type = type,
			 .size = size,
			 .csum_start = l4_at,
			 .csum_offset = udp ? 6 : 16 };
	size_t total = l4_at + l4_len + n;

	memset(body, 0, sizeof(body));
	body[0] = FRAME_PACKET_GSO;
	gso_put(&g, body + 1);
	p[0] = v6 ? 0x60 : 0x45;
	put_be16(v6 ? p + 4 : p + 2, (uint16_t)(v6 ? total - 40 : total));
	p[v6 ? 6 : 9] = udp ? IPPROTO_UDP : IPPROTO_TCP;
	p[v6 ? 7 : 8] = 64;
	memset(p + (v6 ? 8 : 12), 0x20, v6 ? 32 : 8);
	if (udp)
		put_be16(l4 + 4, (uint16_t)(8 + n));
	else
		l4[12] = 0x80;
	for (size_t i = 0; i < n; i++)
		l4[l4_len + i] = (uint8_t)(i * 31 + i / 251);
	return 1 + GSO_HDR + total;
}

static uint16_t l4_checksum(const uint8_t *p, size_t n, const struct ip_info *info)
{
	size_t addr_at = info->l4_offset == 20 ? 12 : 8;
	uint32_t sum = info->protocol + (uint32_t)(n - info->l4_offset);

	return ip_sum_fold(ip_sum(p + addr_at, n - addr_at, sum));
}

static void check(bool v6, bool udp, uint8_t type, uint16_t size, size_t n)
{
	size_t length = make(v6, udp, type, size, n), headers, done = 0, got;
	struct ip_info info, part;
	struct gso_iter it;
	struct span packet;
	struct gso g;

	assert_int_equal(gso_parse(SPAN(body, length), &g, &packet, &info), 0);
	headers = info.l4_offset + (udp ? 8u : 32u);
	assert_int_equal(g.hdr_len, type ? headers : 0);
	gso_iter_init(&it, packet, &g, &info);
	while ((got = gso_next(&it, segment, sizeof(segment))) > 0) {
		assert_int_equal(ip_parse(SPAN(segment, got), &part), 0);
		assert_int_equal(l4_checksum(segment, got, &part), 0);
		if (!v6 && type)
			assert_int_equal(ip_sum_fold(ip_sum(segment, 20, 0)), 0);
		if (udp)
			assert_int_equal(get_be16(segment + info.l4_offset + 4),
					 got - info.l4_offset);
		else
			assert_int_equal(get_be32(segment + info.l4_offset + 4), done);
		assert_memory_equal(segment + headers, packet.p + headers + done, got - headers);
		done += got - headers;
		assert_true(done == n || got - headers == size);
	}
	assert_int_equal(done, n);
	assert_int_equal(it.index, n == 0 || !type ? 1 : (n + size - 1) / size);
	assert_int_equal(gso_next(&it, segment, sizeof(segment)), 0);
}

static void segments_any_size(void **state)
{
	static const size_t payloads[] = { 0, 1, 15, 16, 17, 1448, 1449, 9000, PAYLOAD_MAX };
	static const uint16_t sizes[] = { GSO_SIZE_MIN, 536, 1447, 1448, 8999, 65535 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
		for (size_t j = 0; j < ARRAY_LEN(sizes); j++)
			for (int v6 = 0; v6 < 2; v6++) {
				check(v6, false, v6 ? GSO_TYPE_TCPV6 : GSO_TYPE_TCPV4, sizes[j],
				      payloads[i]);
				if (payloads[i] <= (size_t)sizes[j] * GSO_UDP_MAX)
					check(v6, true, GSO_TYPE_UDP_L4, sizes[j], payloads[i]);
			}
}

static void checksums_any_size(void **state)
{
	(void)state;
	for (size_t n = 0; n < PAYLOAD_MAX; n = n * 3 / 2 + 1)
		for (int v6 = 0; v6 < 2; v6++) {
			check(v6, false, GSO_TYPE_NONE, 0, n);
			check(v6, true, GSO_TYPE_NONE, 0, n);
		}
}

static void never_writes_beyond_the_buffer(void **state)
{
	size_t length = make(false, false, GSO_TYPE_TCPV4, 1000, 1500);
	struct ip_info info;
	struct gso_iter it;
	struct span packet;
	struct gso g;

	(void)state;
	assert_int_equal(gso_parse(SPAN(body, length), &g, &packet, &info), 0);
	for (size_t size = 0; size < 1052; size++) {
		gso_iter_init(&it, packet, &g, &info);
		segment[size] = 0xa5;
		assert_int_equal(gso_next(&it, segment, size), 0);
		assert_int_equal(segment[size], 0xa5);
	}
	gso_iter_init(&it, packet, &g, &info);
	assert_int_equal(gso_next(&it, segment, 1052), 1052);
}

static void refuses_every_cut(void **state)
{
	size_t length = make(true, false, GSO_TYPE_TCPV6, 100, 300);
	struct ip_info info;
	struct span packet;
	struct gso g;

	(void)state;
	for (size_t n = 0; n < length; n++)
		assert_int_not_equal(gso_parse(SPAN(body, n), &g, &packet, &info), 0);
	assert_int_equal(gso_parse(SPAN(body, length), &g, &packet, &info), 0);
	body[0] = FRAME_HELLO;
	assert_int_equal(gso_parse(SPAN(body, length), &g, &packet, &info), GSO_E_TYPE);
}

static void forgets_fields_without_meaning(void **state)
{
	struct gso lie = { .hdr_len = 1, .csum_start = 2, .csum_offset = 3 };
	size_t length = make(false, true, GSO_TYPE_NONE, 0, 10);
	struct ip_info info;
	struct span packet;
	struct gso g;

	(void)state;
	gso_put(&lie, body + 1);
	assert_int_equal(gso_parse(SPAN(body, length), &g, &packet, &info), 0);
	assert_int_equal(g.hdr_len | g.csum_start | g.csum_offset, 0);
	assert_true(gso_is_plain(&g));
}

static void keeps_fields_in_their_places(void **state)
{
	static const uint8_t bytes[GSO_HDR] = { 1, 0x81, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct gso g = gso_get(bytes);
	uint8_t out[GSO_HDR];

	(void)state;
	assert_int_equal(g.flags, 1);
	assert_int_equal(g.type, 0x81);
	assert_int_equal(g.hdr_len, 0x0302);
	assert_int_equal(g.size, 0x0504);
	assert_int_equal(g.csum_start, 0x0706);
	assert_int_equal(g.csum_offset, 0x0908);
	gso_put(&g, out);
	assert_memory_equal(out, bytes, GSO_HDR);
}

static void fits_only_what_the_peer_takes(void **state)
{
	struct gso plain = { .flags = GSO_FLAG_DATA_VALID },
		   csum = { .flags = GSO_FLAG_NEEDS_CSUM };
	struct gso tcp = { .flags = 1, .type = GSO_TYPE_TCPV4 | GSO_TYPE_ECN };
	struct gso udp = { .flags = 1, .type = GSO_TYPE_UDP_L4 };

	(void)state;
	for (uint32_t f = 0; f < 8; f++) {
		bool gso = f & CONTROL_FEATURE_GSO, uso = f & CONTROL_FEATURE_USO;

		assert_true(gso_fits_features(&plain, f));
		assert_int_equal(gso_fits_features(&csum, f), gso);
		assert_int_equal(gso_fits_features(&tcp, f), gso);
		assert_int_equal(gso_fits_features(&udp, f), gso && uso);
	}
	assert_true(gso_is_plain(&plain));
	assert_false(gso_is_plain(&csum) || gso_is_plain(&tcp) || gso_is_plain(&udp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_any_size),
		cmocka_unit_test(checksums_any_size),
		cmocka_unit_test(never_writes_beyond_the_buffer),
		cmocka_unit_test(refuses_every_cut),
		cmocka_unit_test(forgets_fields_without_meaning),
		cmocka_unit_test(keeps_fields_in_their_places),
		cmocka_unit_test(fits_only_what_the_peer_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
