/*
 * The agent: worker 0 in the thread that calls, and the others in threads of their own.
 *
 * Worker 0 speaks for this node, takes signals, and has the worker processes; what it tells the
 * others goes through their mailboxes. A mail is posted once at a time: what it stands for is done
 * when it is read, and is then up to date. How the others follow lane 0 lies under a lock.
 */
#include "enta/agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "enta/worker.h"
#include "io/mailbox.h"
#include "io/thread.h"
#include "io/tun.h"

struct seat;

/* One kind of call of a worker's. */
struct call {
	struct mail mail; /* first */
	struct seat *seat;
	void (*fn)(struct seat *s); /* in the thread of the mailbox */
	atomic_bool is_posted;
};

struct seat {
	struct agent *agent;
	struct event_base *base;
	struct mailbox *box;
	struct security *security; /* of a worker that is not 0; NULL: tcp:// */
	struct worker *worker;
	/* Worker 0 has no use for what follows. */
	struct call follow, print, reappraise, stop; /* to the worker */
	struct call printed, fail;		     /* from it */
	struct chan_totals totals;		     /* that it has printed */
	pthread_t thread;
	bool is_running;
};

struct agent {
	struct agent_config cfg;
	struct tun *tun;
	struct security *security; /* worker 0's */
	struct control_hello own;
	unsigned poll_us;
	bool failed;
	unsigned n_printing; /* workers whose totals are still to come */
	struct chan_totals totals;
	pthread_mutex_t lock;
	struct worker_order order; /* under the lock */
	struct seat seats[CONTROL_LANES_MAX];
};

static void on_call(struct mail *m, bool dropped)
{
	struct call *c = (struct call *)m;

	if (dropped)
		return;
	atomic_store(&c->is_posted, false); /* before: what changes from now on is posted again */
	c->fn(c->seat);
}

static void call(struct mailbox *box, struct call *c)
{
	if (!atomic_exchange(&c->is_posted, true))
		mailbox_post(box, &c->mail);
}

static void do_follow(struct seat *s)
{
	struct worker_order order;

	pthread_mutex_lock(&s->agent->lock);
	order = s->agent->order;
	pthread_mutex_unlock(&s->agent->lock);
	worker_follow(s->worker, &order);
}

static void do_print(struct seat *s)
{
	s->totals = (struct chan_totals){ 0 };
	worker_print(s->worker, &s->totals);
	call(s->agent->seats[0].box, &s->printed);
}

/* Worker 0: who comes last has the others in the totals too. */
static void do_printed(struct seat *s)
{
	struct agent *a = s->agent;

	a->totals.peers += s->totals.peers;
	a->totals.strangers += s->totals.strangers;
	a->totals.queued += s->totals.queued;
	if (--a->n_printing == 0)
		chan_print_totals(&a->totals);
}

static void do_reappraise(struct seat *s)
{
	security_reappraise(s->security, worker_loop(s->worker));
}

static void do_stop(struct seat *s)
{
	worker_stop(s->worker);
}

static void do_fail(struct seat *s)
{
	s->agent->failed = true;
	event_base_loopbreak(s->agent->seats[0].base);
}

/* To all but worker 0. */
#define CALL_OTHERS(a, what)                                                                       \
	do {                                                                                       \
		for (size_t i_ = 1; i_ < (a)->cfg.n_workers; i_++)                                 \
			call((a)->seats[i_].box, &(a)->seats[i_].what);                            \
	} while (0)

static void on_lead(void *ctx, const struct worker_order *order)
{
	struct agent *a = ctx;

	pthread_mutex_lock(&a->lock);
	a->order = *order;
	pthread_mutex_unlock(&a->lock);
	CALL_OTHERS(a, follow);
}

static void on_failed(void *ctx, uint8_t lane)
{
	struct agent *a = ctx;

	if (lane == 0)
		do_fail(&a->seats[0]);
	else
		call(a->seats[0].box, &a->seats[lane].fail);
}

static const struct worker_owner owner = { .lead = on_lead, .failed = on_failed };

/* What the gateway hears of us: our addresses, and what our TUN device takes. */
static int own_hello(const struct agent *a, struct control_hello *out)
{
	unsigned offloads = tun_offloads(a->tun);

	*out = (struct control_hello){ .version = CONTROL_VERSION,
				       .role = CONTROL_ROLE_AGENT,
				       .n_prefixes = a->cfg.n_addrs,
				       .mtu = AGENT_MTU };
	memcpy(out->name, a->cfg.name, sizeof(out->name));
	for (size_t i = 0; i < a->cfg.n_addrs; i++)
		out->prefixes[i] = prefix_of(&a->cfg.addrs[i], addr_bits(&a->cfg.addrs[i]));
	if (offloads & TUN_OFFLOAD_CSUM && offloads & TUN_OFFLOAD_TSO)
		out->features |= CONTROL_FEATURE_GSO;
	if (out->features && offloads & TUN_OFFLOAD_USO)
		out->features |= CONTROL_FEATURE_USO;
	if (getrandom(out->node_id, sizeof(out->node_id), 0) < 0)
		return err_new(-errno);
	return 0;
}

