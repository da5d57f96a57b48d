/* Checksums against the plain algorithm, TTLs, and answers; the vectors have the parsing. */
#include "wire/ip.h"

#include <netinet/in.h>

#include "base/test.h"

enum { V4 = 20, V6 = 40 };

/* RFC 1071, 4.1 as it is printed there. */
static uint16_t plain_checksum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void make_v4(uint8_t *p, size_t n, uint8_t protocol)
{
	static const uint8_t head[V4] = { 0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 0,
					  0,	0, 10, 0, 0, 1, 10,   0, 0,  2 };

	memcpy(p, head, V4);
	put_be16(p + 2, (uint16_t)n);
	p[9] = protocol;
	put_be16(p + 10, plain_checksum(p, V4, 0));
	for (size_t i = V4; i < n; i++)
		p[i] = (uint8_t)i;
}

static void make_v6(uint8_t *p, size_t n, uint8_t protocol)
{
	memset(p, 0, V6);
	p[0] = 0x60;
	put_be16(p + 4, (uint16_t)(n - V6));
	p[6] = protocol;
	p[7] = 64;
	p[8] = p[24] = 0xfd;
	p[23] = 1;
	p[39] = 2;
	for (size_t i = V6; i < n; i++)
		p[i] = (uint8_t)i;
}

static void sums_like_the_plain_algorithm(void **state)
{
	static uint8_t bytes[65536];
	size_t lengths[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 1499, 1500, 65535, 65536 };

	(void)state;
	for (unsigned fill = 0; fill < 3; fill++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = fill == 0 ? 0xff : fill == 1 ? (uint8_t)(i * 167 + i / 256) : 0;
		for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
			for (uint32_t sum = 0; sum < 0x30000; sum += 0xffff)
				assert_int_equal(ip_sum_fold(ip_sum(bytes, lengths[i], sum)),
						 plain_checksum(bytes, lengths[i], sum));
	}
	assert_int_equal(ip_sum_fold(ip_sum(bytes + 100, 40, ip_sum(bytes, 100, 0))),
			 plain_checksum(bytes, 140, 0));
}

static void decrements_and_keeps_the_checksum_right(void **state)
{
	uint8_t p[V6], before[V6];

	(void)state;
	for (unsigned id = 0; id < 0x10000; id += 7) { /* so that the checksum takes many values */
		make_v4(p, V4, IPPROTO_UDP);
		p[8] = (uint8_t)(2 + id % 254);
		put_be16(p + 4, (uint16_t)id);
		put_be16(p + 10, 0);
		put_be16(p + 10, plain_checksum(p, V4, 0));
		assert_true(ip_decrement_ttl(p));
		assert_int_equal(p[8], 1 + id % 254);
		assert_int_equal(plain_checksum(p, V4, 0), 0);
	}
	for (uint8_t ttl = 0; ttl < 2; ttl++) {
		make_v4(p, V4, IPPROTO_UDP);
		p[8] = ttl;
		memcpy(before, p, V4);
		assert_false(ip_decrement_ttl(p));
		assert_memory_equal(p, before, V4);
		make_v6(p, V6, IPPROTO_UDP);
		p[7] = ttl;
		assert_false(ip_decrement_ttl(p));
		assert_int_equal(p[7], ttl);
	}
	make_v6(p, V6, IPPROTO_UDP);
	assert_true(ip_decrement_ttl(p));
	assert_int_equal(p[7], 63);
}

static void reads_what_a_gateway_needs(void **state)
{
	uint8_t p[V6 + 8];
	struct ip_info info;
	struct addr a;

	(void)state;
	make_v4(p, V4 + 8, IPPROTO_TCP);
	assert_int_equal(ip_parse(SPAN(p, V4 + 8), &info), 0);
	assert_true(addr_parse("10.0.0.1", &a) && addr_equal(&a, &info.src));
	assert_true(addr_parse("10.0.0.2", &a) && addr_equal(&a, &info.dst));
	assert_int_equal(info.protocol, IPPROTO_TCP);
	assert_int_equal(info.ttl, 64);
	assert_int_equal(info.l4_offset, V4);
	make_v6(p, V6 + 8, IPPROTO_DSTOPTS);
	p[V6] = IPPROTO_UDP;
	p[V6 + 1] = 0;
	assert_int_equal(ip_parse(SPAN(p, V6 + 8), &info), 0);
	assert_true(addr_parse("fd00::1", &a) && addr_equal(&a, &info.src));
	assert_true(addr_parse("fd00::2", &a) && addr_equal(&a, &info.dst));
	assert_int_equal(info.protocol, IPPROTO_UDP);
	assert_int_equal(info.l4_offset, V6 + 8);
}

