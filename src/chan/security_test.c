/* What another thread gets of a daemon's key and policies: the same, by ways of its own. */
#include "chan/security.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"
#include "chan/appraiser.h"
#include "io/mailbox.h"

struct side {
	struct event_base *base;
	struct mailbox *box;
	struct security *security;
};

struct fixture {
	struct side home, here;
	struct security_config cfg;
	char dir[32];
};

static void fixture_start(struct fixture *f)
{
	FILE *out;

	*f = (struct fixture){ .home.base = event_base_new(),
			       .here.base = event_base_new(),
			       .dir = "/tmp/security.XXXXXX" };
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->cfg.policy_gateways, sizeof(f->cfg.policy_gateways), "%s/policy", f->dir);
	out = fopen(f->cfg.policy_gateways, "w");
	assert_non_null(out);
	assert_true(fputs("insecure: null\n", out) >= 0);
	assert_int_equal(fclose(out), 0);
	memcpy(f->cfg.policy_agents, f->cfg.policy_gateways, sizeof(f->cfg.policy_agents));
	f->cfg.with_gateways = true;
	f->cfg.reattest_s = 17;
	snprintf(f->cfg.attester, sizeof(f->cfg.attester), "null");
	snprintf(f->cfg.cipher_backend, sizeof(f->cfg.cipher_backend), "evp");
	assert_int_equal(mailbox_new(f->home.base, &f->home.box), 0);
	assert_int_equal(mailbox_new(f->here.base, &f->here.box), 0);
}

static void start_security(struct fixture *f)
{
	char message[SECURITY_MESSAGE_MAX];

	if (security_new(f->home.base, &f->cfg, &f->home.security, message) != 0)
		fail_msg("%s", message);
	assert_int_equal(
		security_remote(f->home.security, f->home.box, f->here.box, &f->here.security), 0);
}

static void fixture_end(struct fixture *f)
{
	security_free(f->here.security);
	mailbox_free(f->here.box);
	mailbox_free(f->home.box);
	security_free(f->home.security);
	event_base_free(f->here.base);
	event_base_free(f->home.base);
	unlink(f->cfg.policy_gateways);
	rmdir(f->dir);
}

static void another_thread_has_the_same(void **state)
{
	const struct chan_trust *there, *here;
	struct fixture f;

	(void)state;
	for (int both = 0; both < 2; both++) {
		fixture_start(&f);
		f.cfg.with_agents = both;
		start_security(&f);
		there = security_trust(f.home.security, CONTROL_ROLE_GATEWAY);
		here = security_trust(f.here.security, CONTROL_ROLE_GATEWAY);
		assert_ptr_equal(here->identity, there->identity);
		assert_int_equal(here->reattest_s, 17);
		assert_false(here->unattested);
		assert_string_equal(here->cipher_backend, "evp");
		assert_non_null(here->appraiser);
		assert_non_null(here->prover);
		assert_ptr_not_equal(here->appraiser, there->appraiser);
		assert_ptr_not_equal(here->prover, there->prover);
		here = security_trust(f.here.security, CONTROL_ROLE_AGENT);
		if (both)
			assert_ptr_equal(
				here->appraiser,
				security_trust(f.here.security, CONTROL_ROLE_GATEWAY)->appraiser);
		else
			assert_null(here);
		fixture_end(&f);
	}
}

static void unattested_stays_unattested(void **state)
{
	const struct chan_trust *here;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	snprintf(f.cfg.policy_gateways, sizeof(f.cfg.policy_gateways), SECURITY_UNATTESTED);
	f.cfg.attester[0] = '\0';
	start_security(&f);
	here = security_trust(f.here.security, CONTROL_ROLE_GATEWAY);
	assert_true(here->unattested);
	assert_null(here->appraiser);
	assert_null(here->prover);
	snprintf(f.cfg.policy_gateways, sizeof(f.cfg.policy_gateways), "%s/policy", f.dir);
	fixture_end(&f);
}

/* --- two threads --- */

static void *run_home(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

struct end {
	struct mail mail;
	struct event_base *base;
};

static void on_stop(struct mail *m, bool dropped)
{
	assert_false(dropped);
	event_base_loopbreak(((struct end *)m)->base);
}

static void on_verdict(void *owner, struct span reply, const char *why)
{
	appraiser_read(reply, why, owner);
}

static void evidence_is_judged_for_it(void **state)
{
	const struct appraiser_question q = { .evidence = SPAN("e", 1) };
	const struct chan_trust *here;
	struct appraisal verdict = { 0 };
	pthread_t home;
	struct fixture f;
	struct job *job;
	struct end end;

	(void)state;
	fixture_start(&f);
	start_security(&f);
	assert_int_equal(pthread_create(&home, NULL, run_home, f.home.base), 0);
	here = security_trust(f.here.security, CONTROL_ROLE_GATEWAY);
	assert_int_equal(appraiser_submit(here->appraiser, &q, on_verdict, &verdict, &job), 0);
	while (!verdict.why[0] && verdict.result == 0)
		assert_int_equal(event_base_loop(f.here.base, EVLOOP_ONCE), 0);
	end = (struct end){ { .fn = on_stop }, f.home.base };
	mailbox_post(f.home.box, &end.mail);
	assert_int_equal(pthread_join(home, NULL), 0);
	assert_string_equal(verdict.why, "");
	assert_int_equal(verdict.result, RTLS_TRUSTED);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_thread_has_the_same),
		cmocka_unit_test(unattested_stays_unattested),
		cmocka_unit_test(evidence_is_judged_for_it),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
