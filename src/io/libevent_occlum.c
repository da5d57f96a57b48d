/*
 * What libevent, which is linked in for the enclave, asks of libc, in the form that is right there.
 *
 * arc4random(): of glibc 2.36, and Occlum's image has 2.35. libevent takes it for the identifiers
 * of DNS queries; the LibOS answers getrandom() by RDRAND, without leaving the enclave.
 *
 * epoll_wait(): libevent doubles the number of events that it asks for up to 4096 whenever all were
 * delivered. Occlum allocates that many, twice, on its small kernel heap at every call, ready or
 * not. The bound ends the doubling: a call that returns less than it was asked for is not a full
 * one.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum {
	EVENTS_MAX = 64,
	RANDOM_CALL_MAX = 256, /* so much getrandom() never cuts short */
};

void arc4random_buf(void *buf, size_t n)
{
	unsigned char *p = buf;

	while (n > 0) {
		size_t part = n < RANDOM_CALL_MAX ? n : RANDOM_CALL_MAX;

		if (getrandom(p, part, 0) != (ssize_t)part)
			abort(); /* without randomness there is nothing to fall back on */
		p += part;
		n -= part;
	}
}

uint32_t arc4random(void)
{
	uint32_t n;

	arc4random_buf(&n, sizeof(n));
	return n;
}

int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
	return epoll_pwait(epfd, events, maxevents < EVENTS_MAX ? maxevents : EVENTS_MAX, timeout,
			   NULL);
}
