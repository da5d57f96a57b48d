/*
 * A worker of the agent: one queue of the TUN device, one lane to the gateway, one loop. It shares
 * nothing that changes with other workers; each belongs to the thread that runs its loop.
 */
#ifndef ENG_ENTA_WORKER_H
#define ENG_ENTA_WORKER_H

#include "enta/agent.h"

struct worker;

/* Where the further lanes lead: to the gateway that lane 0 has reached. */
struct worker_order {
	bool is_wanted;
	uint64_t round; /* another one is another connection of lane 0 */
	struct endpoint to;
	uint8_t node_id[CONTROL_NODE_ID];
	int32_t alternative; /* of the policy, that accepted it; -1: it was asked for no proof */
};

/* Called in the worker's thread. */
struct worker_owner {
	/* By the worker of lane 0 alone: the others are to follow. */
	void (*lead)(void *ctx, const struct worker_order *order);
	void (*failed)(void *ctx, uint8_t lane); /* the TUN device is gone */
};

/* All is borrowed until worker_free(). */
struct worker_config {
	const struct worker_owner *owner;
	void *ctx;
	uint8_t lane;
	const struct agent_config *agent;
	struct event_base *base;
	struct tun *tun;	   /* whose queue has the number of the lane */
	struct security *security; /* of this thread; NULL: the link is tcp:// */
	const struct control_hello *own;
};

/* That of lane 0 dials at once, by itself. 0 or -errno. */
MUST_USE int worker_new(const struct worker_config *cfg, struct worker **out);
void worker_free(struct worker *w);
struct chan_loop *worker_loop(const struct worker *w);
/* For the others: dials, goes on, or closes. The order is copied. */
void worker_follow(struct worker *w, const struct worker_order *order);
/* Counters, to the log; adds to the totals. */
void worker_print(const struct worker *w, struct chan_totals *sum);
void worker_stop(struct worker *w); /* says goodbye; its loop ends */

#endif
