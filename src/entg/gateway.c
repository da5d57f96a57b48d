/* The gateway's frame: listeners, workers, links to neighbours, start and stop. */
#include "entg/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "io/stream.h"

/* --- who comes -------------------------------------------------------------------------------- */

static void take_in(struct shard *s, const struct listener *ls, int fd, const struct addr *from,
		    uint16_t port)
{
	const struct chan_config cfg = shard_chan_config(s, ls->expect, ls->plain);

	if (door_let_in_take_fd(s->loop, &cfg, fd, from, port) < 0)
		atomic_fetch_sub(&s->n_chans, 1);
}

/* On its way to the worker that is to have it. */
struct arrival {
	struct mail mail;
	struct shard *s;
	const struct listener *ls;
	int fd;
	struct addr from;
	uint16_t port;
};

static void on_arrival(struct mail *m, bool dropped)
{
	struct arrival *a = (struct arrival *)m; /* its first member */

	if (dropped)
		stream_close(a->fd, 1);
	else
		take_in(a->s, a->ls, a->fd, &a->from, a->port);
	free(a);
}

/* The worker with the fewest; so the connections of one node come to different ones. */
static struct shard *least_of(struct gateway *g)
{
	struct shard *least = g->shards[0];

	for (size_t i = 1; i < g->n_shards; i++)
		if (atomic_load(&g->shards[i]->n_chans) < atomic_load(&least->n_chans))
			least = g->shards[i];
	return least;
}

static void deal_out(void *listener, int fd, const struct addr *from, uint16_t port)
{
	const struct listener *ls = listener;
	struct shard *s = least_of(ls->g);
	struct arrival *a;

	atomic_fetch_add(&s->n_chans, 1);
	if (s->index == 0) {
		take_in(s, ls, fd, from, port);
		return;
	}
	a = malloc(sizeof(*a));
	if (!a) {
		atomic_fetch_sub(&s->n_chans, 1);
		stream_close(fd, 1);
		return;
	}
	*a = (struct arrival){ .mail.fn = on_arrival, .s = s, .ls = ls, .fd = fd, .from = *from };
	a->port = port;
	mailbox_post(s->box, &a->mail);
}

/* Descriptors are the process's: any worker's stranger may give way. */
static void make_room(void *listener)
{
	const struct gateway *g = ((struct listener *)listener)->g;

	for (size_t i = 1; i < g->n_shards; i++)
		shard_evict_stranger(g->shards[i]);
}

static const struct door_handler door_handler = { .take = deal_out, .full = make_room };

/* --- start ------------------------------------------------------------------------------------ */

static int add_listener(struct gateway *g, const struct endpoint *e, enum control_role expect,
			const char **out_wrong)
{
	static char wrong[ENDPOINT_TEXT_MAX + 80];
	struct listener *ls = &g->listeners[g->n_listeners];
	char text[ENDPOINT_TEXT_MAX];
	struct addr on = { 0 };
	int r, fd;

	if (e->host[0] && !addr_parse(e->host, &on))
		return err_new(-EINVAL);
	r = stream_listen(&on, e->port, &g->cfg->stream, &fd);
	if (r < 0) {
		snprintf(wrong, sizeof(wrong), "cannot listen on %s: %s", endpoint_format(e, text),
			 err_text(r));
		*out_wrong = wrong;
		return err_pass(r);
	}
	*ls = (struct listener){ .g = g, .expect = expect, .plain = e->plain };
	r = door_new_take_fd(g->shards[0]->loop, fd, &door_handler, ls, &ls->door);
	if (r < 0)
		return err_pass(r);
	g->n_listeners++;
	log_info("listening", "on=%s for=%s transport=%s", endpoint_format(e, text),
		 expect == CONTROL_ROLE_AGENT ? "agents" : "gateways",
		 e->plain ? "tcp-plaintext" : "rats-tls");
	return 0;
}

/* The first worker's, and for the others a way to ask it. */
static int set_up_security(struct gateway *g, const char **out_wrong)
{
	static char wrong[SECURITY_MESSAGE_MAX];
	struct shard *first = g->shards[0];
	int r;

	if (!g->cfg->security.with_agents && !g->cfg->security.with_gateways)
		return 0;
	r = security_new(first->base, &g->cfg->security, &first->security, wrong);
	if (r < 0)
		*out_wrong = wrong;
	for (size_t i = 1; i < g->n_shards && r == 0; i++)
		r = security_remote(first->security, first->box, g->shards[i]->box,
				    &g->shards[i]->security);
	return r;
}

