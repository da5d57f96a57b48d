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

/* How one difference is printed; a or b is NULL where there is no such claim. */
typedef void (*print_fn)(bool is_first, const struct rtls_claim *a, const struct rtls_claim *b);

static void print_text(bool is_first, const struct rtls_claim *a, const struct rtls_claim *b)
{
	(void)is_first;
	if (a)
		inspect_print_claim("- ", a);
	if (b)
		inspect_print_claim("+ ", b);
}

static void print_json_value(const char *before, const struct rtls_claim *c)
{
	fputs(before, stdout);
	if (c)
		inspect_json_claim(c);
	else
		fputs("null", stdout);
}

static void print_json(bool is_first, const struct rtls_claim *a, const struct rtls_claim *b)
{
	const char *name = a ? a->name : b->name;

	fputs(is_first ? "{\"name\": " : ", {\"name\": ", stdout);
	inspect_json_text((const uint8_t *)name, strlen(name));
	print_json_value(", \"before\": ", a);
	print_json_value(", \"after\": ", b);
	putchar('}');
}

/* Claims of a that b lacks or has otherwise; with both, what b says stands below. */
static size_t print_changes(const struct rtls_verdict *a, const struct rtls_verdict *b,
			    print_fn print, size_t before)
{
	struct rtls_claim mine, theirs;
	size_t n = 0;

	for (size_t i = 0; rtls_verdict_claim(a, i, &mine); i++) {
		bool there = find(b, mine.name, count_before(a, i, mine.name), &theirs);

		if (there && equal(&mine, &theirs))
			continue;
		print(n + before == 0, &mine, there ? &theirs : NULL);
		n++;
	}
	return n;
}

static size_t print_additions(const struct rtls_verdict *a, const struct rtls_verdict *b,
			      print_fn print, size_t before)
{
	struct rtls_claim mine, theirs;
	size_t n = 0;

	for (size_t i = 0; rtls_verdict_claim(b, i, &theirs); i++) {
		if (find(a, theirs.name, count_before(b, i, theirs.name), &mine))
			continue;
		print(n + before == 0, NULL, &theirs);
		n++;
	}
	return n;
}

int inspect_diff(const struct inspect *in)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *a = NULL;
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *b = NULL;
	const print_fn print = in->json ? print_json : print_text;
	struct rtls_claim tee[2] = { { .name = "tee", .kind = RTLS_CLAIM_TEXT },
				     { .name = "tee", .kind = RTLS_CLAIM_TEXT } };
	size_t n = 0;

	if (inspect_decode(in, in->operands[0], &a) < 0 ||
	    !inspect_is_evidence(in->operands[0], a) ||
	    inspect_decode(in, in->operands[1], &b) < 0 || !inspect_is_evidence(in->operands[1], b))
		return EXIT_UNDECIDED;
	tee[0].bytes = (const uint8_t *)rtls_verdict_tee(a);
	tee[0].n_bytes = strlen(rtls_verdict_tee(a));
	tee[1].bytes = (const uint8_t *)rtls_verdict_tee(b);
	tee[1].n_bytes = strlen(rtls_verdict_tee(b));
	if (in->json)
		fputs("{\"differences\": [", stdout);
	if (!equal(&tee[0], &tee[1])) {
		print(true, &tee[0], &tee[1]);
		n++;
	}
	n += print_changes(a, b, print, n);
	n += print_additions(a, b, print, n);
	if (in->json)
		puts("]}");
	return inspect_flush(n == 0 ? EXIT_SUCCESS : EXIT_REJECTED);
}
