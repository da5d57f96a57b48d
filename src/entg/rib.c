/*
 * Who owns what, decided by one worker at a time and known to all (RIB, in a router's terms).
 *
 * Every worker has a whole copy of peers and routes, which its packets use without asking anybody.
 * The copies are alike because they undergo the same changes in the same order:
 *
 *   rib_enter     takes the lock, and makes up for what others have changed meanwhile: this copy is
 *                 now the truth
 *   rib_add …     decides by this copy, changes it, and leaves the change with each other worker
 *   rib_leave     gives the lock back; the others are rung up, and follow when they look
 *
 * So a packet never waits for the lock. Whoever opens, closes, or announces routes does. Between a
 * decision and the moment when another worker follows, that one's packets go by what was true
 * before, as they would had they come a little earlier.
 *
 * Changes are allocated before anything is changed. A worker that then has no memory for its own
 * copy would know less than the others: from then on it decides nothing, hence lets nobody in.
 */
#include "entg/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

enum rib_kind {
	RIB_NONE = 0,
	RIB_PEER,
	RIB_GONE,
	RIB_ADD,
	RIB_WITHDRAW,
	RIB_DROP,
	RIB_EVICT,
	RIB_UPDATE
};

struct rib_op {
	STAILQ_ENTRY(rib_op) next;
	enum rib_kind kind;
	uint64_t peer;
	union {
		struct peer *newcomer; /* RIB_PEER: as the other worker will have it */
		enum chan_reason why;  /* RIB_EVICT */
		struct {
			struct prefix prefix;
			struct route_path path;
		} route;
		struct {
			bool attested, may_replace;
			int32_t alternative;
		} verdict; /* RIB_UPDATE */
	} u;
};

static void free_ops(struct rib_ops *ops)
{
	struct rib_op *op;

	while ((op = STAILQ_FIRST(ops))) {
		STAILQ_REMOVE_HEAD(ops, next);
		free(op);
	}
}

/* One for each other worker, in their order. 0 or -ENOMEM. */
static int make_ops(const struct shard *s, const struct rib_op *like, struct rib_ops *out)
{
	STAILQ_INIT(out);
	for (size_t i = 1; i < s->g->n_shards; i++) {
		struct rib_op *op = malloc(sizeof(*op));

		if (!op) {
			free_ops(out);
			return err_new(-ENOMEM);
		}
		*op = *like;
		STAILQ_INSERT_TAIL(out, op, next);
	}
	return 0;
}

/* To each other worker one. */
static void leave_with_others(struct shard *s, struct rib_ops *ops)
{
	for (size_t i = 0; i < s->g->n_shards; i++) {
		struct shard *other = s->g->shards[i];
		struct rib_op *op = STAILQ_FIRST(ops);

		if (other == s)
			continue;
		STAILQ_REMOVE_HEAD(ops, next);
		STAILQ_INSERT_TAIL(&other->ops, op, next);
		atomic_store(&other->has_ops, true);
		shard_ring(other);
	}
}

void rib_discard(struct shard *s)
{
	struct rib_op *op;

	STAILQ_FOREACH(op, &s->ops, next)
	if (op->kind == RIB_PEER)
		free(op->u.newcomer);
	free_ops(&s->ops);
}

static void be_incomplete(struct shard *s)
{
	if (!s->is_incomplete)
		log_error("out-of-memory", "worker=%u meaning=\"lets nobody in any more\"",
			  s->index);
	s->is_incomplete = true;
}

static void evict(struct peer *p, enum chan_reason why)
{
	route_drop_peer(p->s->table, p);
	p->is_leaving = true;
	if (p->c)
		chan_close(p->c, why);
}

static void apply(struct shard *s, struct rib_op *op)
{
	struct peer *p = op->kind == RIB_PEER ? op->u.newcomer : peer_find(s, op->peer);

	if (!p)
		return;
	switch (op->kind) {
	case RIB_PEER:
		p->s = s;
		peer_attach(p);
		break;
	case RIB_GONE:
		peer_detach(p);
		free(p);
		break;
	case RIB_ADD:
		if (route_add(s->table, &op->u.route.prefix, p, &op->u.route.path) != 0)
			be_incomplete(s);
		break;
	case RIB_WITHDRAW:
		if (route_withdraw(s->table, &op->u.route.prefix, p, clock_now_ms()) != 0)
			be_incomplete(s);
		break;
	case RIB_DROP:
		route_drop_peer(s->table, p);
		break;
	case RIB_EVICT:
		evict(p, op->u.why);
		break;
	case RIB_UPDATE:
		p->f.attested = op->u.verdict.attested;
		p->f.may_replace = op->u.verdict.may_replace;
		p->f.alternative = op->u.verdict.alternative;
		break;
	case RIB_NONE:
		break;
	}
}

