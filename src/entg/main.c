/* entg: the gateway program. Options and privileges; gateway.c does the work. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/standard.h"
#include "chan/channel.h"
#include "conf/common.h"
#include "conf/option.h"
#include "entg/admin.h"
#include "entg/gateway.h"
#include "entg/signals.h"
#include "entg/start.h"
#include "io/congestion.h"
#include "io/sandbox.h"
#include "io/worker.h"

enum option_index {
	CONNECT,
	LISTEN_GATEWAYS,
	LISTEN_AGENTS,
	GATEWAY_TLS,
	AGENT_TLS,
	POLICY,
	GATEWAY_POLICY,
	AGENT_POLICY,
	ATTESTER,
	ENDORSEMENTS,
	COLLATERAL,
	REATTEST,
	CIPHER_BACKEND,
	COMPAT,
	WORKERS,
	BUSY_POLL,
	CONGESTION,
	NAME,
	ADMIN,
	LEVEL
};

static const struct option_spec specs[] = {
	[CONNECT] = { "entg-connect", "[tcp://]HOST:PORT",
		      "a neighbour gateway to connect to; repeats" },
	[LISTEN_GATEWAYS] = { "entg-listen", "[tcp://][ADDR:]PORT",
			      "listen for gateways; repeats (default 6979)" },
	[LISTEN_AGENTS] = { "enta-listen", "[tcp://][ADDR:]PORT",
			    "listen for agents; repeats (default 6980)" },
	[GATEWAY_TLS] = { "entg-rats-tls", NULL, "attested TLS to gateways: the default" },
	[AGENT_TLS] = { "enta-rats-tls", NULL, "attested TLS to agents: the default" },
	[POLICY] = { "policy", "FILE",
		     "what peers must prove, see rats-policy(5); or the\nword unattested: "
		     "nothing" },
	[GATEWAY_POLICY] = { "entg-policy", "FILE", "the same, for gateways only" },
	[AGENT_POLICY] = { "enta-policy", "FILE", "the same, for agents only" },
	[ATTESTER] = COMMON_OPTION_ATTESTER,
	[ENDORSEMENTS] = COMMON_OPTION_ENDORSEMENTS,
	[COLLATERAL] = COMMON_OPTION_COLLATERAL,
	[REATTEST] = COMMON_OPTION_REATTEST,
	[CIPHER_BACKEND] = COMMON_OPTION_CIPHER_BACKEND,
	[COMPAT] = { "compat", NULL,
		     "speak protocol v0 to gateways, and take a silent\npeer for one of v0" },
	[WORKERS] = COMMON_OPTION_WORKERS,
	[BUSY_POLL] = COMMON_OPTION_BUSY_POLL,
	[CONGESTION] = COMMON_OPTION_CONGESTION,
	[NAME] = { "name", "NAME",
		   "this node's name, in logs of the peers\n(default: the host's)" },
	[ADMIN] = { "admin", "ADDR:PORT",
		    "answer status, drain and reload there; a loopback\naddress" },
	[LEVEL] = COMMON_OPTION_LOG_LEVEL,
};

static const struct option_program program = {
	.name = "entg",
	.usage = "entg [OPTION]...",
	.summary = "The gateway of ENG: forwards packets between agents and other gateways.",
	.options = specs,
	.n_options = ARRAY_LEN(specs),
	.footer = "A default listener is opened only if no --enta-listen and no --entg-listen is "
		  "given.\n"
		  "See entg(8).",
};

static const char *add_endpoint(const char *wrong, size_t *n, size_t max)
{
	if (wrong)
		return wrong;
	if (*n == max - 1)
		return "given too often";
	++*n;
	return NULL;
}

static const char *set_both_policies(struct security_config *s, const char *value)
{
	const char *wrong;

	wrong = common_set_text(value, s->policy_gateways, sizeof(s->policy_gateways));
	return wrong ? wrong : common_set_text(value, s->policy_agents, sizeof(s->policy_agents));
}

static const char *set_security(struct security_config *s, enum option_index index,
				const char *value)
{
	switch (index) {
	case POLICY:
		return set_both_policies(s, value);
	case GATEWAY_POLICY:
		return common_set_text(value, s->policy_gateways, sizeof(s->policy_gateways));
	case AGENT_POLICY:
		return common_set_text(value, s->policy_agents, sizeof(s->policy_agents));
	case ATTESTER:
		return common_set_text(value, s->attester, sizeof(s->attester));
	case ENDORSEMENTS:
		s->endorsements = true;
		return NULL;
	case COLLATERAL:
		return common_set_text(value, s->collateral, sizeof(s->collateral));
	case REATTEST:
		return common_set_reattest(value, &s->reattest_s);
	default:
		return common_set_text(value, s->cipher_backend, sizeof(s->cipher_backend));
	}
}

static const char *set(void *ctx, size_t index, const char *value)
{
	struct gateway_config *cfg = ctx;

	switch ((enum option_index)index) {
	case CONNECT:
		return add_endpoint(endpoint_parse_connect(value, &cfg->connect[cfg->n_connect]),
				    &cfg->n_connect, ARRAY_LEN(cfg->connect));
	case LISTEN_GATEWAYS:
		return add_endpoint(
			endpoint_parse_listen(value, &cfg->listen_gateways[cfg->n_listen_gateways]),
			&cfg->n_listen_gateways, ARRAY_LEN(cfg->listen_gateways));
	case LISTEN_AGENTS:
		return add_endpoint(
			endpoint_parse_listen(value, &cfg->listen_agents[cfg->n_listen_agents]),
			&cfg->n_listen_agents, ARRAY_LEN(cfg->listen_agents));
	case GATEWAY_TLS: /* what an address without tcp:// means anyway */
		cfg->security.only_gateways = true;
		return NULL;
	case AGENT_TLS:
		cfg->security.only_agents = true;
		return NULL;
	case POLICY:
	case GATEWAY_POLICY:
	case AGENT_POLICY:
	case ATTESTER:
	case ENDORSEMENTS:
	case COLLATERAL:
	case REATTEST:
	case CIPHER_BACKEND:
		return set_security(&cfg->security, (enum option_index)index, value);
	case COMPAT:
		cfg->compat = true;
		return NULL;
	case WORKERS:
		return common_set_workers(value, &cfg->n_workers);
	case BUSY_POLL:
		return common_set_busy_poll(value, &cfg->poll_us);
	case CONGESTION:
		return common_set_congestion(value, cfg->stream.congestion,
					     sizeof(cfg->stream.congestion));
	case NAME:
		return common_set_name(value, cfg->name, sizeof(cfg->name));
	case ADMIN:
		cfg->has_admin = true;
		return admin_parse(value, &cfg->admin);
	case LEVEL:
		return common_set_log_level(value);
	}
	return "not known";
}

