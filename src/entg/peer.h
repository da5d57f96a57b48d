/* What the files of the gateway share: a peer, and the parts of the gateway. */
#ifndef ENG_ENTG_PEER_H
#define ENG_ENTG_PEER_H

#include <sys/queue.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/log.h"
#include "chan/channel.h"
#include "chan/link.h"
#include "entg/gateway.h"
#include "route/table.h"

struct peer {
	struct gateway *g;
	struct chan *c;
	TAILQ_ENTRY(peer) link;
	bool v0_learnt;		      /* a v0 agent's address is known */
	uint8_t v0_id[ROUTE_NODE_ID]; /* a v0 gateway on the paths that we announce */
	/*
	 * What the last packet's lookups found, good while the table has this generation: packets
	 * come in runs of one flow.
	 */
	uint64_t generation;
	struct addr src, dst;
	struct peer *next_hop;
};

TAILQ_HEAD(peer_list, peer);

/* Frames for one next hop, in the order they came, where they lie in the receive buffer. */
struct run {
	struct peer *to;
	int n_iov;
	struct iovec iov[16];
};

struct listener {
	struct gateway *g;
	struct event *event;
	int fd;
	struct chan_config chan;
};

struct gateway {
	struct event_base *base;
	struct security *security; /* NULL: every hop is tcp:// */
	struct chan_loop *loop;
	struct route_table *table;
	bool compat, adapts, stopping; /* compat, adapts: chan_config's */
	struct peer_list peers;
	size_t n_agents, n_neighbours;
	size_t n_listeners, n_links;
	struct listener listeners[2 * GATEWAY_LISTEN_MAX];
	struct link *links[GATEWAY_NEIGHBOURS_MAX];
	struct event *expire; /* lingering routes, once a second */
	uint64_t generation;  /* of the table: counts its changes */
	uint64_t changed_ms;  /* when it last changed */
	uint64_t lost_ms;     /* when a peer last went away */
	struct run runs[8];
	size_t n_runs;
	/* Changes of the table to tell the neighbours, of the call under way. */
	struct log_limit denied_log;
	struct control_routes news;
	const struct peer *news_from[CONTROL_ROUTES_MAX]; /* split horizon: who told us */
};

/* forward.c */
enum chan_reason forward_packet(struct peer *from, const struct chan_packet *p);
void forward_flush(struct gateway *g);
/* neighbours.c: the table's news out, the neighbours' news in */
void neighbours_changed(void *gateway, const struct prefix *prefix, void *peer,
			const struct route_path *path);
void neighbours_tell(struct gateway *g); /* after every call that may have changed the table */
void neighbours_tell_all(struct gateway *g, struct peer *newcomer);
enum chan_reason neighbours_told(struct peer *from, const struct control_routes *r);
/* peer.c */
extern const struct chan_handler peer_handler; /* owner: the gateway */
enum chan_reason peer_learn(struct peer *p, const struct addr *src);

#endif