static void call_init(struct call *c, struct seat *s, void (*fn)(struct seat *s))
{
	c->mail.fn = on_call;
	c->seat = s;
	c->fn = fn;
}

static int fill_seat(struct agent *a, uint8_t lane, struct security *security)
{
	struct seat *s = &a->seats[lane];
	struct worker_config cfg = { .owner = &owner,
				     .ctx = a,
				     .lane = lane,
				     .agent = &a->cfg,
				     .tun = a->tun,
				     .own = &a->own };
	int r;

	s->agent = a;
	call_init(&s->follow, s, do_follow);
	call_init(&s->print, s, do_print);
	call_init(&s->reappraise, s, do_reappraise);
	call_init(&s->stop, s, do_stop);
	call_init(&s->printed, s, do_printed);
	call_init(&s->fail, s, do_fail);
	if (lane != 0)
		s->base = event_base_new();
	r = s->base ? mailbox_new(s->base, &s->box) : err_new(-ENOMEM);
	if (r == 0 && security && lane != 0)
		r = security_remote(security, a->seats[0].box, s->box, &s->security);
	if (r < 0)
		return err_pass(r);
	cfg.base = s->base;
	cfg.security = lane == 0 ? security : s->security;
	return worker_new(&cfg, &s->worker);
}

int agent_new(struct event_base *base, const struct agent_config *cfg, struct tun *tun,
	      struct security *security, struct agent **out)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_new(-ENOMEM);
	a->tun = tun;
	a->cfg = *cfg;
	a->security = security;
	pthread_mutex_init(&a->lock, NULL);
	a->seats[0].base = base;
	r = own_hello(a, &a->own);
	for (unsigned i = 0; r == 0 && i < cfg->n_workers; i++)
		r = fill_seat(a, (uint8_t)i, security);
	if (r < 0) {
		agent_free(a);
		return err_pass(r);
	}
	*out = a;
	return 0;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->cfg.n_workers; i++) {
		worker_free(a->seats[i].worker);
		security_free(a->seats[i].security);
	}
	for (size_t i = 0; i < a->cfg.n_workers; i++)
		mailbox_free(a->seats[i].box);
	for (size_t i = 1; i < a->cfg.n_workers; i++)
		if (a->seats[i].base)
			event_base_free(a->seats[i].base);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void *run(void *arg)
{
	struct seat *s = arg;

	chan_loop_run(worker_loop(s->worker), s->agent->poll_us);
	return NULL;
}

static int start_others(struct agent *a)
{
	char name[16];
	int r = 0;

	for (size_t i = 1; r == 0 && i < a->cfg.n_workers; i++) {
		struct seat *s = &a->seats[i];

		snprintf(name, sizeof(name), "enta-%zu", i);
		r = thread_start(name, run, s, &s->thread);
		s->is_running = r == 0;
	}
	return r < 0 ? err_pass(r) : 0;
}

int agent_run(struct agent *a, unsigned poll_us)
{
	int r;

	a->poll_us = poll_us;
	r = start_others(a);
	if (r == 0)
		chan_loop_run(worker_loop(a->seats[0].worker), poll_us);
	CALL_OTHERS(a, stop);
	for (size_t i = 1; i < a->cfg.n_workers; i++)
		if (a->seats[i].is_running)
			pthread_join(a->seats[i].thread, NULL);
	if (r == 0 && a->failed)
		r = err_new(-ENODEV);
	return r;
}

void agent_reload(struct agent *a)
{
	security_reload(a->security, worker_loop(a->seats[0].worker));
	if (a->security)
		CALL_OTHERS(a, reappraise);
}

void agent_print(struct agent *a)
{
	if (a->n_printing > 0)
		return; /* the answer is under way */
	a->totals = (struct chan_totals){ 0 };
	worker_print(a->seats[0].worker, &a->totals);
	a->n_printing = a->cfg.n_workers - 1;
	CALL_OTHERS(a, print);
	if (a->n_printing == 0)
		chan_print_totals(&a->totals);
}

void agent_stop(struct agent *a)
{
	worker_stop(a->seats[0].worker);
	CALL_OTHERS(a, stop);
}
