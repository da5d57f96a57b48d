/*
 * The program that steers flows to queues, assembled by hand: no compiler and no library for a few
 * dozen instructions. What it computes:
 *
 *   end(address, port) = mix(address ^ protocol << 32 ^ port << 40)
 *   value = mix(end(source) + end(destination)) >> 32
 *   mix(x): x ^= x >> 32, x *= K, x ^= x >> 29
 *
 * The sum does not know which end is which, so that both directions of a flow have the same value.
 * address is that of IPv4, or K times the first half of an IPv6 address plus the second.
 * Ports are 0 unless the protocol is TCP or UDP: in IPv4 not in fragments, of which only the first
 * has them; in IPv6 only right behind the fixed header. Nothing else of a packet matters.
 *
 * Its packets begin with the IP header. A load from beyond the end of a packet ends the program
 * with the value 0; so does what is neither IPv4 nor IPv6.
 *
 *   r6 the packet, r7 source, r8 destination, r9 where the ports are (0: nowhere), r1 K
 *   BPF_LD_ABS and BPF_LD_IND load into r0, in the host's byte order, and destroy r1 to r5.
 */
#include "io/steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>

#include "base/err.h"

/* The finaliser of MurmurHash3: odd, and its bits look like random ones. */
#define K 0xff51afd7ed558ccdULL

#define INSN(op, d, s, o, i)                                                                       \
	{                                                                                          \
		.code = (op), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (int32_t)(i)      \
	}
#define OP(op, d, s) INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)		      /* d op= s */
#define OP_K(op, d, k) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, k)	      /* d op= k */
#define LOAD(size, at) INSN(BPF_LD | BPF_ABS | (size), 0, 0, 0, at)	      /* r0 = packet[at] */
#define LOAD_BEHIND(size, r, at) INSN(BPF_LD | BPF_IND | (size), 0, r, 0, at) /* packet[r + at] */
#define JUMP_IF(op, r, k, n) INSN(BPF_JMP | (op) | BPF_K, r, 0, n, k) /* over n instructions */
#define JUMP(n) INSN(BPF_JMP | BPF_JA, 0, 0, n, 0)
#define END INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LOAD_K(r) INSN(BPF_LD | BPF_DW | BPF_IMM, r, 0, 0, (uint32_t)K), INSN(0, 0, 0, 0, K >> 32)

/* 8 bytes of the packet to r */
#define LOAD_DW(r, at)                                                                             \
	LOAD(BPF_W, at), OP(BPF_MOV, r, 0), OP_K(BPF_LSH, r, 32), LOAD(BPF_W, (at) + 4),           \
		OP(BPF_OR, r, 0)
/* an IPv6 address to r; r9 is used up */
#define LOAD_ADDR6(r, at)                                                                          \
	LOAD_DW(r, at), LOAD_K(1), OP(BPF_MUL, r, 1), LOAD_DW(9, (at) + 8), OP(BPF_ADD, r, 9)
#define MIX(r)                                                                                     \
	OP(BPF_MOV, 2, r), OP_K(BPF_RSH, 2, 32), OP(BPF_XOR, r, 2), OP(BPF_MUL, r, 1),             \
		OP(BPF_MOV, 2, r), OP_K(BPF_RSH, 2, 29), OP(BPF_XOR, r, 2)

enum {
	V4_FRAGMENT = 0x3fff, /* more fragments, or not the first */
	V6_HEADER = 40,
	N_V4 = 14, /* instructions of the part that reads an IPv4 header */
};

static const struct bpf_insn program[] = {
	OP(BPF_MOV, 6, 1),
	LOAD(BPF_B, 0),
	OP_K(BPF_RSH, 0, 4),
	JUMP_IF(BPF_JEQ, 0, 4, 3),
	JUMP_IF(BPF_JEQ, 0, 6, 2 + N_V4),
	OP_K(BPF_MOV, 0, 0),
	END,
	/* IPv4 */
	LOAD(BPF_B, 0),
	OP_K(BPF_AND, 0, 15),
	OP_K(BPF_LSH, 0, 2),
	OP(BPF_MOV, 9, 0),
	LOAD(BPF_H, 6),
	OP_K(BPF_AND, 0, V4_FRAGMENT),
	JUMP_IF(BPF_JEQ, 0, 0, 1),
	OP_K(BPF_MOV, 9, 0),
	LOAD(BPF_W, 12),
	OP(BPF_MOV, 7, 0),
	LOAD(BPF_W, 16),
	OP(BPF_MOV, 8, 0),
	LOAD(BPF_B, 9),
	JUMP(2 * (5 + 2 + 1 + 5 + 1) + 2),
	/* IPv6 */
	LOAD_ADDR6(7, 8),
	LOAD_ADDR6(8, 24),
	OP_K(BPF_MOV, 9, V6_HEADER),
	LOAD(BPF_B, 6),
	/* Both; r0 is the protocol. */
	OP(BPF_MOV, 1, 0),
	OP_K(BPF_LSH, 1, 32),
	OP(BPF_XOR, 7, 1),
	OP(BPF_XOR, 8, 1),
	JUMP_IF(BPF_JEQ, 9, 0, 8),
	JUMP_IF(BPF_JEQ, 0, IPPROTO_TCP, 1),
	JUMP_IF(BPF_JNE, 0, IPPROTO_UDP, 6),
	LOAD_BEHIND(BPF_H, 9, 0),
	OP_K(BPF_LSH, 0, 40),
	OP(BPF_XOR, 7, 0),
	LOAD_BEHIND(BPF_H, 9, 2),
	OP_K(BPF_LSH, 0, 40),
	OP(BPF_XOR, 8, 0),
	LOAD_K(1),
	MIX(7),
	MIX(8),
	OP(BPF_ADD, 7, 8),
	MIX(7),
	OP(BPF_MOV, 0, 7),
	OP_K(BPF_RSH, 0, 32),
	END,
};

int steer_load(int *out_fd)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr)); /* its holes too, which the kernel checks */
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = ARRAY_LEN(program);
	attr.license = (uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, "eng_steer", sizeof("eng_steer"));
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		return err_new(-errno);
	*out_fd = (int)fd;
	return 0;
}
