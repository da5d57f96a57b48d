/*
 * The forwarding table; see table.h.
 *
 * A prefix has an entry in the trie of its family; an entry has the candidates of its prefix in
 * order: live ones by path length, those of equal length as they came, then the lingering ones. So
 * the best is the first, if it is live. A candidate is also on one of its peer's two lists, which
 * makes dropping a peer cost what the peer brought, and its bound is counted there. Lingering
 * candidates count as well, or a peer that announces and withdraws could grow without bound: at the
 * bound it loses its oldest lingering one first.
 *
 * Forwarding asks only route_lookup() and route_may_send(). Who may own which prefix is policy, and
 * not decided here.
 */
#include "route/table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/err.h"
#include "route/trie.h"

enum { PEER_BUCKETS = 256 /* chains stay short for some thousand peers */ };

struct candidate {
	TAILQ_ENTRY(candidate) in_entry;
	TAILQ_ENTRY(candidate) in_peer;
	struct entry *entry;
	struct route_peer *peer;
	bool lingering;
	uint64_t due_ms; /* when lingering ends */
	struct route_path path;
};

TAILQ_HEAD(candidates, candidate);

struct entry {
	struct prefix prefix;
	struct trie_node *node;
	struct candidates candidates; /* never empty */
};

struct route_peer {
	LIST_ENTRY(route_peer) in_bucket;
	void *handle; /* what the caller calls the peer */
	size_t n_live, n_lingering;
	struct candidates live, lingering; /* the latter oldest first */
};

LIST_HEAD(bucket, route_peer);

struct route_table {
	uint8_t own_id[ROUTE_NODE_ID];
	route_changed_fn changed;
	void *ctx;
	struct trie v4, v6;
	struct bucket buckets[PEER_BUCKETS];
};

static struct bucket *bucket_of(const struct route_table *t, const void *handle)
{
	uint64_t h = (uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing */

	return (struct bucket *)&t->buckets[h >> 56];
}

static struct route_peer *peer_find(const struct route_table *t, const void *handle)
{
	struct route_peer *p;

	LIST_FOREACH (p, bucket_of(t, handle), in_bucket)
		if (p->handle == handle)
			return p;
	return NULL;
}

/* The peer's record, made if there is none yet; NULL when memory is short. */
static struct route_peer *peer_get(struct route_table *t, void *handle)
{
	struct route_peer *p = peer_find(t, handle);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->handle = handle;
	TAILQ_INIT(&p->live);
	TAILQ_INIT(&p->lingering);
	LIST_INSERT_HEAD(bucket_of(t, handle), p, in_bucket);
	return p;
}

static void peer_free_if_idle(struct route_peer *p)
{
	if (p->n_live > 0 || p->n_lingering > 0)
		return;
	LIST_REMOVE(p, in_bucket);
	free(p);
}

/* The trie of a family; an empty one for an address that is none. */
static const struct trie *trie_of(const struct route_table *t, uint8_t family)
{
	static const struct trie none;

	return family == AF_INET ? &t->v4 : family == AF_INET6 ? &t->v6 : &none;
}

static struct candidate *best_of(const struct entry *e)
{
	struct candidate *c = TAILQ_FIRST(&e->candidates);

	return c && !c->lingering ? c : NULL;
}

static struct entry *entry_find(const struct route_table *t, const struct prefix *prefix)
{
	struct trie_node *n = trie_find(trie_of(t, prefix->addr.family), prefix);

	return n ? n->value : NULL;
}

static struct trie *entry_trie(struct route_table *t, const struct prefix *prefix)
{
	return prefix->addr.family == AF_INET ? &t->v4 : &t->v6;
}

/* The prefix's entry, made if there is none yet; NULL when memory is short. */
static struct entry *entry_get(struct route_table *t, const struct prefix *prefix)
{
	struct entry *e = entry_find(t, prefix);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->prefix = *prefix;
	TAILQ_INIT(&e->candidates);
	e->node = trie_insert(entry_trie(t, prefix), prefix, e);
	if (!e->node) {
		free(e);
		return NULL;
	}
	return e;
}

static void entry_free_if_empty(struct route_table *t, struct entry *e)
{
	if (!TAILQ_EMPTY(&e->candidates))
		return;
	trie_remove(entry_trie(t, &e->prefix), e->node);
	free(e);
}

static struct candidate *candidate_find(const struct entry *e, const void *handle)
{
	struct candidate *c;

