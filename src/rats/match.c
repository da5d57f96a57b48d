/*
 * A policy's alternatives against claims: every rule that an alternative states, or that has a
 * default, is a check. A claim that a rule needs and the evidence lacks fails it. And what the
 * alternative that accepted grants: prefixes, and whether they may be taken over.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rats/policy_impl.h"
#include "rats/text.h"

enum outcome { SILENT, PASS, FAIL };

/* Why a rule failed. */
struct reason {
	char text[VERDICT_WHY_MAX];
};

PRINTF_LIKE(2, 3)
static enum outcome fail(struct reason *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return FAIL;
}

static bool value_equals(const struct value *v, struct span s)
{
	return span_equal(SPAN(v->bytes, v->n), s);
}

/* One claim against those values of a pin that have this index. */
static enum outcome match_bytes(const struct setting *s, uint32_t index, const struct claim *c,
				struct reason *why)
{
	char expected[132], found[132];
	const struct value *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->values[i].index != index)
			continue;
		if (c && c->kind == RTLS_CLAIM_BYTES && value_equals(&s->values[i], c->bytes))
			return PASS;
		first = first ? first : &s->values[i];
		n++;
	}
	return fail(why, "expected %s%s, found %s",
		    first ? hex_format(SPAN(first->bytes, first->n), expected, sizeof(expected))
			  : "-",
		    n > 1 ? " or another" : "",
		    c && c->kind == RTLS_CLAIM_BYTES ? hex_format(c->bytes, found, sizeof(found))
						     : "no such claim");
}

static enum outcome match_map(const struct rule *r, const struct setting *s,
			      const struct claims *claims, struct reason *why)
{
	for (size_t i = 0; i < s->n; i++) {
		uint32_t index = s->values[i].index;
		struct reason inner;
		char name[32];

		snprintf(name, sizeof(name), "%s%u", rule_claim(r), index);
		if (match_bytes(s, index, claims_find(claims, name), &inner) != PASS)
			return fail(why, "%u: %.400s", index, inner.text);
	}
	return PASS;
}

static enum outcome match_uint(const struct rule *r, const struct setting *s, const struct claim *c,
			       struct reason *why)
{
	bool is_min = r->kind == RULE_UINT_MIN;

	if (!c || c->kind != RTLS_CLAIM_UINT)
		return fail(why, "expected %" PRIu64 ", found no such claim", s->values[0].num);
	for (size_t i = 0; i < s->n; i++)
		if (is_min ? c->num >= s->values[i].num : c->num == s->values[i].num)
			return PASS;
	return fail(why, "expected %s%" PRIu64 "%s, found %" PRIu64, is_min ? "at least " : "",
		    s->values[0].num, s->n > 1 ? " or another" : "", c->num);
}

static bool lists_text(const struct setting *s, struct span text)
{
	for (size_t i = 0; i < s->n; i++)
		if (value_equals(&s->values[i], text))
			return true;
	return false;
}

/* Whether one text is accepted: listed, covered by `any`, or the standard where nothing is said. */
static bool text_is_accepted(const struct rule *r, const struct setting *s, struct span text)
{
	const char *never = r->never ? r->never : "";

	if (s->is_any)
		return !span_equal(text, SPAN(never, strlen(never)));
	if (s->is_given)
		return lists_text(s, text);
	return r->standard && span_equal(text, SPAN(r->standard, strlen(r->standard)));
}

static enum outcome match_texts(const struct rule *r, const struct setting *s,
				const struct claims *claims, struct reason *why)
{
	const char *expected = s->is_any		     ? "any but the worst"
			       : s->n			     ? (const char *)s->values[0].bytes
			       : r->standard && !s->is_given ? r->standard
							     : "none";
	size_t n = 0;

	for (size_t i = 0; i < claims_count(claims); i++) {
		const struct claim *c = claims_at(claims, i);

		if (strcmp(c->name, rule_claim(r)) != 0)
			continue;
		n++;
		if (c->kind != RTLS_CLAIM_TEXT || !text_is_accepted(r, s, c->bytes))
			return fail(why, "expected %s%s, found %s", expected,
				    s->n > 1 ? " or another" : "", (const char *)c->bytes.p);
	}
	/* "no advisory" is good news, "no status" is not */
	if (n == 0 && (r->kind == RULE_TEXT || r->standard) && !s->is_any)
		return fail(why, "expected %s, found no such claim", expected);
	return PASS;
}

static enum outcome match_flag(const struct rule *r, const struct setting *s, const struct claim *c,
			       struct reason *why)
{
	bool is_bool = c && c->kind == RTLS_CLAIM_BOOL;

