/* rats-inspect: what its commands share. */
#ifndef ENG_TOOL_INSPECT_H
#define ENG_TOOL_INSPECT_H

#include <rats_tls.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum {
	EXIT_TRUSTED = 0,   /* verify: trusted; diff: the same; else: done */
	EXIT_REJECTED = 1,  /* verify: rejected; diff: different; else: the file is not evidence */
	EXIT_UNDECIDED = 2, /* could not be decided or done; the command line was wrong */
};

enum {
	INSPECT_FILE_MAX = 16 * 1024 * 1024, /* the library bounds evidence far below */
	INSPECT_COLLATERAL_MAX = 16,	     /* times --collateral */
	INSPECT_URLS_MAX = 8,		     /* times --url */
	INSPECT_OPERANDS_MAX = 4,
	REPORT_DATA_MAX = 64,
};

/* The command line. */
struct inspect {
	const char *operands[INSPECT_OPERANDS_MAX];
	const char *policy; /* NULL: not given */
	int64_t time;	    /* of the appraisal, seconds since 1970 */
	size_t n_collateral;
	const char *collateral[INSPECT_COLLATERAL_MAX];
	size_t n_report_data;
	uint8_t report_data[REPORT_DATA_MAX];
	size_t n_urls;
	const char *urls[INSPECT_URLS_MAX];
	const char *tcti, *options, *name; /* NULL: not given */
	bool any, json, verbose;
};

/* Each returns the exit status. */
int inspect_verify(const struct inspect *in);
int inspect_show(const struct inspect *in);
int inspect_policy(const struct inspect *in);
int inspect_diff(const struct inspect *in);
int inspect_collateral_show(const struct inspect *in);
int inspect_collateral_bundle(const struct inspect *in);
int inspect_collateral_fetch(const struct inspect *in);
int inspect_tpm_enroll(const struct inspect *in);
int inspect_tpm_quote(const struct inspect *in);
int inspect_tpm_assemble(const struct inspect *in);
int inspect_attesters(const struct inspect *in);

/* Says "rats-inspect: what" on stderr, in one line, and returns EXIT_UNDECIDED. */
PRINTF_LIKE(1, 2) int inspect_complain(const char *fmt, ...);

/* The whole file, "-" for standard input; what went wrong is said on stderr. Free *out. */
MUST_USE int inspect_read(const char *path, uint8_t **out, size_t *out_n);
/* Hex or base64 of evidence becomes that evidence, in place; anything else stays as it is. */
void inspect_from_text(uint8_t *p, size_t *n);
/* All of --collateral, or of `fallback` (may be NULL) if it was not given; sealed. */
MUST_USE int inspect_load(const struct inspect *in, const char *fallback,
			  struct rtls_collateral **out);
/* Reads and decodes a file without a policy. */
MUST_USE int inspect_decode(const struct inspect *in, const char *path, struct rtls_verdict **out);
/* Whether the bytes were recognised as evidence; if not, says why and names the file. */
bool inspect_is_evidence(const char *path, const struct rtls_verdict *v);

/* A string of JSON, in quotes; what is not printable ASCII becomes '?'. */
void inspect_json_text(const uint8_t *p, size_t n);
/* The value of a claim in JSON; bytes in hex. */
void inspect_json_claim(const struct rtls_claim *c);
/* "  name: value" or the like, in printable ASCII. */
void inspect_print_claim(const char *before, const struct rtls_claim *c);
void inspect_print_checks(const struct rtls_verdict *v);
/* "2026-01-31T10:00:00Z" */
const char *inspect_format_time(int64_t t, char out[32]);

/* 0, or EXIT_UNDECIDED if standard output could not be written. */
int inspect_flush(int status);

static inline void inspect_freep(void *p)
{
	free(*(void **)p);
}

DEFINE_FREEP(struct rtls_collateral *, rtls_collateral_free)
DEFINE_FREEP(struct rtls_policy *, rtls_policy_free)
DEFINE_FREEP(struct rtls_verdict *, rtls_verdict_free)

#endif
