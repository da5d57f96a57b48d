/* Keys, prover and appraisers of a daemon; see security.h. */
#include "chan/security.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "chan/appraiser.h"
#include "chan/prover.h"

enum { GATEWAYS, AGENTS, N_KINDS };

static const char *const kind_names[N_KINDS] = { "gateways", "agents" };

struct security {
	bool is_remote; /* the key is another's */
	struct rtls_identity *identity;
	struct prover *prover;
	struct appraiser *appraisers[N_KINDS]; /* one for both, if both have the same policy */
	bool is_used[N_KINDS];
	struct chan_trust trust[N_KINDS];
	char cipher_backend[16];
};

static void shout_if_insecure(const struct security *s, int kind)
{
	if (appraiser_is_insecure(s->appraisers[kind]))
		log_warn("insecure", "peers=%s meaning=\"insecure: null proves NOTHING\"",
			 kind_names[kind]);
}

static int set_up_appraiser(struct security *s, struct event_base *base,
			    const struct security_config *cfg, int kind, char *message)
{
	const char *const policies[N_KINDS] = { cfg->policy_gateways, cfg->policy_agents };
	const char *policy = policies[kind];
	int r;

	if (strcmp(policy, SECURITY_UNATTESTED) == 0) {
		s->trust[kind].unattested = true;
		log_warn("unattested", "peers=%s meaning=\"whoever reaches the port is let in\"",
			 kind_names[kind]);
		return 0;
	}
	if (kind == AGENTS && s->appraisers[GATEWAYS] && strcmp(policy, policies[GATEWAYS]) == 0) {
		s->appraisers[AGENTS] = s->appraisers[GATEWAYS];
		return 0;
	}
	r = appraiser_new(base, policy, cfg->collateral, &s->appraisers[kind], message);
	if (r == 0)
		shout_if_insecure(s, kind);
	return r;
}

/* The name is looked up when a session begins: better now than at each peer. */
static int check_cipher_backend(struct security *s, char *message)
{
	const struct rtls_session_config cfg = { .size = sizeof(cfg),
						 .role = RTLS_CLIENT,
						 .identity = s->identity,
						 .cipher_backend = s->cipher_backend };
	struct rtls_session *session = NULL;
	int r;

	r = s->cipher_backend[0] ? rtls_session_new(&cfg, &session) : 0;
	rtls_session_free(session);
	if (r < 0)
		snprintf(message, SECURITY_MESSAGE_MAX, "cipher backend %s: %s", s->cipher_backend,
			 r == -ENOTSUP ? "there is none of that name here" : err_text(r));
	return r;
}

/* A certificate with evidence, once per key. */
static int certify(struct security *s, char *message)
{
	uint8_t report_data[PROVER_REPORT_DATA];
	struct span evidence, endorsements;
	uint8_t *buf = malloc(WORKER_MESSAGE_MAX);
	int r = buf ? 0 : err_new(-ENOMEM);

	if (r == 0)
		r = rtls_identity_report_data(s->identity, report_data);
	if (r == 0)
		r = prover_ask(s->prover, report_data, buf, &evidence, &endorsements, message);
	if (r == 0)
		r = rtls_identity_set_evidence(s->identity, evidence.p, evidence.n, endorsements.p,
					       endorsements.n);
	free(buf);
	return r;
}

static int set_up(struct security *s, struct event_base *base, const struct security_config *cfg,
		  char *message)
{
	char why[APPRAISER_MESSAGE_MAX] = "";
	int r;

	s->is_used[GATEWAYS] = cfg->with_gateways;
	s->is_used[AGENTS] = cfg->with_agents;
	memcpy(s->cipher_backend, cfg->cipher_backend, sizeof(s->cipher_backend));
	r = rtls_identity_new(&s->identity);
	if (r == 0)
		r = check_cipher_backend(s, message);
	if (r == 0 && cfg->attester[0]) {
		r = prover_new(base, cfg->attester, cfg->endorsements, &s->prover, why);
		if (r == 0 && cfg->compat)
			r = certify(s, why);
		if (r < 0)
			snprintf(message, SECURITY_MESSAGE_MAX, "attester %.500s: %s",
				 cfg->attester, why);
	}
	for (int kind = 0; kind < N_KINDS && r == 0; kind++) {
		if (!s->is_used[kind])
			continue;
		r = set_up_appraiser(s, base, cfg, kind, why);
		if (r < 0)
			snprintf(message, SECURITY_MESSAGE_MAX, "%s", why);
		s->trust[kind].identity = s->identity;
		s->trust[kind].prover = s->prover;
		s->trust[kind].appraiser = s->appraisers[kind];
		s->trust[kind].reattest_s = cfg->reattest_s;
		s->trust[kind].cipher_backend = s->cipher_backend[0] ? s->cipher_backend : NULL;
	}
	return r;
}