	if (r->kind == RULE_ALLOW) {
		if (s->flag || (is_bool && c->num == 0))
			return PASS;
		return fail(why, "expected false, found %s", is_bool ? "true" : "no such claim");
	}
	if (!s->flag)
		return SILENT;
	if (is_bool && c->num == 1)
		return PASS;
	return fail(why, "expected true, found %s", is_bool ? "false" : "no such claim");
}

static enum outcome match_rule(const struct rule *r, const struct setting *s,
			       const struct claims *claims, struct reason *why)
{
	const struct claim *c = claims_find(claims, rule_claim(r));

	if (r->kind == RULE_ALLOW || r->kind == RULE_REQUIRE)
		return match_flag(r, s, c, why);
	if (!s->is_given && !(r->flags & RULE_DEFAULT))
		return SILENT;
	if (r->kind == RULE_TEXT || r->kind == RULE_TEXTS)
		return match_texts(r, s, claims, why);
	if (s->is_any)
		return PASS;
	switch (r->kind) {
	case RULE_BYTES:
		return match_bytes(s, 0, c, why);
	case RULE_BYTES_MAP:
		return match_map(r, s, claims, why);
	default:
		return match_uint(r, s, c, why);
	}
}

/* How many rules fail. */
static size_t count_failures(const struct alternative *a, const struct claims *claims)
{
	struct reason why;
	size_t n = 0;

	for (size_t i = 0; i < a->verifier->n_rules; i++)
		n += match_rule(&a->verifier->rules[i], &a->settings[i], claims, &why) == FAIL;
	return n;
}

static void record(const struct alternative *a, size_t index, size_t n_others,
		   struct rtls_verdict *v)
{
	char others[128] = "";

	if (n_others > 0)
		snprintf(others, sizeof(others), " (alternative %zu%s%.40s; %zu more do not match)",
			 index + 1, a->name ? " " : "", a->name ? a->name : "", n_others);
	for (size_t i = 0; i < a->verifier->n_rules; i++) {
		const struct rule *r = &a->verifier->rules[i];
		struct reason why = { "" };
		enum outcome o = match_rule(r, &a->settings[i], v->claims, &why);

		if (o != SILENT)
			verdict_check(v, r->check, o == PASS, r->key, "%s%s", why.text, others);
	}
}

void policy_match(const struct rtls_policy *p, const struct verifier *vf, struct rtls_verdict *v)
{
	size_t best = SIZE_MAX, best_failures = SIZE_MAX, n = 0;

	for (size_t i = 0; i < p->n && best_failures > 0; i++) {
		size_t failures;

		if (p->alternatives[i].verifier != vf)
			continue;
		n++;
		failures = count_failures(&p->alternatives[i], v->claims);
		if (failures < best_failures) {
			best = i;
			best_failures = failures;
		}
	}
	if (!verdict_check(v, RTLS_CHECK_POLICY, best != SIZE_MAX, "alternative",
			   "the policy has none for %s", vf->name))
		return;
	v->alternative = best;
	record(&p->alternatives[best], best, best_failures ? n - 1 : 0, v);
}

/* The alternative that accepted; NULL unless the verdict is trusted. */
static const struct alternative *accepted(const struct rtls_policy *p, const struct rtls_verdict *v)
{
	if (rtls_verdict_result(v) != RTLS_TRUSTED || v->alternative >= p->n)
		return NULL;
	return &p->alternatives[v->alternative];
}

bool rtls_policy_allows_prefix(const struct rtls_policy *p, const struct rtls_verdict *v,
			       const uint8_t *address, size_t n, unsigned len)
{
	const struct alternative *a = accepted(p, v);
	struct prefix wanted;
	struct addr addr;

	if (!a || (n != 4 && n != 16) || len > 8 * n)
		return false;
	addr = n == 4 ? addr_v4(address) : addr_v6(address);
	wanted = prefix_of(&addr, (uint8_t)len);
	for (size_t i = 0; i < a->n_prefixes; i++)
		if (prefix_covers(&a->prefixes[i], &wanted))
			return true;
	return false;
}

bool rtls_policy_allowed_prefix(const struct rtls_policy *p, const struct rtls_verdict *v, size_t i,
				uint8_t out_address[16], size_t *out_n, unsigned *out_len)
{
	const struct alternative *a = accepted(p, v);

	if (!a || i >= a->n_prefixes)
		return false;
	*out_n = addr_bits(&a->prefixes[i].addr) / 8U;
	*out_len = a->prefixes[i].len;
	memset(out_address, 0, 16);
	memcpy(out_address, a->prefixes[i].addr.bytes, *out_n);
	return true;
}

bool rtls_policy_may_replace(const struct rtls_policy *p, const struct rtls_verdict *v)
{
	const struct alternative *a = accepted(p, v);

	return a && a->may_replace;
}

const char *rtls_policy_accepted_as(const struct rtls_policy *p, const struct rtls_verdict *v)
{
	const struct alternative *a = accepted(p, v);

	return a && a->name ? a->name : "";
}