static int add_shards(struct gateway *g, struct event_base *base, const struct control_hello *own)
{
	int r = 0;

	for (unsigned i = 0; i < g->cfg->n_workers && r == 0; i++) {
		r = shard_new(g, i, i == 0 ? base : NULL, own, &g->shards[i]);
		g->n_shards += r == 0;
	}
	return r;
}

static int set_up(struct gateway *g, struct event_base *base, const char **out_wrong)
{
	struct control_hello own = { .version = CONTROL_VERSION,
				     .role = CONTROL_ROLE_GATEWAY,
				     .features = CONTROL_FEATURE_GSO | CONTROL_FEATURE_USO |
						 CONTROL_FEATURE_LANES,
				     .mtu = 65535 };
	const struct gateway_config *cfg = g->cfg;
	int r;

	*out_wrong = "out of memory";
	memcpy(own.name, cfg->name, sizeof(own.name));
	if (getrandom(own.node_id, sizeof(own.node_id), 0) < 0)
		return err_new(-errno);
	r = add_shards(g, base, &own);
	if (r == 0)
		r = set_up_security(g, out_wrong);
	for (size_t i = 0; i < cfg->n_listen_agents && r == 0; i++)
		r = add_listener(g, &cfg->listen_agents[i], CONTROL_ROLE_AGENT, out_wrong);
	for (size_t i = 0; i < cfg->n_listen_gateways && r == 0; i++)
		r = add_listener(g, &cfg->listen_gateways[i], CONTROL_ROLE_GATEWAY, out_wrong);
	for (size_t i = 0; i < cfg->n_connect && r == 0; i++)
		r = shard_dial(g->shards[0], i, &cfg->connect[i]);
	return r;
}

int gateway_new(struct event_base *base, const struct gateway_config *cfg, struct gateway **out,
		const char **out_wrong)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return err_new(-ENOMEM);
	*g = (struct gateway){ .cfg = cfg };
	pthread_mutex_init(&g->lock, NULL); /* cannot fail with these attributes */
	r = set_up(g, base, out_wrong);
	if (r < 0) {
		gateway_free(g);
		return err_pass(r);
	}
	*out = g;
	return 0;
}

static void close_listeners(struct gateway *g)
{
	for (size_t i = 0; i < g->n_listeners; i++)
		door_free(g->listeners[i].door);
	g->n_listeners = 0;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	close_listeners(g);
	while (g->n_shards > 0) /* the first is last: the others ask it */
		shard_free(g->shards[--g->n_shards]);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* --- run -------------------------------------------------------------------------------------- */

int gateway_run(struct gateway *g)
{
	int r = 0;

	for (size_t i = 1; i < g->n_shards && r == 0; i++)
		r = shard_start(g->shards[i]);
	if (r == 0) {
		chan_loop_run(g->shards[0]->loop, g->cfg->poll_us);
	} else {
		log_error("start-failed", "reason=\"cannot start %u workers: %s\"",
			  g->cfg->n_workers, err_text(r));
		gateway_stop(g);
	}
	for (size_t i = 1; i < g->n_shards; i++)
		if (g->shards[i]->is_running)
			pthread_join(g->shards[i]->thread, NULL);
	return r;
}

static void print(struct shard *s, void *arg)
{
	const struct peer *p;

	if (s->g->n_shards > 1)
		log_info("counter-worker", "worker=%u handed_over=%llu handover_drops=%llu",
			 s->index, (unsigned long long)s->handed_over,
			 (unsigned long long)s->handover_drops);
	chan_loop_print(s->loop, arg);
	TAILQ_FOREACH (p, &s->peers, link)
		if (p->c && p->f.lane == 0)
			log_info("routes", "peer=%s prefixes=%zu", chan_name(p->c),
				 route_count(s->table, p));
}

void gateway_print(const struct gateway *g)
{
	struct chan_totals sum = { 0 };

	for (size_t i = 0; i < g->n_shards; i++)
		shard_call(g->shards[i], print, &sum);
	chan_print_totals(&sum);
}

static void reappraise(struct shard *s, void *arg)
{
	(void)arg;
	if (s->index > 0)
		security_reappraise(s->security, s->loop);
}

void gateway_reload(struct gateway *g)
{
	security_reload(g->shards[0]->security, g->shards[0]->loop);
	for (size_t i = 1; i < g->n_shards; i++)
		shard_call(g->shards[i], reappraise, NULL);
}

void gateway_stop(struct gateway *g)
{
	if (g->is_stopping)
		return;
	g->is_stopping = true;
	close_listeners(g);
	for (size_t i = 0; i < g->n_shards; i++)
		shard_stop(g->shards[i]);
}