	TAILQ_FOREACH (c, &e->candidates, in_entry)
		if (c->peer->handle == handle)
			return c;
	return NULL;
}

/* Puts a candidate at its place in the entry's order and on its peer's list. */
static void candidate_link(struct candidate *c)
{
	struct route_peer *p = c->peer;
	struct candidate *after;

	TAILQ_FOREACH (after, &c->entry->candidates, in_entry)
		if (!c->lingering && (after->lingering || after->path.n > c->path.n))
			break;
	if (after)
		TAILQ_INSERT_BEFORE(after, c, in_entry);
	else
		TAILQ_INSERT_TAIL(&c->entry->candidates, c, in_entry);
	if (c->lingering) {
		TAILQ_INSERT_TAIL(&p->lingering, c, in_peer);
		p->n_lingering++;
		return;
	}
	TAILQ_INSERT_TAIL(&p->live, c, in_peer);
	p->n_live++;
}

static void candidate_unlink(struct candidate *c)
{
	TAILQ_REMOVE(&c->entry->candidates, c, in_entry);
	if (c->lingering) {
		TAILQ_REMOVE(&c->peer->lingering, c, in_peer);
		c->peer->n_lingering--;
		return;
	}
	TAILQ_REMOVE(&c->peer->live, c, in_peer);
	c->peer->n_live--;
}

/* Tells the caller who is best now, if that changed. */
static void tell(const struct route_table *t, const struct entry *e, const struct candidate *before,
		 bool path_changed)
{
	const struct candidate *now = best_of(e);

	if (now == before && !path_changed)
		return;
	t->changed(t->ctx, &e->prefix, now ? now->peer->handle : NULL, now ? &now->path : NULL);
}

/* Unlinks and frees a candidate, and its entry when it was the last. Its peer stays. */
static void candidate_forget(struct route_table *t, struct candidate *c)
{
	const struct candidate *before = best_of(c->entry);
	struct entry *e = c->entry;

	candidate_unlink(c);
	if (before == c)
		tell(t, e, c, false);
	free(c);
	entry_free_if_empty(t, e);
}

static bool path_equal(const struct route_path *a, const struct route_path *b)
{
	return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof(a->ids[0])) == 0;
}

/* Whether a path crosses this gateway, or any gateway twice. */
static bool path_loops(const struct route_table *t, const struct route_path *path)
{
	for (size_t i = 0; i < path->n; i++) {
		if (memcmp(path->ids[i], t->own_id, ROUTE_NODE_ID) == 0)
			return true;
		for (size_t j = 0; j < i; j++)
			if (memcmp(path->ids[i], path->ids[j], ROUTE_NODE_ID) == 0)
				return true;
	}
	return false;
}

/* Whether another peer's live candidate says that it owns the prefix itself. */
static bool entry_is_taken(const struct entry *e, const void *handle)
{
	const struct candidate *c;

	TAILQ_FOREACH (c, &e->candidates, in_entry)
		if (!c->lingering && c->path.n == 0 && c->peer->handle != handle)
			return true;
	return false;
}

int route_table_new(const uint8_t own_id[ROUTE_NODE_ID], route_changed_fn changed, void *ctx,
		    struct route_table **out)
{
	struct route_table *t = calloc(1, sizeof(*t));

	if (!t)
		return err_new(-ENOMEM);
	memcpy(t->own_id, own_id, ROUTE_NODE_ID);
	t->changed = changed;
	t->ctx = ctx;
	*out = t;
	return 0;
}

static void drop_all(struct route_table *t, struct route_peer *p)
{
	struct candidate *c, *next;

	for (c = TAILQ_FIRST(&p->live); c; c = next) {
		next = TAILQ_NEXT(c, in_peer);
		candidate_forget(t, c);
	}
	for (c = TAILQ_FIRST(&p->lingering); c; c = next) {
		next = TAILQ_NEXT(c, in_peer);
		candidate_forget(t, c);
	}
	peer_free_if_idle(p);
}

static void ignore_change(void *ctx, const struct prefix *prefix, void *peer,
			  const struct route_path *path)
{
	(void)ctx;
	(void)prefix;
	(void)peer;
	(void)path;
}

void route_table_free(struct route_table *t)
{
	struct route_peer *p, *next;

	if (!t)
		return;
	t->changed = ignore_change;
	for (size_t i = 0; i < PEER_BUCKETS; i++)
		for (p = LIST_FIRST(&t->buckets[i]); p; p = next) {
			next = LIST_NEXT(p, in_bucket);
			drop_all(t, p);
		}
	free(t);
}

/* A candidate that exists: live with another path, or alive again. */
static void replace(struct route_table *t, struct candidate *c, const struct route_path *path)
{
	const struct candidate *before = best_of(c->entry);
	bool was_lingering = c->lingering, moves = was_lingering || c->path.n != path->n;
	bool path_changed = c == before && !path_equal(&c->path, path);

	if (moves)
		candidate_unlink(c);
	c->lingering = false;
	c->path = *path;
	if (moves)
		candidate_link(c);
	tell(t, c->entry, before, path_changed);
}

