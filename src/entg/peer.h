/* What the files of the gateway share: peers, workers, and the gateway that they are parts of. */
#ifndef ENG_ENTG_PEER_H
#define ENG_ENTG_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/ring.h"
#include "chan/channel.h"
#include "chan/door.h"
#include "chan/link.h"
#include "entg/gateway.h"
#include "io/mailbox.h"
#include "route/table.h"

enum {
	SHARD_PLACES = 4096,	  /* more than there may be peers of all workers; a power of two */
	SHARD_RING = 1024 * 1024, /* bytes under way from one worker to another: four batches */
};

_Static_assert(SHARD_PLACES > GATEWAY_AGENTS_MAX + GATEWAY_NEIGHBOURS_MAX + GATEWAY_LANES_MAX,
	       "every peer has a place");

/* What a peer is: the same on every worker. */
struct peer_facts {
	uint64_t id;   /* never used twice; its low bits are the place in every worker's table */
	unsigned home; /* the worker that has its channel */
	enum control_role role;
	enum chan_protocol protocol;
	uint8_t lane; /* 0: the connection that speaks for its node */
	int link;     /* which of the configured neighbours we dialled; -1: it dialled us */
	struct endpoint remote;
	struct control_hello hello;
	/* Accepted by evidence, and by which alternative of the policy. */
	bool attested, may_replace;
	int32_t alternative;
};

STAILQ_HEAD(rib_ops, rib_op);
TAILQ_HEAD(peer_list, peer);

struct peer {
	struct shard *s;
	struct chan *c; /* NULL: it is another worker's */
	struct peer_facts f;
	TAILQ_ENTRY(peer) link;
	bool is_leaving; /* told to close: nobody joins it any more */
	/*
	 * The peer of lane 0, for which the routes stand; itself for most. NULL: that one is gone.
	 * It knows all lanes, and those that packets of this worker leave by: this worker's own
	 * ones if there are any.
	 */
	struct peer *node;
	struct peer *lanes[CONTROL_LANES_MAX], *ways[CONTROL_LANES_MAX];
	size_t n_ways;
	bool v0_learnt;		      /* a v0 agent's address is known */
	uint8_t v0_id[ROUTE_NODE_ID]; /* a v0 gateway on the paths that we announce */
	/*
	 * What the last packet's lookups found, good while the worker has this generation: packets
	 * come in runs of one flow.
	 */
	uint64_t generation;
	struct addr src, dst;
	struct peer *next_hop;
	uint64_t spread_ms; /* when it last sent to another next hop than before */
	/* backpressure.c: it is not read while this one has no room; NULL: it is. */
	struct peer *waits_for;
	uint64_t wait_until_ms;
	TAILQ_ENTRY(peer) wait_link, room_link;
	struct peer_list waiters; /* for this one, the longest first */
	bool is_stuck;		  /* was waited for in vain, and has had no room since */
	struct rib_ops farewells; /* tell the other workers that it is gone; made in time */
};

/* Frames for one next hop, in the order they came, where they lie in the receive buffer. */
struct run {
	struct peer *to;
	int n_iov;
	struct iovec iov[16];
};

struct listener {
	struct gateway *g;
	struct door *door;
	enum control_role expect;
	bool plain;
};

/*
 * What one worker has to itself: a thread, an event loop, channels, and a copy of the table. Only
 * its thread touches it, but for what is marked.
 */
struct shard {
	struct gateway *g;
	unsigned index;
	struct event_base *base;
	struct mailbox *box;	   /* NULL: it is the only one */
	struct security *security; /* NULL: every hop is tcp:// */
	struct chan_loop *loop;
	struct route_table *table;
	bool is_stopping;
	bool is_incomplete;		   /* memory was short: it must not decide who owns what */
	struct peer_list peers;		   /* those of the other workers too */
	struct peer *places[SHARD_PLACES]; /* by id */
	struct peer_list waiting;	   /* those that are not read, in the order of their ends */
	struct event *wait_over;	   /* of the first of them */
	struct link *links[GATEWAY_NEIGHBOURS_MAX];
	struct event *expire; /* lingering routes, once a second */
	uint64_t generation;  /* of table and peers: counts changes */
	uint64_t changed_ms;  /* when the table last changed */
	uint64_t lost_ms;     /* when a peer last went away */
	struct run runs[8];
	size_t n_runs;
	uint8_t *segments; /* FORWARD_SEGMENTS bytes: for packets cut for a next hop */
	struct log_limit denied_log;
	/* Changes of the table to tell the neighbours, of the call under way. */
	struct control_routes news;
	const struct peer *news_from[CONTROL_ROUTES_MAX]; /* split horizon: who told us */
	uint64_t handed_over, handover_drops;		  /* frames for other workers' channels */
	/* From other threads. */
	struct rib_ops ops;		      /* what they have changed; under the gateway's lock */
	atomic_bool has_ops;		      /* whether there are any */
	atomic_bool has_rung;		      /* the bell, until it is answered */
	atomic_size_t n_chans;		      /* accepted for it */
	atomic_bool is_crowded;		      /* `evict` is on its way */
	struct ring *in[GATEWAY_WORKERS_MAX]; /* frames from the worker of that number */
	int bell_fd;
	struct event *bell;
	/* The first worker's, about this one. */
	pthread_t thread;
	bool is_running;
	struct mail stop, evict;
};

