/* Packets: what is accepted lies within its bytes, and can be forwarded and answered. */
#include "fuzz.h"

#include <string.h>

#include "wire/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t copy[IP_PACKET_MAX], answer[1280];
	struct span packet = SPAN(bytes, n);
	struct ip_info info, again;
	struct addr from;
	size_t n_answer;
	bool v4;

	if (ip_parse(packet, &info) != 0)
		return 0;
	v4 = info.src.family == AF_INET;
	must(n <= IP_PACKET_MAX && info.l4_offset >= (v4 ? 20 : 40) && info.l4_offset <= n);
	memcpy(copy, bytes, n);
	must(ip_decrement_ttl(copy) == (info.ttl > 1));
	must(ip_parse(SPAN(copy, n), &again) == 0);
	must(again.ttl == info.ttl - (info.ttl > 1) && again.l4_offset == info.l4_offset);
	if (v4 && info.ttl > 1) /* a wrong checksum stays wrong, a right one right */
		must((ip_sum_fold(ip_sum(bytes, 20, 0)) == 0) ==
		     (ip_sum_fold(ip_sum(copy, 20, 0)) == 0));
	from = info.dst;
	n_answer = ip_put_unreachable(packet, &info, &from, answer, sizeof(answer));
	if (n_answer == 0)
		return 0;
	must(ip_parse(SPAN(answer, n_answer), &again) == 0);
	must(addr_equal(&again.dst, &info.src) && addr_equal(&again.src, &from));
	must(ip_put_unreachable(SPAN(answer, n_answer), &again, &again.dst, copy, sizeof(copy)) ==
	     0);
	return 0;
}
