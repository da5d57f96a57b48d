/*
 * TCP congestion control of the hops; see congestion.h. A file of its own also since the C
 * library's <netinet/tcp.h> ends before tcpi_min_rtt, and the kernel's cannot be included beside
 * it.
 */
#include "io/congestion.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define RESORT "reno" /* every system has it, and allows it to everybody */

enum congestion_distance congestion_judge(enum congestion_distance was, uint32_t min_rtt_us)
{
	if (was == CONGESTION_NEAR || was == CONGESTION_REFUSED || min_rtt_us == 0 ||
	    min_rtt_us == UINT32_MAX)
		return was;
	return min_rtt_us < CONGESTION_FAR_US ? CONGESTION_NEAR : CONGESTION_FAR;
}

static int set(int fd, const char *name)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) < 0)
		return -errno;
	return 0;
}

bool congestion_is_auto(const char *name)
{
	return strcmp(name, CONGESTION_AUTO) == 0;
}

void congestion_start(int fd, const char *name)
{
	if (congestion_is_auto(name))
		name = CONGESTION_PLAIN;
	if (name[0] && set(fd, name) < 0)
		(void)set(fd, RESORT);
}

/* 0 where the kernel does not say. */
static uint32_t min_rtt_us(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_min_rtt;
}

int congestion_adapt(int fd, enum congestion_distance *d)
{
	const enum congestion_distance was = *d;
	int r = 0;

	if (was == CONGESTION_NEAR || was == CONGESTION_REFUSED)
		return 0;
	*d = congestion_judge(was, min_rtt_us(fd));
	if (*d == CONGESTION_FAR && was == CONGESTION_UNKNOWN)
		r = set(fd, CONGESTION_PACED);
	if (*d == CONGESTION_NEAR && was == CONGESTION_FAR)
		congestion_start(fd, CONGESTION_PLAIN);
	if (r < 0)
		*d = CONGESTION_REFUSED;
	return r;
}

/* The kernel begins anew only with one that the socket does not have. */
void congestion_forget(int fd)
{
	if (set(fd, RESORT) == 0)
		congestion_start(fd, CONGESTION_PACED);
}