struct gateway {
	const struct gateway_config *cfg;
	bool is_stopping;
	size_t n_listeners, n_shards;
	struct listener listeners[2 * GATEWAY_LISTEN_MAX];
	struct shard *shards[GATEWAY_WORKERS_MAX]; /* the first runs in the main thread */
	/* Who owns what is decided by one worker at a time, which holds this; see rib.c. */
	pthread_mutex_t lock;
	size_t n_agents, n_neighbours, n_lanes;
	uint64_t last_id;
};

/* forward.c */
enum { FORWARD_SEGMENTS = 128 * 1024 };
enum chan_reason forward_packet(struct peer *from, const struct chan_packet *p);
void forward_flush(struct shard *s);
/* backpressure.c */
MUST_USE int backpressure_init(struct shard *s); /* 0 or -ENOMEM */
bool backpressure_may_read(struct peer *from);	 /* false: `from` waits */
void backpressure_room(struct peer *to);	 /* who waits for it goes on */
void backpressure_gone(struct peer *p);
/* What the peer takes; of its lanes all take the same. */
static inline uint32_t peer_features(const struct peer *p)
{
	return p->f.protocol == CHAN_PROTOCOL_ENG1 ? p->f.hello.features : 0;
}
/* rib.c */
void rib_enter(struct shard *s); /* the others wait; this worker's copy is up to date */
void rib_leave(struct shard *s);
void rib_catch_up(struct shard *s);
void rib_discard(struct shard *s); /* what nobody will look at any more */
/* Between rib_enter() and rib_leave(); on every worker. As route_add() and so on. */
MUST_USE int rib_introduce(struct peer *p);
void rib_gone(struct peer *p); /* and frees it */
MUST_USE int rib_add(struct peer *p, const struct prefix *prefix, const struct route_path *path);
MUST_USE int rib_withdraw(struct peer *p, const struct prefix *prefix);
MUST_USE int rib_drop(struct peer *p);
/* Drops its routes, and closes it where it is. 0 or -ENOMEM. */
MUST_USE int rib_evict(struct peer *p, enum chan_reason why);
MUST_USE int rib_update(struct peer *p); /* it was judged anew */
/* neighbours.c: the table's news out, the neighbours' news in */
void neighbours_changed(void *shard, const struct prefix *prefix, void *peer,
			const struct route_path *path);
void neighbours_tell(struct shard *s); /* after every call that may have changed the table */
void neighbours_tell_all(struct shard *s, struct peer *newcomer);
enum chan_reason neighbours_told(struct peer *from, const struct control_routes *r);
/* peer.c */
extern const struct chan_handler peer_handler; /* owner: the worker */
enum chan_reason peer_learn(struct peer *p, const struct addr *src);
struct peer *peer_find(const struct shard *s, uint64_t id);
void peer_attach(struct peer *p); /* to the list, its node and its lanes */
void peer_detach(struct peer *p); /* the reverse; lanes that are ours close with their node */
/* shard.c */
MUST_USE int shard_new(struct gateway *g, unsigned index, struct event_base *base,
		       const struct control_hello *own, struct shard **out);
void shard_free(struct shard *s);
MUST_USE int shard_start(struct shard *s); /* a thread */
void shard_ring(struct shard *s);	   /* from any thread: look what there is */
/* In the worker's thread, from the first one's, which waits. */
void shard_call(struct shard *s, void (*fn)(struct shard *s, void *arg), void *arg);
struct chan_config shard_chan_config(struct shard *s, enum control_role expect, bool plain);
MUST_USE int shard_dial(struct shard *s, size_t link, const struct endpoint *to);
void shard_stop(struct shard *s);
void shard_evict_stranger(struct shard *s); /* from any thread */
/* Frames for a peer of another worker: a copy goes there, or they are dropped and counted. */
void shard_hand_over(struct shard *s, const struct peer *to, const struct iovec *iov, int n_iov);

#endif