/* One kind of address on the command line, and what was said of its peers. */
struct group {
	const char *option, *policy_option, *tls_option, *policy;
	const struct endpoint *endpoints;
	const size_t *n;
	bool only_tls;
	bool *is_used; /* over rats-tls */
};

/* Who is to be reached over rats-tls needs a policy, or the word that none is wanted. */
static int check_endpoint(const struct group *g, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	if (e->plain && g->only_tls)
		return option_complain(&program,
				       "--%s and --%s %s: the link is either protected or not",
				       g->tls_option, g->option, endpoint_format(e, text));
	if (e->plain)
		return 0;
	*g->is_used = true;
	if (g->policy[0])
		return 0;
	return option_complain(
		&program,
		"--%s %s: what must this peer prove? Give --policy or --%s a file (rats-policy(5)) "
		"or the word unattested, or write tcp:// before the address for plaintext, knowing "
		"that it is not protected",
		g->option, endpoint_format(e, text), g->policy_option);
}

static int check(struct gateway_config *cfg)
{
	struct security_config *s = &cfg->security;
	const struct group groups[] = {
		{ "entg-connect", "entg-policy", "entg-rats-tls", s->policy_gateways, cfg->connect,
		  &cfg->n_connect, s->only_gateways, &s->with_gateways },
		{ "entg-listen", "entg-policy", "entg-rats-tls", s->policy_gateways,
		  cfg->listen_gateways, &cfg->n_listen_gateways, s->only_gateways,
		  &s->with_gateways },
		{ "enta-listen", "enta-policy", "enta-rats-tls", s->policy_agents,
		  cfg->listen_agents, &cfg->n_listen_agents, s->only_agents, &s->with_agents },
	};
	int r = 0;

	if (cfg->n_listen_gateways + cfg->n_listen_agents == 0) {
		cfg->listen_agents[cfg->n_listen_agents++].port = 6980;
		cfg->listen_gateways[cfg->n_listen_gateways++].port = 6979;
	}
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		for (size_t j = 0; j < *groups[i].n && r == 0; j++)
			r = check_endpoint(&groups[i], &groups[i].endpoints[j]);
	s->compat = cfg->compat;
	return r;
}

/* The doors to a gateway that runs: signals, and an address if one is wanted. */
static int open_doors(struct event_base *base, const struct gateway_config *cfg, struct gateway *g,
		      struct signals **signals, struct admin **admin)
{
	char text[ENDPOINT_TEXT_MAX];
	int r;

	r = signals_new(base, g, signals);
	if (r < 0 || !cfg->has_admin)
		return r;
	r = admin_new(base, &cfg->admin, g, admin);
	if (r < 0)
		log_error("start-failed", "reason=\"cannot listen on %s: %s\"",
			  endpoint_format(&cfg->admin, text), err_text(r));
	return r;
}

static int run(const struct gateway_config *cfg)
{
	const char *wrong = "out of memory";
	struct signals *signals = NULL;
	struct admin *admin = NULL;
	struct event_base *base;
	struct gateway *g = NULL;
	int r;

	base = event_base_new();
	if (!base)
		return err_new(-ENOMEM);
	r = gateway_new(base, cfg, &g, &wrong);
	if (r < 0)
		log_error("start-failed", "reason=\"%s\"", wrong);
	if (r == 0)
		r = open_doors(base, cfg, g, &signals, &admin);
	if (r == 0)
		r = sandbox_enter(SANDBOX_KEEP_NOTHING);
	if (r == 0) {
		log_info("ready", "name=%s pid=%d", cfg->name, (int)getpid());
		r = gateway_run(g);
		log_info("stopped", "name=%s", cfg->name);
	}
	admin_free(admin);
	signals_free(signals);
	gateway_free(g);
	event_base_free(base);
	return r;
}

int main(int argc, char **argv)
{
	static struct gateway_config cfg;
	int r;

	if (standard_open() < 0)
		return EXIT_FAILURE; /* and nowhere to say why */
	r = start_options(&argc, &argv);
	if (r != 0)
		return r;
	cfg.n_workers = 1;
	cfg.poll_us = start_poll_us;
	cfg.security.reattest_s = SECURITY_REATTEST_S;
	cfg.stream = (struct stream_options){ .congestion = CONGESTION_AUTO };
	common_host_name(cfg.name, sizeof(cfg.name));
	r = option_parse(&program, argc, argv, set, &cfg);
	if (r == OPTION_E_DONE)
		return EXIT_SUCCESS;
	if (r == 0)
		r = check(&cfg);
	if (r != 0)
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN); /* whoever reads our log may leave before we do */
	sandbox_raise_file_limit();
	worker_exit(run(&cfg) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
