/*
 * A gateway in an enclave; see start.h.
 *
 * Command line and environment of an enclave come from its host, which nobody trusts: with either,
 * the host could point the gateway at another policy, or at a peer without one. So the options
 * stand in a file of the image, which the enclave's measurement covers, and a host that hands in
 * anything is refused aloud rather than ignored. Of the environment only what Occlum itself puts
 * there for every program is taken; the image's Occlum.json lets the host add nothing to it.
 */
#include "entg/start.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/argfile.h"
#include "conf/option.h"

#define ARGS_PATH "/etc/eng/entg.args"

/* Looking for more packets without sleeping would leave the enclave for nothing at every look. */
const unsigned start_poll_us = 0;

static int refuse(const char *what, const char *name, size_t n)
{
	fprintf(stderr,
		"entg-occlum: %s '%.*s' is refused: the options stand in " ARGS_PATH
		" of the image\n",
		what, (int)n, name);
	return EXIT_USAGE;
}

int start_options(int *argc, char ***argv)
{
	static const char ours[] = "OCCLUM=";
	static struct argfile file;
	const char *wrong;

	/* Every further arena of malloc() reserves 128 MiB, which an enclave has to have. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (*argc > 1)
		return refuse("argument", (*argv)[1], strlen((*argv)[1]));
	for (char **e = environ; *e; e++)
		if (strncmp(*e, ours, sizeof(ours) - 1) != 0)
			return refuse("environment variable", *e, strcspn(*e, "="));
	wrong = argfile_read(ARGS_PATH, (*argv)[0], &file);
	if (wrong) {
		fprintf(stderr, "entg-occlum: " ARGS_PATH ": %s\n", wrong);
		return EXIT_USAGE;
	}
	*argc = file.argc;
	*argv = file.argv;
	return 0;
}
