/* The agent: packets between its TUN device and its gateway. What is captured is capture.h's
 * business. */
#ifndef ENG_ENTA_AGENT_H
#define ENG_ENTA_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "chan/link.h"
#include "chan/security.h"
#include "io/stream.h"
#include "wire/control.h"

struct agent;
struct event_base;
struct tun;

enum {
	AGENT_ADDRS_MAX = 16,
	/*
	 * The mark of every agent's own sockets, "ENGA". One for all instances of a host, so that
	 * none captures another's link.
	 */
	AGENT_FWMARK = 0x454e4741,
	/* Bytes: the largest there is, so that no datagram is ever fragmented on its way into the
	   TUN. */
	AGENT_MTU = 65535,
	/*
	 * How long packets wait in the TUN device for a link that is down, before applications are
	 * told that the destination is unreachable: longer than a gateway takes to restart.
	 */
	AGENT_WAIT_MS = 2000,
};

struct agent_config {
	char name[CONTROL_NAME_MAX + 1];
	bool compat; /* the gateway speaks v0 */
	struct stream_options stream;
	struct security_config security;
	size_t n_endpoints, n_addrs;
	struct endpoint endpoints[LINK_ENDPOINTS_MAX];
	struct addr addrs[AGENT_ADDRS_MAX]; /* of the TUN: what this agent owns */
	unsigned n_workers;		    /* 1 to CONTROL_LANES_MAX */
};

/*
 * tun has as many queues as there are workers. It is borrowed and outlives the agent, and so is
 * security (NULL: the link is tcp://). 0 or -errno.
 */
MUST_USE int agent_new(struct event_base *base, const struct agent_config *cfg, struct tun *tun,
		       struct security *security, struct agent **out);
void agent_free(struct agent *a);
/* Until it is stopped; poll_us as in chan_loop_run(). The other threads begin and end here, and get
 * no signals. 0; -ENODEV: the TUN device is gone; -errno. */
MUST_USE int agent_run(struct agent *a, unsigned poll_us);
/* What follows is for the thread that runs it. */
void agent_print(struct agent *a);  /* counters and the gateway, to the log */
void agent_reload(struct agent *a); /* reads the policy again; leaves a gateway that it refuses */
void agent_stop(struct agent *a);   /* says goodbye; the loops end */

#endif
