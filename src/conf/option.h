/*
 * One table of options makes the command line and the help text; the manual pages are checked
 * against it. A program gives the table and one function that takes a value; values are judged
 * there, by the parser of the thing itself, and a refusal says what would be right.
 */
#ifndef ENG_CONF_OPTION_H
#define ENG_CONF_OPTION_H

#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"

struct option_spec {
	const char *name; /* without the dashes */
	const char *arg;  /* what the value is called in the help, or NULL: a flag */
	const char *help; /* one line; '\n' continues on the next */
};

struct option_program {
	const char *name;
	const char *usage;   /* lines after "usage: " */
	const char *summary; /* one sentence */
	const struct option_spec *options;
	size_t n_options;
	const char *footer; /* where to read more; may be NULL */
	int n_operands_max; /* arguments that are no options and no values; 0: none is accepted */
};

enum {
	OPTION_E_USAGE = 1, /* one line on stderr said what was wrong: exit with EXIT_USAGE */
	OPTION_E_DONE,	    /* --help or --version was printed: exit with 0 */
};

enum { EXIT_USAGE = 2 };

/*
 * Takes the value of option `index` (NULL for a flag). Returns NULL, or what is wrong and what
 * would be right: borrowed until the next call.
 */
typedef const char *(*option_set_fn)(void *ctx, size_t index, const char *value);

/*
 * Parses argv[1..]. More operands than the program takes are an error; those that it takes stand
 * last in argv afterwards, from getopt's `optind` on. Returns 0 or OPTION_E_*. Every program also
 * has --help and --version.
 */
MUST_USE int option_parse(const struct option_program *p, int argc, char **argv, option_set_fn set,
			  void *ctx);

/* Says "NAME: what" and where to find help, on stderr; returns OPTION_E_USAGE. */
PRINTF_LIKE(2, 3) int option_complain(const struct option_program *p, const char *fmt, ...);

void option_print_help(const struct option_program *p, FILE *out);

#endif
