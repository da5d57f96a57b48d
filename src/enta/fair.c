/*
 * Queues of flows; see fair.h.
 *
 * A frame is written to a block that has room for the largest. A large one stays in it; of a small
 * one a copy is kept that is as long as itself, so that what waits costs about what it is. Blocks
 * that are sent go to a list and are used again, the last first: it is still in the cache.
 */
#include "enta/fair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/err.h"

struct item {
	STAILQ_ENTRY(item) link;
	size_t cost; /* bytes of memory */
	size_t at, n;
	uint8_t bytes[];
};

STAILQ_HEAD(items, item);

struct flow {
	TAILQ_ENTRY(flow) link; /* of `fresh` or `old`, while it is active */
	struct items items;
	size_t cost;
	long deficit; /* bytes that it may still send in this round */
	bool active, fresh;
};

TAILQ_HEAD(flows, flow);

struct fair {
	size_t frame_max, max, cost, count;
	uint64_t overtakes;
	struct flows fresh, old; /* with something to send; fresh: for less than a round */
	struct item *room;
	struct items spare, taken; /* blocks; what fair_next() has lent */
	struct flow flow[FAIR_FLOWS];
};

int fair_new(size_t frame_max, size_t max, struct fair **out)
{
	struct fair *f = calloc(1, sizeof(*f));

	if (!f)
		return err_new(-ENOMEM);
	f->frame_max = frame_max;
	f->max = max;
	TAILQ_INIT(&f->fresh);
	TAILQ_INIT(&f->old);
	STAILQ_INIT(&f->spare);
	STAILQ_INIT(&f->taken);
	for (size_t i = 0; i < FAIR_FLOWS; i++)
		STAILQ_INIT(&f->flow[i].items);
	*out = f;
	return 0;
}

static size_t block_cost(const struct fair *f)
{
	return sizeof(struct item) + f->frame_max;
}

static void dispose(struct fair *f, struct item *i)
{
	if (i->cost == block_cost(f)) /* no copy is as large */
		STAILQ_INSERT_HEAD(&f->spare, i, link);
	else
		free(i);
}

static void free_spare(struct fair *f)
{
	struct item *i;

	while ((i = STAILQ_FIRST(&f->spare))) {
		STAILQ_REMOVE_HEAD(&f->spare, link);
		free(i);
	}
}

void fair_free(struct fair *f)
{
	if (!f)
		return;
	fair_clear(f);
	free(f->room);
	free(f);
}

uint8_t *fair_room(struct fair *f)
{
	if (f->room)
		return f->room->bytes;
	f->room = STAILQ_FIRST(&f->spare);
	if (f->room)
		STAILQ_REMOVE_HEAD(&f->spare, link);
	else
		f->room = malloc(block_cost(f));
	return f->room ? f->room->bytes : NULL;
}

static struct item *pop(struct fair *f, struct flow *w)
{
	struct item *i = STAILQ_FIRST(&w->items);

	STAILQ_REMOVE_HEAD(&w->items, link);
	w->cost -= i->cost;
	f->cost -= i->cost;
	f->count--;
	return i;
}

static struct flow *longest(struct fair *f)
{
	struct flow *most = &f->flow[0];

	for (size_t i = 1; i < FAIR_FLOWS; i++)
		if (f->flow[i].cost > most->cost)
			most = &f->flow[i];
	return most;
}

static unsigned push(struct fair *f, uint32_t flow, struct item *i)
{
	struct flow *w = &f->flow[flow % FAIR_FLOWS];
	unsigned dropped = 0;

	STAILQ_INSERT_TAIL(&w->items, i, link);
	w->cost += i->cost;
	f->cost += i->cost;
	f->count++;
	if (!w->active) {
		w->active = w->fresh = true;
		w->deficit = FAIR_QUANTUM;
		TAILQ_INSERT_TAIL(&f->fresh, w, link);
	}
	for (; f->cost > f->max; dropped++)
		dispose(f, pop(f, longest(f)));
	return dropped;
}

unsigned fair_push_copy(struct fair *f, uint32_t flow, const uint8_t *frame, size_t n)
{
	struct item *i = malloc(sizeof(*i) + n);

	if (!i)
		return 1;
	*i = (struct item){ .cost = sizeof(*i) + n, .n = n };
	memcpy(i->bytes, frame, n);
	return push(f, flow, i);
}

unsigned fair_push(struct fair *f, uint32_t flow, size_t at, size_t n)
{
	struct item *i = f->room;

	if (n <= f->frame_max / 2)
		return fair_push_copy(f, flow, i->bytes + at, n);
	f->room = NULL;
	i->cost = block_cost(f);
	i->at = at;
	i->n = n;
	return push(f, flow, i);
}

static void move(struct fair *f, struct flow *w)
{
	TAILQ_REMOVE(w->fresh ? &f->fresh : &f->old, w, link);
	w->fresh = false;
	TAILQ_INSERT_TAIL(&f->old, w, link);
}

/* The flow whose turn it is; NULL: nothing waits. */
static struct flow *turn(struct fair *f)
{
	struct flow *w;

	while ((w = TAILQ_FIRST(&f->fresh)) || (w = TAILQ_FIRST(&f->old))) {
		if (w->deficit <= 0) {
			w->deficit += FAIR_QUANTUM;
			move(f, w);
		} else if (!STAILQ_EMPTY(&w->items)) {
			return w;
		} else if (w->fresh && !TAILQ_EMPTY(&f->old)) {
			/* Or it would be fresh again at once, and starve the others. */
			move(f, w);
		} else {
			TAILQ_REMOVE(w->fresh ? &f->fresh : &f->old, w, link);
			w->active = false;
		}
	}
	return NULL;
}

int fair_next(struct fair *f, struct iovec *iov, int n_iov, size_t bytes)
{
	struct flow *w;
	struct item *i;
	int n = 0;

	for (size_t used = 0; n < n_iov && used < bytes && (w = turn(f)); n++) {
		i = pop(f, w);
		f->overtakes += w->fresh && i->n <= FAIR_SMALL && f->cost >= FAIR_BACKLOG;
		w->deficit -= (long)i->n;
		used += i->n;
		iov[n] = (struct iovec){ i->bytes + i->at, i->n };
		STAILQ_INSERT_TAIL(&f->taken, i, link);
	}
	return n;
}

void fair_taken(struct fair *f)
{
	struct item *i;

	while ((i = STAILQ_FIRST(&f->taken))) {
		STAILQ_REMOVE_HEAD(&f->taken, link);
		dispose(f, i);
	}
	/* A backlog that does not come back gives its memory back, a block each time it is gone. */
	if (f->count == 0 && (i = STAILQ_FIRST(&f->spare))) {
		STAILQ_REMOVE_HEAD(&f->spare, link);
		free(i);
	}
}

size_t fair_memory(const struct fair *f)
{
	return f->cost;
}

uint64_t fair_overtakes(const struct fair *f)
{
	return f->overtakes;
}

size_t fair_count(const struct fair *f)
{
	return f->count;
}

void fair_clear(struct fair *f)
{
	struct flow *w;

	while ((w = turn(f)))
		while (!STAILQ_EMPTY(&w->items))
			dispose(f, pop(f, w));
	fair_taken(f);
	free_spare(f);
}
