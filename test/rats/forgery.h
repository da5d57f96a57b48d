/* Runs one forgery: builds a platform, lets the test make one thing wrong, appraises it. */
#ifndef ENG_TEST_RATS_FORGERY_H
#define ENG_TEST_RATS_FORGERY_H

#include "base/test.h"
#include "pki_dcap.h"
#include "rats/policy.h"

enum platform { P_SGX3, P_SGX4, P_SGX5, P_TDX4, P_TDX5, P_TDX15, P_TDX15EX };

struct forgery {
	const char *name;
	enum platform platform;
	void (*forge)(struct dcap *d);
	enum rtls_result result;
	enum rtls_check failed; /* NONE with TRUSTED */
	const char *why;    /* must occur in the verdict's why (rejected) or be the TCB status */
	const char *policy; /* lines added to the alternative, and after "\n--\n" to the top */
};

/* cmocka: state points to the forgery. */
void forgery_run(void **state);
/* The parts of it, for tests that do something between. */
void forgery_platform(struct dcap *d, enum platform p);
struct rtls_policy *forgery_policy(enum platform p, const char *extra);

#endif
