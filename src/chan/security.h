/*
 * What a daemon proves with and judges by: its key, its prover, and an appraiser for each kind of
 * peer, set up from what the command line says before the daemon gives its rights up.
 */
#ifndef ENG_CHAN_SECURITY_H
#define ENG_CHAN_SECURITY_H

#include "chan/channel.h"

struct mailbox;

enum {
	SECURITY_PATH_MAX = 4096,
	SECURITY_MESSAGE_MAX = 1024,
	SECURITY_REATTEST_S = 3600, /* the default of reattest_s */
};

#define SECURITY_UNATTESTED "unattested" /* instead of a policy: these peers need no proof */

struct security_config {
	char attester[SECURITY_PATH_MAX]; /* NAME[:OPTIONS]; "": nothing can be proved */
	bool endorsements;		  /* send along what the attester holds of them */
	char policy_gateways[SECURITY_PATH_MAX], policy_agents[SECURITY_PATH_MAX];
	char collateral[SECURITY_PATH_MAX]; /* "": what the policies say */
	unsigned reattest_s;
	char cipher_backend[16]; /* "": the fastest */
	/* Whom there are rats-tls links with at all; and whom the command line wants no others
	 * with. */
	bool with_gateways, with_agents;
	bool only_gateways, only_agents;
	bool compat; /* the certificate must carry evidence, for peers that know no other way */
};

struct security;

/* The loop must not run yet, and may be run. On failure message says why
 * (SECURITY_MESSAGE_MAX bytes). 0 or -errno. */
MUST_USE int security_new(struct event_base *base, const struct security_config *cfg,
			  struct security **out, char *message);
/*
 * The same key and policies for a loop in another thread, which owns `here`; home is the mailbox of
 * the thread that s is for, where s does all the work (jobs_remote(), which see). Made before the
 * other thread runs, freed after it: before the mailboxes, and before s. 0 or -errno.
 */
MUST_USE int security_remote(struct security *s, struct mailbox *home, struct mailbox *here,
			     struct security **out);
void security_free(struct security *s); /* every channel must be gone */
/* Of links to peers of that role; NULL if there are none. Lives as long as s. */
const struct chan_trust *security_trust(const struct security *s, enum control_role role);
/* Reads policies and collateral again, and judges every peer by them. What cannot be read stays as
 * it was, and the log says so. */
void security_reload(struct security *s, struct chan_loop *l);
/* Judges every peer of the loop by the policies in force: for the loops of other threads, after a
 * reload. */
void security_reappraise(const struct security *s, struct chan_loop *l);

#endif
