/* The policy that accepts given evidence: rats-policy(5) made from claims. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rats/policy_impl.h"

static void print_claim(FILE *f, const struct claim *c)
{
	if (c->kind == RTLS_CLAIM_UINT)
		fprintf(f, "%" PRIu64, c->num);
	else if (c->kind == RTLS_CLAIM_TEXT)
		fprintf(f, "\"%s\"", (const char *)c->bytes.p);
	else
		for (size_t i = 0; i < c->bytes.n; i++)
			fprintf(f, "%02x", c->bytes.p[i]);
}

/* Whether the evidence had certificates that no CRL spoke about: then `required` would refuse it.
 */
static bool lacks_crl(const struct rtls_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (v->checks[i].check == RTLS_CHECK_REVOKED &&
		    v->checks[i].outcome == RTLS_SKIPPED)
			return true;
	return false;
}

/* A text that needs escaping in YAML is not worth suggesting. */
static bool is_printable(const struct claim *c)
{
	for (size_t i = 0; c->kind == RTLS_CLAIM_TEXT && i < c->bytes.n; i++)
		if (c->bytes.p[i] < ' ' || c->bytes.p[i] > '~' ||
		    strchr("\"\\", (char)c->bytes.p[i]))
			return false;
	return true;
}

static void print_list(FILE *f, const struct rule *r, const struct claims *claims)
{
	const char *comma = "";

	fprintf(f, "    %s: [", r->key);
	for (size_t i = 0; i < claims_count(claims); i++) {
		const struct claim *c = claims_at(claims, i);

		if (strcmp(c->name, rule_claim(r)) != 0 || !is_printable(c))
			continue;
		fputs(comma, f);
		print_claim(f, c);
		comma = ", ";
	}
	fputs("]\n", f);
}

static void print_map(FILE *f, const struct rule *r, const struct claims *claims)
{
	bool is_first = true;

	for (unsigned i = 0; i < 64; i++) {
		const struct claim *c;
		char name[32];

		snprintf(name, sizeof(name), "%s%u", rule_claim(r), i);
		c = claims_find(claims, name);
		if (!c)
			continue;
		if (is_first)
			fprintf(f, "    %s:\n", r->key);
		is_first = false;
		fprintf(f, "      %u: ", i);
		print_claim(f, c);
		fputc('\n', f);
	}
}

static void print_rule(FILE *f, const struct rule *r, const struct claims *claims, bool any)
{
	const struct claim *c = claims_find(claims, rule_claim(r));
	bool may_any = !(r->flags & RULE_NO_ANY) && (r->flags & (RULE_PIN | RULE_DEFAULT)) &&
		       (r->kind != RULE_UINT_MIN || (r->flags & RULE_PIN));

	if (r->kind == RULE_ALLOW) {
		if (c && c->kind == RTLS_CLAIM_BOOL && c->num)
			fprintf(f, "    %s: true\n", r->key);
		return;
	}
	if (r->kind == RULE_REQUIRE || (any && !may_any && !(r->flags & RULE_PIN)))
		return;
	if (any && may_any) {
		fprintf(f, "    %s: any\n", r->key);
	} else if (r->kind == RULE_BYTES_MAP) {
		print_map(f, r, claims);
	} else if (r->kind == RULE_TEXTS) {
		print_list(f, r, claims);
	} else if (c && is_printable(c)) {
		fprintf(f, r->check == RTLS_CHECK_PLATFORM ? "    # %s: " : "    %s: ", r->key);
		print_claim(f, c);
		fputc('\n', f);
	} else if (r->flags & RULE_PIN && !r->group) {
		fprintf(f, "    %s: any # the evidence says nothing about it\n", r->key);
	}
}

char *rtls_policy_suggest(const struct rtls_verdict *v, bool any)
{
	const struct verifier *vf = v && v->tee ? verifier_find(v->tee) : NULL;
	char *text = NULL;
	size_t n = 0;
	FILE *f;
	bool ok;

	if (!vf)
		return NULL;
	f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	if (any || lacks_crl(v))
		fputs("collateral:\n  crl: if-present # required is safer, with CRLs in the "
		      "collateral\n",
		      f);
	fprintf(f, "# %s\none_of:\n  - tee: %s\n", vf->title, vf->name);
	for (size_t i = 0; i < vf->n_rules; i++)
		print_rule(f, &vf->rules[i], v->claims, any);
	ok = !ferror(f);
	if (fclose(f) != 0 || !ok) {
		free(text);
		return NULL;
	}
	return text;
}
