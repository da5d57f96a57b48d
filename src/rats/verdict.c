/* Verdicts: recording checks and deciding; see verdict.h. */
#include "rats/verdict.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rats/json.h"
#include "rats/text.h"

int verdict_new(struct rtls_verdict **out)
{
	struct rtls_verdict *v = calloc(1, sizeof(*v));

	if (!v)
		return err_new(-ENOMEM);
	if (claims_new(&v->claims) != 0) {
		free(v);
		return err_new(-ENOMEM);
	}
	*out = v;
	return 0;
}

void rtls_verdict_free(struct rtls_verdict *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n_checks; i++)
		free(v->checks[i].what);
	claims_free(v->claims);
	free(v);
}

/* A record that cannot be kept makes the verdict worthless, not shorter. */
static void record(struct rtls_verdict *v, enum rtls_check check, enum rtls_outcome outcome,
		   const char *text)
{
	char *copy;

	if (v->n_checks == VERDICT_CHECKS_MAX) {
		v->error = err_new(-E2BIG);
		return;
	}
	copy = strdup(text);
	if (!copy) {
		v->error = err_new(-ENOMEM);
		return;
	}
	v->checks[v->n_checks++] =
		(struct check_record){ .check = check, .outcome = outcome, .what = copy };
}

/* One line of printable ASCII: a peer's bytes must not forge output. */
static void sanitize(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

PRINTF_LIKE(5, 0)
static void fail(struct rtls_verdict *v, enum rtls_check check, bool undecidable, const char *what,
		 const char *fmt, va_list ap)
{
	char text[VERDICT_WHY_MAX];
	int n = snprintf(text, sizeof(text), "%s: ", what);

	if (n > 0 && (size_t)n < sizeof(text))
		vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	sanitize(text);
	record(v, check, RTLS_FAILED, text);
	if (verdict_has_failed(v))
		return;
	v->failed = check;
	v->undecidable = undecidable;
	v->result = undecidable ? RTLS_UNDECIDED : RTLS_REJECTED;
	memcpy(v->why, text, sizeof(v->why));
}

bool verdict_check(struct rtls_verdict *v, enum rtls_check check, bool ok, const char *what,
		   const char *fmt, ...)
{
	va_list ap;

	if (ok) {
		record(v, check, RTLS_PASSED, what);
		return v->error == 0;
	}
	va_start(ap, fmt);
	fail(v, check, false, what, fmt, ap);
	va_end(ap);
	return false;
}

bool verdict_missing(struct rtls_verdict *v, enum rtls_check check, const char *what,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(v, check, true, what, fmt, ap);
	va_end(ap);
	return false;
}

void verdict_skip(struct rtls_verdict *v, enum rtls_check check, const char *what)
{
	record(v, check, RTLS_SKIPPED, what);
}

bool verdict_check_equal(struct rtls_verdict *v, enum rtls_check check, const char *what,
			 struct span expected, struct span found)
{
	char e[2 * 64 + 4], f[2 * 64 + 4];

	if (span_equal(expected, found))
		return verdict_check(v, check, true, what, "-");
	return verdict_check(v, check, false, what, "expected %s, found %s",
			     hex_format(expected, e, sizeof(e)), hex_format(found, f, sizeof(f)));
}

bool verdict_has_failed(const struct rtls_verdict *v)
{
	return v->failed != RTLS_CHECK_NONE;
}

void verdict_trust(struct rtls_verdict *v)
{
	bool clean = v->n_checks > 0;

	for (size_t i = 0; i < v->n_checks; i++)
		clean = clean && v->checks[i].outcome != RTLS_FAILED;
	if (clean && v->error == 0 && claims_error(v->claims) == 0 && !verdict_has_failed(v))
		v->result = RTLS_TRUSTED;
}

static const char *const check_names[RTLS_N_CHECKS] = {
	[RTLS_CHECK_NONE] = "NONE",
	[RTLS_CHECK_POLICY] = "POLICY",
	[RTLS_CHECK_FORMAT] = "FORMAT",
	[RTLS_CHECK_CHAIN] = "CHAIN",
	[RTLS_CHECK_SIGNATURE] = "SIGNATURE",
	[RTLS_CHECK_BINDING] = "BINDING",
	[RTLS_CHECK_COLLATERAL] = "COLLATERAL",
	[RTLS_CHECK_REVOKED] = "REVOKED",
	[RTLS_CHECK_IDENTITY] = "IDENTITY",
	[RTLS_CHECK_TCB] = "TCB",
	[RTLS_CHECK_DEBUG] = "DEBUG",
	[RTLS_CHECK_MEASUREMENT] = "MEASUREMENT",
	[RTLS_CHECK_CONFIG] = "CONFIG",
	[RTLS_CHECK_PLATFORM] = "PLATFORM",
	[RTLS_CHECK_SIGNER] = "SIGNER",
	[RTLS_CHECK_FRESHNESS] = "FRESHNESS",
};

const char *check_name(enum rtls_check c)
{
	return (unsigned)c < RTLS_N_CHECKS ? check_names[c] : "UNKNOWN";
}

const char *rtls_check_name(enum rtls_check c)
{
	return check_name(c);
}

const char *rtls_result_name(enum rtls_result r)
{
	return r == RTLS_TRUSTED ? "TRUSTED" : r == RTLS_REJECTED ? "REJECTED" : "UNDECIDED";
}

enum rtls_result rtls_verdict_result(const struct rtls_verdict *v)
{
	return v ? v->result : RTLS_UNDECIDED;
}

enum rtls_check rtls_verdict_failed(const struct rtls_verdict *v)
{
	return v ? v->failed : RTLS_CHECK_NONE;
}

const char *rtls_verdict_why(const struct rtls_verdict *v)
{
	return v ? v->why : "";
}

const char *rtls_verdict_tee(const struct rtls_verdict *v)
{
	return v && v->tee ? v->tee : "";
}

const char *rtls_verdict_tcb_status(const struct rtls_verdict *v)
{
	const struct claim *c = v ? claims_find(v->claims, "tcb_status") : NULL;

	return c && c->kind == RTLS_CLAIM_TEXT ? (const char *)c->bytes.p : "";
}

int rtls_verdict_alternative(const struct rtls_verdict *v)
{
	return rtls_verdict_result(v) == RTLS_TRUSTED ? (int)v->alternative : -1;
}

bool rtls_verdict_check(const struct rtls_verdict *v, size_t i, enum rtls_check *out_check,
			enum rtls_outcome *out_outcome, const char **out_what)
{
	if (!v || i >= v->n_checks)
		return false;
	*out_check = v->checks[i].check;
	*out_outcome = v->checks[i].outcome;
	*out_what = v->checks[i].what;
	return true;
}

static bool claim_export(const struct claim *c, struct rtls_claim *out)
{
	if (!c)
		return false;
	*out = (struct rtls_claim){ .name = c->name,
				    .kind = c->kind,
				    .bytes = c->bytes.p,
				    .n_bytes = c->bytes.n,
				    .number = c->num };
	return true;
}

bool rtls_verdict_claim(const struct rtls_verdict *v, size_t i, struct rtls_claim *out)
{
	return v && claim_export(claims_at(v->claims, i), out);
}

bool rtls_verdict_find(const struct rtls_verdict *v, const char *name, struct rtls_claim *out)
{
	return v && claim_export(claims_find(v->claims, name), out);
}

static json_t *checks_to_json(const struct rtls_verdict *v)
{
	static const char *const outcomes[] = { "failed", "passed", "skipped" };
	JSON_AUTO list = json_array();

	for (size_t i = 0; list && i < v->n_checks; i++) {
		const struct check_record *c = &v->checks[i];
		json_t *o = json_pack("{s:s, s:s, s:s}", "check", check_name(c->check), "outcome",
				      outcomes[c->outcome], "what", c->what);

		if (!o || json_array_append_new(list, o) != 0)
			return NULL;
	}
	return TAKE(list);
}

/* The values of the claim "advisory", in order: [] if there is none. */
static json_t *advisories_to_json(const struct rtls_verdict *v)
{
	JSON_AUTO list = json_array();

	for (size_t i = 0; list && i < claims_count(v->claims); i++) {
		const struct claim *c = claims_at(v->claims, i);
		json_t *s;

		if (strcmp(c->name, "advisory") != 0)
			continue;
		s = json_stringn((const char *)c->bytes.p, c->bytes.n);
		if (!s || json_array_append_new(list, s) != 0)
			return NULL;
	}
	return TAKE(list);
}

char *rtls_verdict_json(const struct rtls_verdict *v)
{
	JSON_AUTO claims = NULL;
	JSON_AUTO checks = NULL;
	JSON_AUTO advisories = NULL;
	JSON_AUTO o = NULL;

	if (!v || claims_to_json(v->claims, &claims) != 0)
		return NULL;
	checks = checks_to_json(v);
	advisories = advisories_to_json(v);
	if (!checks || !advisories)
		return NULL;
	o = json_pack("{s:s, s:s?, s:s, s:s, s:s, s:O, s:O, s:O}", "result",
		      rtls_result_name(v->result), "failed",
		      verdict_has_failed(v) ? check_name(v->failed) : NULL, "why", v->why, "tee",
		      rtls_verdict_tee(v), "tcb_status", rtls_verdict_tcb_status(v), "advisories",
		      advisories, "checks", checks, "claims", claims);
	return o ? json_dumps(o, JSON_INDENT(2)) : NULL;
}