int security_new(struct event_base *base, const struct security_config *cfg, struct security **out,
		 char *message)
{
	struct security *s = calloc(1, sizeof(*s));
	int r;

	snprintf(message, SECURITY_MESSAGE_MAX, "out of memory");
	if (!s)
		return err_new(-ENOMEM);
	r = set_up(s, base, cfg, message);
	if (r < 0) {
		security_free(s);
		return err_pass(r);
	}
	*out = s;
	return 0;
}

static int appraisers_remote(struct security *there, struct security *s, struct mailbox *home,
			     struct mailbox *here)
{
	int r = 0;

	for (int kind = 0; kind < N_KINDS && r == 0; kind++) {
		if (!s->appraisers[kind])
			continue;
		if (kind == AGENTS && s->appraisers[AGENTS] == s->appraisers[GATEWAYS])
			there->appraisers[AGENTS] = there->appraisers[GATEWAYS];
		else
			r = appraiser_remote(s->appraisers[kind], home, here,
					     &there->appraisers[kind]);
	}
	return r;
}

int security_remote(struct security *s, struct mailbox *home, struct mailbox *here,
		    struct security **out)
{
	struct security *there = calloc(1, sizeof(*there));
	int r;

	if (!there)
		return err_new(-ENOMEM);
	there->is_remote = true;
	there->identity = s->identity;
	memcpy(there->is_used, s->is_used, sizeof(there->is_used));
	memcpy(there->cipher_backend, s->cipher_backend, sizeof(there->cipher_backend));
	r = s->prover ? prover_remote(s->prover, home, here, &there->prover) : 0;
	if (r == 0)
		r = appraisers_remote(there, s, home, here);
	if (r < 0) {
		security_free(there);
		return err_pass(r);
	}
	for (int kind = 0; kind < N_KINDS; kind++) {
		there->trust[kind] = s->trust[kind];
		there->trust[kind].prover = there->prover;
		there->trust[kind].appraiser = there->appraisers[kind];
		if (there->cipher_backend[0])
			there->trust[kind].cipher_backend = there->cipher_backend;
	}
	*out = there;
	return 0;
}

void security_free(struct security *s)
{
	if (!s)
		return;
	if (s->appraisers[AGENTS] != s->appraisers[GATEWAYS])
		appraiser_free(s->appraisers[AGENTS]);
	appraiser_free(s->appraisers[GATEWAYS]);
	prover_free(s->prover);
	if (!s->is_remote)
		rtls_identity_free(s->identity);
	free(s);
}

const struct chan_trust *security_trust(const struct security *s, enum control_role role)
{
	const int kind = role == CONTROL_ROLE_AGENT ? AGENTS : GATEWAYS;

	return s && s->is_used[kind] ? &s->trust[kind] : NULL;
}

void security_reload(struct security *s, struct chan_loop *l)
{
	char message[APPRAISER_MESSAGE_MAX];

	for (int kind = 0; s && kind < N_KINDS; kind++) {
		if (!s->appraisers[kind])
			continue;
		if (kind == GATEWAYS || s->appraisers[kind] != s->appraisers[GATEWAYS]) {
			if (appraiser_reload(s->appraisers[kind], message) < 0) {
				log_error("reload-failed",
					  "peers=%s kept=\"the policy before\" reason=\"%s\"",
					  kind_names[kind], message);
				continue;
			}
			log_info("reloaded", "peers=%s", kind_names[kind]);
			shout_if_insecure(s, kind);
		}
		chan_loop_reappraise(l, &s->trust[kind]);
	}
}

void security_reappraise(const struct security *s, struct chan_loop *l)
{
	for (int kind = 0; s && kind < N_KINDS; kind++)
		if (s->appraisers[kind])
			chan_loop_reappraise(l, &s->trust[kind]);
}
