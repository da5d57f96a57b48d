/*
 * rats-inspect diff: which claims of two files differ. A name that occurs several times
 * (advisories) is compared occurrence by occurrence.
 */
#include <stdio.h>
#include <string.h>

#include "tool/inspect.h"

/* The claim of that name that has `before` others of that name before it. */
static bool find(const struct rtls_verdict *v, const char *name, size_t before,
		 struct rtls_claim *out)
{
	for (size_t i = 0; rtls_verdict_claim(v, i, out); i++)
		if (strcmp(out->name, name) == 0 && before-- == 0)
			return true;
	return false;
}

static size_t count_before(const struct rtls_verdict *v, size_t end, const char *name)
{
	struct rtls_claim c;
	size_t n = 0;

	for (size_t i = 0; i < end && rtls_verdict_claim(v, i, &c); i++)
		n += strcmp(c.name, name) == 0;
	return n;
}

static bool equal(const struct rtls_claim *a, const struct rtls_claim *b)
{
	return a->kind == b->kind && a->number == b->number && a->n_bytes == b->n_bytes &&
	       (a->n_bytes == 0 || memcmp(a->bytes, b->bytes, a->n_bytes) == 0);
}

/* Claims of a that b lacks or has otherwise; with both, what b says stands below. */
static size_t print_changes(const struct rtls_verdict *a, const struct rtls_verdict *b)
{
	struct rtls_claim mine, theirs;
	size_t n = 0;

	for (size_t i = 0; rtls_verdict_claim(a, i, &mine); i++) {
		bool there = find(b, mine.name, count_before(a, i, mine.name), &theirs);

		if (there && equal(&mine, &theirs))
			continue;
		inspect_print_claim("- ", &mine);
		if (there)
			inspect_print_claim("+ ", &theirs);
		n++;
	}
	return n;
}

static size_t print_additions(const struct rtls_verdict *a, const struct rtls_verdict *b)
{
	struct rtls_claim mine, theirs;
	size_t n = 0;

	for (size_t i = 0; rtls_verdict_claim(b, i, &theirs); i++) {
		if (find(a, theirs.name, count_before(b, i, theirs.name), &mine))
			continue;
		inspect_print_claim("+ ", &theirs);
		n++;
	}
	return n;
}

int inspect_diff(const struct inspect *in)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *a = NULL;
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *b = NULL;
	size_t n = 0;

	if (inspect_decode(in, in->operands[0], &a) < 0 ||
	    !inspect_is_evidence(in->operands[0], a) ||
	    inspect_decode(in, in->operands[1], &b) < 0 || !inspect_is_evidence(in->operands[1], b))
		return EXIT_UNDECIDED;
	if (strcmp(rtls_verdict_tee(a), rtls_verdict_tee(b)) != 0)
		n += (size_t)(printf("- tee: %s\n+ tee: %s\n", rtls_verdict_tee(a),
				     rtls_verdict_tee(b)) > 0);
	n += print_changes(a, b);
	n += print_additions(a, b);
	return inspect_flush(n == 0 ? EXIT_SUCCESS : EXIT_REJECTED);
}
