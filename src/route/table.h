/*
 * The forwarding table of a gateway: prefix -> candidates (peer, path), longest prefix first.
 *
 * A local agent's prefix has an empty path; a neighbour gateway's route has the path of gateways it
 * crosses (a path vector as in RFC 4271 9.1: what contains our own id is refused, so routes cannot
 * loop). The best candidate has the shortest path; among equals the one that came first stays.
 * A candidate that its peer withdrew is kept for ROUTE_LINGER_MS for source checks only: packets
 * that were under way when the route moved are not forgeries. Those count to the peer's bound; at
 * the bound the oldest of them goes.
 *
 * Peers are opaque pointers here. Pure: no I/O, no clock of its own.
 */
#ifndef ENG_ROUTE_TABLE_H
#define ENG_ROUTE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
	ROUTE_NODE_ID = 16,
	ROUTE_PATH_MAX = 15,	   /* gateways a route may cross */
	ROUTE_PER_PEER_MAX = 4096, /* candidates of one peer: 256 agents with 16 prefixes */
	ROUTE_LINGER_MS = 10000,   /* longer than a packet can sit in a hop's queues */
};

struct route_table;

struct route_path {
	size_t n; /* 0: the peer itself owns the prefix */
	uint8_t ids[ROUTE_PATH_MAX][ROUTE_NODE_ID];
};

enum {
	ROUTE_E_LOOP = 1, /* the path contains our own id (or one id twice): ignored */
	ROUTE_E_TAKEN,	  /* another local peer owns exactly this prefix */
	ROUTE_E_FULL,	  /* ROUTE_PER_PEER_MAX reached */
	ROUTE_E_NONE,	  /* withdraw: the peer has no such route */
};

/*
 * Called whenever the best candidate of a prefix changes, also when it is gone (peer NULL, path
 * NULL). Must not call into the table. path is borrowed for the call.
 */
typedef void (*route_changed_fn)(void *ctx, const struct prefix *prefix, void *peer,
				 const struct route_path *path);

MUST_USE int route_table_new(const uint8_t own_id[ROUTE_NODE_ID], route_changed_fn changed,
			     void *ctx, struct route_table **out);
void route_table_free(struct route_table *t);

/*
 * Adds or replaces the peer's route to a prefix. 0, ROUTE_E_*, -ENOMEM. Unchanged on failure: after
 * ROUTE_E_LOOP the caller withdraws what the peer had before, for the peer now routes through us.
 */
MUST_USE int route_add(struct route_table *t, const struct prefix *prefix, void *peer,
		       const struct route_path *path);
/* Withdraws it; it lingers for source checks until now_ms + ROUTE_LINGER_MS. 0 or ROUTE_E_NONE. */
MUST_USE int route_withdraw(struct route_table *t, const struct prefix *prefix, void *peer,
			    uint64_t now_ms);
/* Forgets everything about a peer that goes away, lingering ones too. */
void route_drop_peer(struct route_table *t, const void *peer);
/* Forgets lingering candidates that are due. Returns how many are left lingering. */
size_t route_expire(struct route_table *t, uint64_t now_ms);

/* The best peer for a destination, or NULL. Never allocates; a few dozen instructions. */
void *route_lookup(const struct route_table *t, const struct addr *dst);
/* Whether the peer may send from this source: it is a candidate (or lingers) for a prefix of it. */
bool route_may_send(const struct route_table *t, const void *peer, const struct addr *src);
/* Calls fn for the best candidate of every prefix, for a neighbour that just arrived. */
void route_each_best(const struct route_table *t, route_changed_fn fn, void *ctx);
size_t route_count(const struct route_table *t, const void *peer); /* live candidates of a peer */

#endif
