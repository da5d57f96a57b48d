/*
 * /dev/sgx as Occlum has it: the two requests that make a DCAP quote. Every failure is EINVAL, and
 * once the first request has failed all others do, in every process: so it is in an enclave.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "standin.h"

struct quote_args {
	uint64_t report_data, quote_size, quote; /* addresses */
};
#define GET_DCAP_QUOTE_SIZE _IOR('s', 7, uint32_t)
#define GEN_DCAP_QUOTE _IOWR('s', 8, struct quote_args)

enum {
	ROOM = 256, /* the size is an upper bound: signatures in certificates vary in length */
	SIGNATURE_AT = 436,
};

static uint32_t quote_size(const struct standin *s)
{
	static const uint8_t zeros[64];
	static uint8_t quote[MAKER_QUOTE_MAX];

	if (s->oversize)
		return 1 << 20;
	return (uint32_t)(maker_sgx_quote(&s->tee, zeros, quote) + ROOM);
}

static int get_size(const struct standin *s, pid_t pid, uint64_t arg)
{
	uint32_t size = quote_size(s);

	return standin_write(pid, arg, &size, sizeof(size)) ? 0 : -EINVAL;
}

static int gen_quote(const struct standin *s, pid_t pid, uint64_t arg)
{
	static uint8_t quote[MAKER_QUOTE_MAX];
	uint8_t report_data[64];
	struct quote_args a;
	uint32_t room;
	size_t n;

	if (!standin_read(pid, arg, &a, sizeof(a)) ||
	    !standin_read(pid, a.report_data, report_data, sizeof(report_data)) ||
	    !standin_read(pid, a.quote_size, &room, sizeof(room)) || s->fail_quote)
		return -EINVAL;
	report_data[0] ^= s->other_data;
	memset(quote, 0, sizeof(quote));
	n = s->other_tee ? maker_tdx_quote(&s->tee, report_data, quote)
			 : maker_sgx_quote(&s->tee, report_data, quote);
	if (s->garbage)
		memset(quote, 0xa5, n);
	if (s->cut)
		memset(quote + SIGNATURE_AT, 0, n - SIGNATURE_AT);
	if (s->oversize) /* it means what it said */
		n = sizeof(quote);
	if (room < n)
		return -EINVAL;
	return standin_write(pid, a.quote, quote, n) ? 0 : -EINVAL;
}

static int sgx_ioctl(struct standin *s, pid_t pid, uint32_t request, uint64_t arg)
{
	static bool has_failed;

	if (s->fail > 0 || has_failed) {
		has_failed = true;
		return -EINVAL;
	}
	if (request == GET_DCAP_QUOTE_SIZE)
		return get_size(s, pid, arg);
	return request == GEN_DCAP_QUOTE ? gen_quote(s, pid, arg) : -EINVAL;
}

const struct standin_device standin_device = {
	.path = "/dev/sgx",
	.type = 's',
	.ioctl = sgx_ioctl,
};
