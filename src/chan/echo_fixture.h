/* For tests: packets go out again as a gateway sends them on, whole runs of frames at a time. */
#ifndef ENG_CHAN_ECHO_FIXTURE_H
#define ENG_CHAN_ECHO_FIXTURE_H

#include "chan/channel.h"

struct echo {
	struct chan *to; /* NULL: they end here */
	struct iovec run;
};

/* After each batch, too. */
static inline void echo_flush(struct echo *e)
{
	if (e->to && e->run.iov_len > 0)
		chan_send(e->to, &e->run, 1);
	e->run.iov_len = 0;
}

static inline void echo_packet(struct echo *e, const struct chan_packet *p)
{
	if (!e->to)
		return;
	if (e->run.iov_len > 0 && (uint8_t *)e->run.iov_base + e->run.iov_len != p->frame.p)
		echo_flush(e);
	if (e->run.iov_len == 0)
		e->run.iov_base = (void *)(uintptr_t)p->frame.p;
	e->run.iov_len += p->frame.n;
}

#endif