static void apply_all(struct shard *s, struct rib_ops *ops)
{
	struct rib_op *op;

	if (STAILQ_EMPTY(ops))
		return;
	forward_flush(s); /* what is under way to a peer that may be gone in a moment */
	while ((op = STAILQ_FIRST(ops))) {
		STAILQ_REMOVE_HEAD(ops, next);
		apply(s, op);
		free(op);
	}
}

static void take(struct shard *s, struct rib_ops *out)
{
	STAILQ_INIT(out);
	STAILQ_CONCAT(out, &s->ops);
	atomic_store(&s->has_ops, false);
}

void rib_catch_up(struct shard *s)
{
	struct rib_ops ops;

	if (!atomic_load(&s->has_ops))
		return;
	pthread_mutex_lock(&s->g->lock);
	take(s, &ops);
	pthread_mutex_unlock(&s->g->lock);
	apply_all(s, &ops);
	neighbours_tell(s);
}

void rib_enter(struct shard *s)
{
	struct rib_ops ops;

	forward_flush(s);
	pthread_mutex_lock(&s->g->lock);
	take(s, &ops);
	apply_all(s, &ops);
}

void rib_leave(struct shard *s)
{
	pthread_mutex_unlock(&s->g->lock);
	neighbours_tell(s);
}

/* As the other workers will know it. */
static struct peer *copy_of(const struct peer *p)
{
	struct peer *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = (struct peer){ .f = p->f };
	STAILQ_INIT(&copy->farewells);
	memcpy(copy->v0_id, p->v0_id, sizeof(copy->v0_id));
	return copy;
}

int rib_introduce(struct peer *p)
{
	const struct rib_op hello = { .kind = RIB_PEER, .peer = p->f.id };
	const struct rib_op bye = { .kind = RIB_GONE, .peer = p->f.id };
	struct rib_ops hellos, byes;
	struct rib_op *op;
	int r;

	r = make_ops(p->s, &hello, &hellos);
	if (r < 0)
		return err_pass(r);
	STAILQ_FOREACH(op, &hellos, next)
	{
		op->u.newcomer = copy_of(p);
		if (!op->u.newcomer)
			r = err_new(-ENOMEM);
	}
	if (r == 0)
		r = make_ops(p->s, &bye, &byes);
	if (r < 0) {
		STAILQ_FOREACH(op, &hellos, next)
		free(op->u.newcomer);
		free_ops(&hellos);
		return err_pass(r);
	}
	STAILQ_CONCAT(&p->farewells, &byes);
	leave_with_others(p->s, &hellos);
	peer_attach(p);
	return 0;
}

void rib_gone(struct peer *p)
{
	if (!STAILQ_EMPTY(&p->farewells))
		leave_with_others(p->s, &p->farewells);
	peer_detach(p);
	free(p);
}

int rib_add(struct peer *p, const struct prefix *prefix, const struct route_path *path)
{
	const struct rib_op like = { .kind = RIB_ADD,
				     .peer = p->f.id,
				     .u.route = { *prefix, *path } };
	struct rib_ops ops;
	int r;

	r = make_ops(p->s, &like, &ops);
	if (r < 0)
		return err_pass(r);
	r = route_add(p->s->table, prefix, p, path);
	if (r == 0)
		leave_with_others(p->s, &ops);
	free_ops(&ops);
	return r;
}

int rib_withdraw(struct peer *p, const struct prefix *prefix)
{
	const struct rib_op like = { .kind = RIB_WITHDRAW,
				     .peer = p->f.id,
				     .u.route.prefix = *prefix };
	struct rib_ops ops;
	int r;

	r = make_ops(p->s, &like, &ops);
	if (r < 0)
		return err_pass(r);
	r = route_withdraw(p->s->table, prefix, p, clock_now_ms());
	if (r == 0)
		leave_with_others(p->s, &ops);
	free_ops(&ops);
	return r;
}

int rib_drop(struct peer *p)
{
	const struct rib_op like = { .kind = RIB_DROP, .peer = p->f.id };
	struct rib_ops ops;
	int r;

	r = make_ops(p->s, &like, &ops);
	if (r < 0)
		return err_pass(r);
	route_drop_peer(p->s->table, p);
	leave_with_others(p->s, &ops);
	return 0;
}

int rib_evict(struct peer *p, enum chan_reason why)
{
	const struct rib_op like = { .kind = RIB_EVICT, .peer = p->f.id, .u.why = why };
	struct rib_ops ops;
	int r;

	r = make_ops(p->s, &like, &ops);
	if (r < 0)
		return err_pass(r);
	evict(p, why);
	leave_with_others(p->s, &ops);
	return 0;
}

int rib_update(struct peer *p)
{
	const struct rib_op like = { .kind = RIB_UPDATE,
				     .peer = p->f.id,
				     .u.verdict = { p->f.attested, p->f.may_replace,
						    p->f.alternative } };
	struct rib_ops ops;
	int r;

	r = make_ops(p->s, &like, &ops);
	if (r < 0)
		return err_pass(r);
	leave_with_others(p->s, &ops);
	return 0;
}
