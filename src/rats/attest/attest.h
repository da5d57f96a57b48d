/*
 * An attester backend: one const struct per TEE (STYLE rule 11), listed in attesters.c. It knows
 * how to get evidence out of this machine and nothing else: attest.c parses the options, bounds
 * what comes out, and puts it into the envelope tag([body, h'']).
 *
 * A backend is one file, src/rats/attest/attest_NAME.c; what it cannot be built without becomes
 * attest_NAME_absent.c with the same symbol.
 */
#ifndef ENG_RATS_ATTEST_ATTEST_H
#define ENG_RATS_ATTEST_ATTEST_H

#include "base/span.h"
#include "rats/evidence.h"

enum {
	ATTEST_EVIDENCE_MAX = 60000, /* bytes with the envelope: what one EVIDENCE frame holds */
	ATTEST_BODY_MAX = ATTEST_EVIDENCE_MAX - 16, /* without it: tag, array, two heads */
	ATTEST_ENDORSEMENTS_MAX = 60000,
	ATTEST_OPTIONS_MAX = 1024, /* bytes of option text: a few paths */
	ATTEST_PAIRS_MAX = 16,
	ATTEST_LINE_MAX = 256, /* bytes of "why not" with its NUL */
};

/* Where the one line goes that says why not. out may be NULL. */
struct attest_error {
	char *out;
	size_t size;
};

/*
 * Says why, in one line of printable ASCII whatever is in the arguments, and returns neg_errno:
 *
 *	return attest_fail(err, -ENODEV, "%s: %s", path, err_text(-errno));
 */
PRINTF_LIKE(3, 4)
int attest_fail(struct attest_error *err, int neg_errno, const char *fmt, ...);

struct attest_pair {
	const char *key, *value; /* value: not NULL, maybe "" */
};

/* The options that were given: only keys that the backend lists, each at most once. */
struct attest_options {
	size_t n;
	struct attest_pair pair[ATTEST_PAIRS_MAX];
	char text[ATTEST_OPTIONS_MAX]; /* what the pairs point into */
};

/* The value, as long as the options live; `fallback` (may be NULL) if it was not given. */
const char *attest_option(const struct attest_options *o, const char *key, const char *fallback);

struct attester_backend {
	const char *name;
	uint64_t tag; /* of the envelope, enum evidence_tag */
	/* Option keys, up to a NULL. "endorsements" is everybody's and attest.c's. */
	const char *const *keys;
	/*
	 * 0 with *out_state (may stay NULL) for the other functions; -EINVAL: an option's value is
	 * wrong; -ENODEV: nothing of that kind here; -ENOTSUP: not built in; or -errno. Says why.
	 * The options live no longer than the call.
	 */
	int (*open)(const struct attest_options *o, void **out_state, struct attest_error *err);
	void (*close)(void *state); /* NULL: there is nothing to free */
	/*
	 * Writes the body of fresh evidence, at most ATTEST_BODY_MAX bytes; that it did not fit is
	 * noticed by the caller. 0, or -errno and says why.
	 */
	int (*evidence)(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			struct wspan *body, struct attest_error *err);
	/*
	 * Writes what the machine holds of endorsements, as rtls_collateral_add() reads it, at most
	 * ATTEST_ENDORSEMENTS_MAX bytes; nothing: there are none. May hand out what came along with
	 * the last evidence(). NULL: never any. 0 or -errno.
	 */
	int (*endorsements)(void *state, struct wspan *out);
	/*
	 * Whether open() without options would do, and evidence() probably too; makes no quote.
	 * 0 and in `why` what was found ("/dev/sgx_enclave"), by attest_note(); or -errno and why
	 * not. NULL: always works.
	 */
	int (*probe)(struct attest_error *why);
};

/* As attest_fail(), for good news. */
PRINTF_LIKE(2, 3) void attest_note(struct attest_error *why, const char *fmt, ...);

extern const struct attester_backend attester_csv;
extern const struct attester_backend attester_null;
extern const struct attester_backend attester_sgx;
extern const struct attester_backend attester_snp;
extern const struct attester_backend attester_tdx;
extern const struct attester_backend attester_tpm;

extern const struct attester_backend *const attesters[];
extern const size_t n_attesters;

/*
 * Reads "key=value,key=value" (NULL: none). A comma in a value is written twice. -EINVAL: says
 * which word is wrong; *out is then scratch.
 */
int attest_options_parse(const char *text, const struct attester_backend *b,
			 struct attest_options *out, struct attest_error *err);

#endif