static int add_new(struct route_table *t, const struct prefix *prefix, struct route_peer *p,
		   const struct route_path *path)
{
	struct candidate *c = calloc(1, sizeof(*c));
	struct entry *e = c ? entry_get(t, prefix) : NULL;
	const struct candidate *before;

	if (!e) {
		free(c);
		return err_new(-ENOMEM);
	}
	before = best_of(e);
	*c = (struct candidate){ .entry = e, .peer = p, .path = *path };
	candidate_link(c);
	if (p->n_live + p->n_lingering > ROUTE_PER_PEER_MAX)
		candidate_forget(t, TAILQ_FIRST(&p->lingering));
	tell(t, e, before, false);
	return 0;
}

int route_add(struct route_table *t, const struct prefix *prefix, void *handle,
	      const struct route_path *path)
{
	struct entry *e = entry_find(t, prefix);
	struct candidate *c = e ? candidate_find(e, handle) : NULL;
	struct route_peer *p;
	int r;

	assert(prefix->len <= addr_bits(&prefix->addr) && path->n <= ROUTE_PATH_MAX);
	if (path_loops(t, path))
		return ROUTE_E_LOOP;
	if (e && path->n == 0 && entry_is_taken(e, handle))
		return ROUTE_E_TAKEN;
	if (c) {
		replace(t, c, path);
		return 0;
	}
	p = peer_get(t, handle);
	if (!p)
		return err_new(-ENOMEM);
	r = p->n_live < ROUTE_PER_PEER_MAX ? add_new(t, prefix, p, path) : ROUTE_E_FULL;
	peer_free_if_idle(p);
	return r;
}

int route_withdraw(struct route_table *t, const struct prefix *prefix, void *handle,
		   uint64_t now_ms)
{
	struct entry *e = entry_find(t, prefix);
	struct candidate *c = e ? candidate_find(e, handle) : NULL;
	const struct candidate *before;

	if (!c || c->lingering)
		return ROUTE_E_NONE;
	before = best_of(e);
	candidate_unlink(c);
	c->lingering = true;
	c->due_ms = now_ms + ROUTE_LINGER_MS;
	candidate_link(c);
	tell(t, e, before, false);
	return 0;
}

void route_drop_peer(struct route_table *t, const void *handle)
{
	struct route_peer *p = peer_find(t, handle);

	if (p)
		drop_all(t, p);
}

static size_t expire_peer(struct route_table *t, struct route_peer *p, uint64_t now_ms)
{
	struct candidate *c, *next;
	size_t left;

	for (c = TAILQ_FIRST(&p->lingering); c && c->due_ms <= now_ms; c = next) {
		next = TAILQ_NEXT(c, in_peer);
		candidate_forget(t, c);
	}
	left = p->n_lingering;
	peer_free_if_idle(p);
	return left;
}

size_t route_expire(struct route_table *t, uint64_t now_ms)
{
	struct route_peer *p, *next;
	size_t left = 0;

	for (size_t i = 0; i < PEER_BUCKETS; i++)
		for (p = LIST_FIRST(&t->buckets[i]); p; p = next) {
			next = LIST_NEXT(p, in_bucket);
			left += expire_peer(t, p, now_ms);
		}
	return left;
}

void *route_lookup(const struct route_table *t, const struct addr *dst)
{
	const struct trie *trie = trie_of(t, dst->family);
	struct trie_key key = trie_key_of(dst);
	const struct candidate *c, *best = NULL;
	const struct trie_node *n;

	TRIE_FOREACH_COVERING(n, trie, &key)
	{
		c = n->value ? best_of(n->value) : NULL;
		best = c ? c : best;
	}
	return best ? best->peer->handle : NULL;
}

bool route_may_send(const struct route_table *t, const void *handle, const struct addr *src)
{
	const struct trie *trie = trie_of(t, src->family);
	struct trie_key key = trie_key_of(src);
	const struct trie_node *n;

	TRIE_FOREACH_COVERING(n, trie, &key)
	if (n->value && candidate_find(n->value, handle))
		return true;
	return false;
}

void route_each_best(const struct route_table *t, route_changed_fn fn, void *ctx)
{
	const struct trie *const tries[] = { &t->v4, &t->v6 };

	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		for (struct trie_node *n = trie_next(tries[i], NULL); n;
		     n = trie_next(tries[i], n)) {
			const struct entry *e = n->value;
			const struct candidate *c = best_of(e);

			if (c)
				fn(ctx, &e->prefix, c->peer->handle, &c->path);
		}
}

size_t route_count(const struct route_table *t, const void *handle)
{
	const struct route_peer *p = peer_find(t, handle);

	return p ? p->n_live : 0;
}
