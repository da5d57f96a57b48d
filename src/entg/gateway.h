/* The gateway: peers, the table between them, and packets from one to the other. */
#ifndef ENG_ENTG_GATEWAY_H
#define ENG_ENTG_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "chan/security.h"
#include "io/stream.h"
#include "wire/control.h"

enum {
	GATEWAY_AGENTS_MAX = 1024,
	GATEWAY_NEIGHBOURS_MAX = 64,
	GATEWAY_LANES_MAX = 2048, /* further connections of those */
	GATEWAY_LISTEN_MAX = 4,	  /* addresses per kind of peer */
	GATEWAY_WORKERS_MAX = CONTROL_LANES_MAX,
};

struct gateway;
struct event_base;

struct gateway_config {
	char name[CONTROL_NAME_MAX + 1];
	bool compat;
	unsigned n_workers; /* 1 to GATEWAY_WORKERS_MAX */
	unsigned poll_us;   /* of chan_loop_run() */
	bool has_admin;
	struct endpoint admin;
	struct stream_options stream;
	struct security_config security;
	size_t n_connect, n_listen_gateways, n_listen_agents;
	struct endpoint connect[GATEWAY_NEIGHBOURS_MAX];
	struct endpoint listen_gateways[GATEWAY_LISTEN_MAX];
	struct endpoint listen_agents[GATEWAY_LISTEN_MAX];
};

/*
 * Sets up what it proves and judges with, opens the listeners and dials the neighbours. cfg is
 * borrowed until gateway_free(). On failure *out_wrong says what could not be had (static storage).
 * 0 or -errno.
 */
MUST_USE int gateway_new(struct event_base *base, const struct gateway_config *cfg,
			 struct gateway **out, const char **out_wrong);
void gateway_free(struct gateway *g);
MUST_USE int gateway_run(struct gateway *g); /* until it is stopped; 0 or -errno: no threads */
void gateway_print(const struct gateway *g); /* counters and peers, to the log */
void gateway_reload(struct gateway *g);	     /* reads the policies again; closes whom they refuse */
/* No new peers; GOAWAY to those that are there; the loop ends when the last is gone. */
void gateway_stop(struct gateway *g);

#endif
