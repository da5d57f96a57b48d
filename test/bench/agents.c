/*
 * Many agents in one process, without TUN devices: what a gateway has to bear of them, and how many
 * handshakes a second it makes with them.
 *
 *   bench_agents hold N [options] HOST PORT
 *   bench_agents loop MILLISECONDS N [options] HOST PORT
 *
 * hold opens N, says "open N milliseconds", and keeps them until its standard input ends. In a loop
 * N at a time come, and each leaves as soon as it is open and comes back; says the same at the end,
 * of all that were open. Options are `policy FILE` and `attester SPEC`, as enta's; without a policy
 * the gateway proves nothing.
 *
 * Each is a channel over rats-tls, the same code as enta's, with 10.64.x.y/32 of its own.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "chan/security.h"
#include "io/congestion.h"
#include "io/stream.h"

enum {
	AGENTS_MAX = 1024,
	AT_ONCE = 32, /* in their handshakes: fewer than a gateway lets strangers wait */
};

struct agent {
	struct chan_loop *loop;
	struct chan *c; /* the one under way or open */
};

struct crowd {
	struct event_base *base;
	struct chan_config cfg;
	struct addr to;
	uint16_t port;
	bool loops;
	size_t n, n_started, n_open, n_handshakes;
	uint64_t began_us;
	struct agent agents[AGENTS_MAX];
};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_agents: %s\n", what);
	exit(1);
}

static void dial(struct crowd *w, struct agent *a)
{
	static const struct stream_options o = { .congestion = CONGESTION_AUTO };

	need(chan_connect(a->loop, &w->cfg, &w->to, w->port, &o, &a->c) == 0, "cannot dial");
	chan_set_data(a->c, a);
}

static void say(const struct crowd *w)
{
	printf("open %zu %.3f\n", w->n_handshakes, (double)(clock_now_us() - w->began_us) / 1e3);
	fflush(stdout);
}

static enum chan_reason on_open(void *owner, struct chan *c)
{
	struct crowd *w = owner;

	(void)c;
	w->n_handshakes++;
	if (w->loops)
		return CHAN_R_STOP; /* and again, when it is closed */
	w->n_open++;
	if (w->n_started < w->n)
		dial(w, &w->agents[w->n_started++]);
	if (w->n_open == w->n)
		say(w);
	return CHAN_OK;
}

static void on_closed(void *owner, struct chan *c, enum chan_reason why)
{
	struct crowd *w = owner;

	if (why != CHAN_R_STOP)
		fprintf(stderr, "bench_agents: an agent was closed: %s\n", chan_reason_word(why));
	need(w->loops && why == CHAN_R_STOP, "not what is measured");
	dial(w, chan_data(c));
}

static enum chan_reason on_packet(void *owner, struct chan *c, const struct chan_packet *p)
{
	(void)owner;
	(void)c;
	(void)p;
	return CHAN_OK;
}

static enum chan_reason on_routes(void *owner, struct chan *c, const struct control_routes *r)
{
	(void)owner;
	(void)c;
	(void)r;
	return CHAN_OK;
}

static enum chan_reason on_reattested(void *owner, struct chan *c, bool grants_changed)
{
	(void)owner;
	(void)c;
	(void)grants_changed;
	return CHAN_OK;
}

static void ignore(void *owner, struct chan *c)
{
	(void)owner;
	(void)c;
}

static const struct chan_handler handler = {
	.open = on_open,
	.packet = on_packet,
	.routes = on_routes,
	.batch_end = ignore,
	.reattested = on_reattested,
	.writable = ignore,
	.closed = on_closed,
};

static void on_time_up(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	say(arg);
	fflush(stdout);
	exit(0); /* the gateway sees connections close: nothing here is worth an orderly end */
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	exit(0);
}

/* A loop each: what HELLO says of a process is the loop's. */
static void add_agent(struct crowd *w, size_t i)
{
	struct control_hello own = { .version = CONTROL_VERSION,
				     .role = CONTROL_ROLE_AGENT,
				     .name = "agent",
				     .n_prefixes = 1,
				     .features = CONTROL_FEATURE_GSO | CONTROL_FEATURE_USO,
				     .mtu = 65535 };
	char text[32];
	struct addr a;

	own.node_id[0] = 1;
	put_be16(own.node_id + 1, (uint16_t)i);
	snprintf(text, sizeof(text), "10.64.%zu.%zu", i / 250, i % 250 + 1);
	need(addr_parse(text, &a), "no address");
	own.prefixes[0] = prefix_of(&a, 32);
	need(chan_loop_new(w->base, &own, &w->agents[i].loop) == 0, "out of memory");
}

static void set_up_security(struct crowd *w, const char *policy, const char *attester)
{
	static struct security_config cfg = { .with_gateways = true };
	static char message[SECURITY_MESSAGE_MAX];
	static struct security *s;

	snprintf(cfg.policy_gateways, sizeof(cfg.policy_gateways), "%s", policy);
	snprintf(cfg.attester, sizeof(cfg.attester), "%s", attester);
	need(security_new(w->base, &cfg, &s, message) == 0, message);
	w->cfg = (struct chan_config){ .handler = &handler,
				       .owner = w,
				       .expect = CONTROL_ROLE_GATEWAY,
				       .trust = security_trust(s, CONTROL_ROLE_GATEWAY) };
}

static void allow_files(void)
{
	struct rlimit r;

	need(getrlimit(RLIMIT_NOFILE, &r) == 0, "no limit");
	r.rlim_cur = r.rlim_max;
	need(setrlimit(RLIMIT_NOFILE, &r) == 0, "no files");
}

static void run(struct crowd *w, uint64_t ms)
{
	const struct timeval limit = { .tv_sec = (time_t)(ms / 1000),
				       .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	const size_t first = w->loops || w->n < AT_ONCE ? w->n : AT_ONCE;
	struct event *end;

	end = w->loops ? event_new(w->base, -1, 0, on_time_up, w)
		       : event_new(w->base, 0, EV_READ, on_stdin, w);
	need(end && event_add(end, w->loops ? &limit : NULL) == 0, "out of memory");
	for (size_t i = 0; i < w->n; i++)
		add_agent(w, i);
	w->began_us = clock_now_us();
	while (w->n_started < first)
		dial(w, &w->agents[w->n_started++]);
	event_base_dispatch(w->base);
	need(false, "the loop has ended");
}

int main(int argc, char **argv)
{
	const char *policy = SECURITY_UNATTESTED, *attester = "";
	static struct crowd w;
	uint64_t ms = 0;
	int at = 1;

	if (at < argc && strcmp(argv[at], "loop") == 0)
		w.loops = true;
	at++;
	if (w.loops && at < argc)
		ms = strtoull(argv[at++], NULL, 10);
	w.n = at < argc ? strtoul(argv[at++], NULL, 10) : 0;
	for (; at + 1 < argc; at += 2) {
		if (strcmp(argv[at], "policy") == 0)
			policy = argv[at + 1];
		else if (strcmp(argv[at], "attester") == 0)
			attester = argv[at + 1];
		else
			break;
	}
	need(argc - at == 2 && w.n > 0 && w.n <= AGENTS_MAX && addr_parse(argv[at], &w.to),
	     "usage: hold N | loop MILLISECONDS N, [policy FILE] [attester SPEC], HOST PORT");
	w.port = (uint16_t)strtoul(argv[at + 1], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	allow_files();
	w.base = event_base_new();
	need(w.base, "out of memory");
	set_up_security(&w, policy, attester);
	run(&w, ms);
	return 1;
}
