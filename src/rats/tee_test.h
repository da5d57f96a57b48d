/*
 * For x_test.c files: the evidence vectors, and a verifier run by itself, without envelope and
 * policy. Vectors are read from $ENG_VECTORS, or ../shared/vectors seen from the source root;
 * where there are none the program says so and is skipped (vectors_missing()).
 */
#ifndef ENG_RATS_TEE_TEST_H
#define ENG_RATS_TEE_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "rats/text.h"
#include "rats/verifier.h"

static inline const char *vectors_dir(void)
{
	const char *dir = getenv("ENG_VECTORS");

	return dir ? dir : ENG_SOURCE_ROOT "/../shared/vectors";
}

enum { TEST_SKIPPED = 77 /* meson's exit status for it */ };

/* Asked by main() first: whether there are vectors to test against. Says aloud if not. */
static inline bool vectors_missing(void)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/manifest.json", vectors_dir());
	f = fopen(path, "rb");
	if (!f) {
		printf("SKIPPED: there is no %s; set ENG_VECTORS\n", path);
		return true;
	}
	fclose(f);
	return false;
}

/* The whole of a file under the vectors; the caller frees .p. */
static inline struct span vector_read(const char *name)
{
	char path[4096];
	uint8_t *p = malloc(EVIDENCE_MAX);
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", vectors_dir(), name);
	f = fopen(path, "rb");
	if (!f || !p)
		fail_msg("no vector %s", path);
	n = fread(p, 1, EVIDENCE_MAX, f);
	fclose(f);
	return SPAN(p, n);
}

static inline void vector_free(struct span s)
{
	free((void *)s.p);
}

static inline void bag_add_vector(struct rtls_collateral *c, const char *name)
{
	struct span s = vector_read(name);

	assert_int_equal(rtls_collateral_add(c, s.p, s.n), 0);
	vector_free(s);
}

/* A sealed bag of these vectors, ended by NULL. */
static inline struct rtls_collateral *bag_of(const char *const names[])
{
	struct rtls_collateral *c;

	assert_int_equal(rtls_collateral_new(&c), 0);
	for (; *names; names++)
		bag_add_vector(c, *names);
	assert_int_equal(rtls_collateral_seal(c), 0);
	return c;
}

/* Runs a verifier; the caller frees the verdict. */
static inline struct rtls_verdict *run_verifier(const struct verifier *vf,
						const struct appraisal *a)
{
	struct rtls_verdict *v;

	assert_int_equal(verdict_new(&v), 0);
	assert_int_equal(vf->verify(a, v), 0);
	return v;
}

static inline void assert_passes(const struct rtls_verdict *v)
{
	if (verdict_has_failed(v))
		fail_msg("%s: %s", check_name(v->failed), v->why);
	assert_true(v->n_checks > 0);
	assert_int_equal(v->error, 0);
}

static inline void assert_fails(const struct rtls_verdict *v, enum rtls_check check,
				const char *why)
{
	if (v->failed != check || !strstr(v->why, why))
		fail_msg("expected %s (%s), found %s: %s", check_name(check), why,
			 check_name(v->failed), v->why);
}

/* Compares a claim of bytes with hex, or a number or text with its text. */
static inline void assert_claim(const struct rtls_verdict *v, const char *name, const char *want)
{
	const struct claim *c = claims_find(v->claims, name);
	char got[2 * 256 + 4] = "(none)";

	if (c && c->kind == RTLS_CLAIM_BYTES)
		hex_format(c->bytes, got, sizeof(got));
	else if (c && c->kind == RTLS_CLAIM_TEXT)
		snprintf(got, sizeof(got), "%s", (const char *)c->bytes.p);
	else if (c)
		snprintf(got, sizeof(got), "0x%llx", (unsigned long long)c->num);
	if (strcmp(got, want) != 0)
		fail_msg("claim %s: expected %s, found %s", name, want, got);
}

#endif
