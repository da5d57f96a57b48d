/*
 * A verdict: result, the check that failed, why, and the record of every check.
 *
 * A zeroed verdict is UNDECIDED. The first failed check decides: later ones are recorded but
 * change neither `failed` nor `why`. Only verdict_trust() yields TRUSTED, only the appraiser
 * (appraise.c) calls it, and it refuses when any check failed or none was made.
 */
#ifndef ENG_RATS_VERDICT_H
#define ENG_RATS_VERDICT_H

#include "base/cleanup.h"
#include "rats/claims.h"
#include "rats_tls.h"

enum {
	VERDICT_CHECKS_MAX = 128, /* a verifier makes about 40, an alternative one per rule */
	VERDICT_WHY_MAX = 512,	  /* two 64-byte values in hex and some words */
};

struct check_record {
	enum rtls_check check;
	enum rtls_outcome outcome;
	char *what; /* "QE report signature"; on failure with ": why" */
};

struct rtls_verdict {
	enum rtls_result result;
	enum rtls_check failed;
	bool undecidable;   /* the failure is that something is missing, not that it is wrong */
	int error;	    /* -ENOMEM: nothing in here may be believed */
	const char *tee;    /* name of the verifier that ran, a constant; NULL before */
	size_t alternative; /* index of the alternative that was satisfied */
	char why[VERDICT_WHY_MAX];
	struct claims *claims;
	size_t n_checks;
	struct check_record checks[VERDICT_CHECKS_MAX];
};

int verdict_new(struct rtls_verdict **out);

/*
 * Each records a check named `what` (a constant, or printed with a format by _if). They return
 * whether it passed, so that a verifier reads:
 *
 *	if (!verdict_check(v, RTLS_CHECK_BINDING, ok, "QE report data", "expected %s", hex))
 *		return 0;
 *
 * fmt says what was expected and what was found; it is used only when ok is false.
 */
PRINTF_LIKE(5, 6)
bool verdict_check(struct rtls_verdict *v, enum rtls_check check, bool ok, const char *what,
		   const char *fmt, ...);
/* Something needed is not there: the result becomes UNDECIDED, not REJECTED. Returns false. */
PRINTF_LIKE(4, 5)
bool verdict_missing(struct rtls_verdict *v, enum rtls_check check, const char *what,
		     const char *fmt, ...);
void verdict_skip(struct rtls_verdict *v, enum rtls_check check, const char *what);
/* Records the comparison of two byte strings; the failure text shows both in hex. */
bool verdict_check_equal(struct rtls_verdict *v, enum rtls_check check, const char *what,
			 struct span expected, struct span found);

bool verdict_has_failed(const struct rtls_verdict *v);
void verdict_trust(struct rtls_verdict *v);
const char *check_name(enum rtls_check c); /* "SIGNATURE" */

#endif
