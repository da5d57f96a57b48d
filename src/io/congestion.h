/*
 * TCP congestion control of the hops.
 *
 * What crosses a hop has its own, so a near hop wants to be plain: one that paces (bbr) costs
 * timers, and half of the throughput of a hop inside a host. A far hop that is plain multiplies
 * what random loss does: at 20 ms and 1 % it carries 7 Mbit/s, and what crosses it never learns of
 * a loss that it could ignore. So, unless the operator names one, a hop's distance decides.
 * docs/adr/0003-tcp-in-tcp.md has the measurements.
 */
#ifndef ENG_IO_CONGESTION_H
#define ENG_IO_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

#define CONGESTION_AUTO "auto" /* what an operator who names none has */
#define CONGESTION_PLAIN "cubic"
#define CONGESTION_PACED "bbr"

enum {
	CONGESTION_FAR_US = 3000 /* no cable of one site takes as long; 150 Mbit/s for a plain hop
				    that loses one packet of a thousand */
};

enum congestion_distance {
	CONGESTION_UNKNOWN = 0,
	CONGESTION_NEAR,
	CONGESTION_FAR,
	CONGESTION_REFUSED, /* far, and the system does not let us pace */
};

/*
 * How far the peer is, by the shortest round trip that the kernel has seen lately (TCP_INFO; 0 or
 * UINT32_MAX: none). Queues, also our own, and busy processors make a trip longer, never shorter:
 * what has once been near is near, and a far peer may turn out to be near. So it does not flap.
 */
enum congestion_distance congestion_judge(enum congestion_distance was, uint32_t min_rtt_us);

bool congestion_is_auto(const char *name);
/* What a socket has before it connects or listens. Best effort: reno where it is refused. */
void congestion_start(int fd, const char *name);

/*
 * For a connected socket of CONGESTION_AUTO, now and then: judges, and sets what fits if that is
 * something new. *d is the connection's, zero at first. 0, or -errno: it is far and the system does
 * not let us pace (an unprivileged process may set what net.ipv4.tcp_allowed_congestion_control
 * lists); said once, and the socket stays as it is.
 */
MUST_USE int congestion_adapt(int fd, enum congestion_distance *d);

/*
 * For a socket of a CONGESTION_FAR hop that has little to send: it forgets how fast the way is.
 * What bbr thinks of it comes from such a time, a few packets with one lost among them, and it
 * would take two seconds to get from there to 200 Mbit/s; one that knows nothing takes a tenth of
 * that.
 */
void congestion_forget(int fd);

#endif