static void refuses_what_no_tun_hands_over(void **state)
{
	static uint8_t p[IP_PACKET_MAX + 1];
	struct ip_info info;

	(void)state;
	make_v6(p, IP_PACKET_MAX, IPPROTO_UDP);
	assert_int_equal(ip_parse(SPAN(p, IP_PACKET_MAX), &info), 0);
	make_v6(p, IP_PACKET_MAX + 1, IPPROTO_UDP);
	assert_int_equal(ip_parse(SPAN(p, IP_PACKET_MAX + 1), &info), IP_E_LENGTH);
}

static void answers_ipv4(void **state)
{
	uint8_t p[1500], out[1280];
	struct addr from, a;
	struct ip_info info, reply;
	size_t n;

	(void)state;
	assert_true(addr_parse("192.0.2.1", &from));
	for (size_t size = V4; size <= sizeof(p); size += 37) {
		make_v4(p, size, IPPROTO_UDP);
		assert_int_equal(ip_parse(SPAN(p, size), &info), 0);
		n = ip_put_unreachable(SPAN(p, size), &info, &from, out, sizeof(out));
		assert_int_equal(n, size + 28 < 576 ? size + 28 : 576);
		assert_int_equal(ip_parse(SPAN(out, n), &reply), 0);
		assert_true(addr_equal(&reply.src, &from));
		assert_true(addr_parse("10.0.0.1", &a) && addr_equal(&reply.dst, &a));
		assert_int_equal(reply.protocol, IPPROTO_ICMP);
		assert_int_equal(get_be16(out + V4), 0x0301);
		assert_int_equal(plain_checksum(out, V4, 0), 0);
		assert_int_equal(plain_checksum(out + V4, n - V4, 0), 0);
		assert_memory_equal(out + V4 + 8, p, n - V4 - 8);
		assert_int_equal(ip_put_unreachable(SPAN(p, size), &info, &from, out, n - 1), 0);
	}
}

static void answers_ipv6(void **state)
{
	uint8_t p[1500], out[1280];
	struct addr from, a;
	struct ip_info info, reply;
	uint16_t sum;
	size_t n;

	(void)state;
	assert_true(addr_parse("2001:db8::1", &from));
	for (size_t size = V6; size <= sizeof(p); size += 37) {
		make_v6(p, size, IPPROTO_UDP);
		assert_int_equal(ip_parse(SPAN(p, size), &info), 0);
		n = ip_put_unreachable(SPAN(p, size), &info, &from, out, sizeof(out));
		assert_int_equal(n, size + 48 < 1280 ? size + 48 : 1280);
		assert_int_equal(ip_parse(SPAN(out, n), &reply), 0);
		assert_true(addr_equal(&reply.src, &from));
		assert_true(addr_parse("fd00::1", &a) && addr_equal(&reply.dst, &a));
		assert_int_equal(get_be16(out + V6), 0x0100);
		sum = plain_checksum(out + 8, n - 8, (uint32_t)(n - V6) + IPPROTO_ICMPV6);
		assert_int_equal(sum, 0);
		assert_memory_equal(out + V6 + 8, p, n - V6 - 8);
		assert_int_equal(ip_put_unreachable(SPAN(p, size), &info, &from, out, n - 1), 0);
	}
}

static bool answers(bool v4, uint8_t type, size_t icmp_bytes, const struct addr *from)
{
	uint8_t p[V6 + 8], out[1280];
	size_t n = (v4 ? V4 : V6) + icmp_bytes;
	struct ip_info info;

	if (v4)
		make_v4(p, n, IPPROTO_ICMP);
	else
		make_v6(p, n, IPPROTO_ICMPV6);
	if (icmp_bytes > 0)
		p[v4 ? V4 : V6] = type;
	assert_int_equal(ip_parse(SPAN(p, n), &info), 0);
	return ip_put_unreachable(SPAN(p, n), &info, from, out, sizeof(out)) > 0;
}

static void answers_no_error_with_an_error(void **state)
{
	struct addr v4, v6;

	(void)state;
	assert_true(addr_parse("192.0.2.1", &v4) && addr_parse("2001:db8::1", &v6));
	for (unsigned type = 0; type < 256; type++) {
		bool query4 = type == 0 || type == 8 || (type >= 13 && type <= 18);
		bool query6 = type >= 128 && type != 137;

		assert_int_equal(answers(true, (uint8_t)type, 8, &v4), query4);
		assert_int_equal(answers(false, (uint8_t)type, 8, &v6), query6);
		assert_false(answers(true, (uint8_t)type, 8, &v6));
		assert_false(answers(false, (uint8_t)type, 8, &v4));
	}
	assert_false(answers(true, 0, 0, &v4));
	assert_false(answers(false, 0, 0, &v6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_like_the_plain_algorithm),
		cmocka_unit_test(decrements_and_keeps_the_checksum_right),
		cmocka_unit_test(reads_what_a_gateway_needs),
		cmocka_unit_test(refuses_what_no_tun_hands_over),
		cmocka_unit_test(answers_ipv4),
		cmocka_unit_test(answers_ipv6),
		cmocka_unit_test(answers_no_error_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
