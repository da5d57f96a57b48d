/*
 * A command line in a file, for a program whose caller is not trusted:
 *
 *   # a comment; empty lines are ignored too
 *   --entg-listen 6979
 *   --enta-listen 6980
 *
 * One option a line. What follows its first blanks is its value, whole, to the end of the line:
 * there are no quotes and no escapes.
 */
#ifndef ENG_CONF_ARGFILE_H
#define ENG_CONF_ARGFILE_H

#include "base/cleanup.h"

enum {
	ARGFILE_BYTES_MAX = 32 * 1024,
	ARGFILE_ARGS_MAX =
		512, /* every option of a gateway as often as it may be given, and more */
};

struct argfile {
	int argc;
	char *argv[ARGFILE_ARGS_MAX + 2]; /* argv0, the options and values of `text`, NULL */
	char text[ARGFILE_BYTES_MAX + 1];
};

/*
 * Reads the file; argv0 is borrowed as long as out is in use, and out must not be moved. NULL, or
 * what is wrong (static storage).
 */
MUST_USE const char *argfile_read(const char *path, char *argv0, struct argfile *out);

#endif
