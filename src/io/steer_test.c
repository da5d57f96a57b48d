/*
 * The steering program as the kernel runs it (BPF_PROG_TEST_RUN), against the same computation in
 * C; and that flows stay together, in both directions, and spread.
 */
#include "io/steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>

#include "base/span.h"
#include "base/test.h"

enum {
	ETHERNET =
		14, /* bytes that the kernel wants before the packet, and hides from the program */
	PACKET_MAX = 200,
};

static int prog = -1;

static uint32_t value_of(const uint8_t *packet, size_t n)
{
	/* A type of no protocol: of those that it knows the kernel takes no short packets here. */
	uint8_t in[ETHERNET + PACKET_MAX] = { [12] = 0x88, 0xb5 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	memcpy(in + ETHERNET, packet, n);
	attr.test.prog_fd = (uint32_t)prog;
	attr.test.data_in = (uintptr_t)in;
	attr.test.data_size_in = (uint32_t)(ETHERNET + n);
	attr.test.repeat = 1;
	assert_int_equal(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)), 0);
	return attr.test.retval;
}

/* --- packets --- */

struct flow {
	uint8_t version, proto;
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
};

static struct flow reverse(const struct flow *f)
{
	struct flow back = *f;

	memcpy(back.src, f->dst, sizeof(back.src));
	memcpy(back.dst, f->src, sizeof(back.dst));
	back.sport = f->dport;
	back.dport = f->sport;
	return back;
}

/* Everything that does not tell the flow is random. options: words of an IPv4 header. */
static size_t put(uint8_t *p, const struct flow *f, uint8_t options)
{
	const size_t head = f->version == 4 ? 20 + options * 4u : 40;

	for (size_t i = 0; i < PACKET_MAX; i++)
		p[i] = (uint8_t)rand();
	if (f->version == 4) {
		p[0] = (uint8_t)(0x45 + options);
		put_be16(p + 6,
			 (uint16_t)(rand() & 0xc000)); /* DF, and the bit that means nothing */
		p[9] = f->proto;
		memcpy(p + 12, f->src, 4);
		memcpy(p + 16, f->dst, 4);
	} else {
		p[0] = (uint8_t)(0x60 | (rand() & 15));
		p[6] = f->proto;
		memcpy(p + 8, f->src, 16);
		memcpy(p + 24, f->dst, 16);
	}
	put_be16(p + head, f->sport);
	put_be16(p + head + 2, f->dport);
	return head + 20;
}

static struct flow some_flow(void)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 50, 44, 0 };
	struct flow f = { .version = rand() % 2 ? 4 : 6,
			  .proto = protos[rand() % 6],
			  .sport = (uint16_t)rand(),
			  .dport = (uint16_t)rand() };

	for (size_t i = 0; i < 16; i++) {
		f.src[i] = (uint8_t)rand();
		f.dst[i] = (uint8_t)rand();
	}
	return f;
}

/* --- what steer.c says that it computes --- */

static const uint64_t k = 0xff51afd7ed558ccd;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= k;
	return x ^ x >> 29;
}

static uint64_t dword(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static uint64_t end_of(const struct flow *f, const uint8_t *addr, uint16_t port, bool has_ports)
{
	uint64_t a = f->version == 4 ? get_be32(addr) : dword(addr) * k + dword(addr + 8);

	if (!has_ports || (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP))
		port = 0;
	return mix(a ^ (uint64_t)f->proto << 32 ^ (uint64_t)port << 40);
}

static uint32_t expected(const struct flow *f, bool has_ports)
{
	return (uint32_t)(mix(end_of(f, f->src, f->sport, has_ports) +
			      end_of(f, f->dst, f->dport, has_ports)) >>
			  32);
}

static void computes_what_it_says(void **state)
{
	uint8_t p[PACKET_MAX];
	struct flow f, back;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		f = some_flow();
		back = reverse(&f);
		assert_int_equal(value_of(p, put(p, &f, (uint8_t)(rand() % 11))),
				 expected(&f, true));
		assert_int_equal(value_of(p, put(p, &back, 0)), expected(&f, true));
	}
}

static void fragments_have_no_ports(void **state)
{
	static const uint16_t fields[] = { 0x2000, 0x0001, 0x3fff, 0x1000, 0x6000 };
	uint8_t p[PACKET_MAX];
	struct flow f;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		f = some_flow();
		f.version = 4;
		f.proto = IPPROTO_UDP;
		n = put(p, &f, 0);
		put_be16(p + 6, fields[i]);
		assert_int_equal(value_of(p, n), expected(&f, false));
	}
}

/* Flows that differ in one port, in one address, in the last bit: all queues get their share. */
static void flows_spread(void **state)
{
	enum { N_FLOWS = 6000 };
	static const uint32_t queues[] = { 2, 3, 8, 16 };
	uint8_t p[PACKET_MAX];
	struct flow f;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		uint32_t counts[ARRAY_LEN(queues)][16] = { 0 };

		f = (struct flow){ .version = kind < 2 ? 4 : 6,
				   .proto = IPPROTO_TCP,
				   .src = { 10, 0, 0, 1 },
				   .dst = { 10, 0, 0, 2 },
				   .sport = 32768,
				   .dport = 80 };
		for (int i = 0; i < N_FLOWS; i++) {
			if (kind % 2)
				f.sport++;
			else
				put_be16(f.dst + (f.version == 4 ? 2 : 14), (uint16_t)i);
			const uint32_t v = value_of(p, put(p, &f, 0));

			for (size_t q = 0; q < ARRAY_LEN(queues); q++)
				counts[q][v % queues[q]]++;
		}
		for (size_t q = 0; q < ARRAY_LEN(queues); q++)
			for (uint32_t i = 0; i < queues[q]; i++)
				assert_in_range(counts[q][i], N_FLOWS / queues[q] * 8 / 10,
						N_FLOWS / queues[q] * 12 / 10);
	}
}

/* Whatever is cut, nothing is read that is not there, and the program ends. */
static void short_packets_go_somewhere(void **state)
{
	uint8_t p[PACKET_MAX];
	struct flow f;
	uint32_t v;
	size_t need;

	(void)state;
	for (int i = 0; i < 200; i++) {
		f = some_flow();
		f.proto = i % 2 ? IPPROTO_TCP : IPPROTO_ICMP;
		put(p, &f, 0);
		need = (f.version == 4 ? 20u : 40u) + (i % 2 ? 4u : 0u);
		for (size_t n = 1; n <= need; n++) {
			v = value_of(p, n);
			assert_int_equal(v, n < need ? 0 : expected(&f, true));
		}
	}
	for (unsigned first = 0; first < 256; first++) { /* any version, any header length */
		memset(p, 0x5a, sizeof(p));
		p[0] = (uint8_t)first;
		for (size_t n = 1; n < 80; n += 13)
			(void)value_of(p, n);
		v = value_of(p, 80);
		assert_true(v == 0 || first >> 4 == 4 || first >> 4 == 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computes_what_it_says),
		cmocka_unit_test(fragments_have_no_ports),
		cmocka_unit_test(flows_spread),
		cmocka_unit_test(short_packets_go_somewhere),
	};

	const int r = steer_load(&prog);

	if (r == -EPERM || r == -ENOSYS) {
		fprintf(stderr, "bpf(2) is not permitted here\n");
		return 77; /* a skip, for meson and test/run */
	}
	srand(1);
	return r == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
