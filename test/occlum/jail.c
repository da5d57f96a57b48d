/*
 * Runs a program with what Occlum 0.31 would give it, on a host without SGX:
 *
 *   jail --table syscalls.tsv [--mode kill|errno] [--threads N] [--memory BYTES] [--image DIR]
 *        [--etc DIR] [--count FILE] -- PROGRAM [ARG]...
 *
 * System calls: those that the table says Occlum has, with the arguments that it takes (filter.c);
 * everything else kills the program (kill), or has Occlum's answer (errno). Threads and memory are
 * bounded as Occlum.json bounds them. With --image the program sees only the files of its image,
 * gets Occlum's environment, and its arguments stand in the image's /etc/eng/entg.args beside the
 * files of --etc, as occlum/run_on_occlum.sh puts them there.
 *
 * What this cannot see: what pointers lead to (addresses, ancillary data, the flags of epoll
 * events), files that Occlum makes up (/proc, /dev), calls that Occlum takes and ignores, the cost
 * of leaving an enclave, and Occlum's own faults.
 */
#include "jail.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_JAIL = 125 /* the jail itself failed; programs end otherwise */ };

static int fail(const char *what, int r)
{
	fprintf(stderr, "jail: %s: %s\n", what, strerror(-r));
	return EXIT_JAIL;
}

static bool parse(int argc, char **argv, struct jail *j)
{
	static const struct option options[] = {
		{ "table", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 'n' },
		{ "memory", required_argument, NULL, 'b' },
		{ "image", required_argument, NULL, 'i' },
		{ "etc", required_argument, NULL, 'e' },
		{ "count", required_argument, NULL, 'c' },
		{ 0 },
	};
	int c;

	*j = (struct jail){ .kill = true };
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 't')
			j->table = optarg;
		else if (c == 'm')
			j->kill = strcmp(optarg, "errno") != 0;
		else if (c == 'n')
			j->threads = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'b')
			j->memory = strtoul(optarg, NULL, 10);
		else if (c == 'i')
			j->image = optarg;
		else if (c == 'e')
			j->etc = optarg;
		else if (c == 'c')
			j->count = optarg;
		else
			return false;
	}
	j->argv = argv + optind;
	return j->table && j->argv[0];
}

static int bound_memory(size_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	if (bytes && setrlimit(RLIMIT_AS, &limit) < 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	static char *const environment[] = { (char *)"OCCLUM=yes", NULL };
	void *filter;
	struct jail j;
	int r;

	if (!parse(argc, argv, &j)) {
		fprintf(stderr, "usage: jail --table FILE [--mode kill|errno] [--threads N] "
				"[--memory BYTES] [--image DIR] [--etc DIR] [--count FILE] -- "
				"PROGRAM [ARG]...\n");
		return EXIT_JAIL;
	}
	r = filter_make(&j, &filter);
	if (r < 0)
		return fail(j.table, r);
	if (j.image) {
		r = image_set_up(&j);
		if (r < 0)
			return fail(j.image, r);
	}
	r = watch_start(&j);
	if (r < 0)
		return fail("cannot watch", r);
	if (j.image)
		r = image_enter(&j);
	if (r == 0)
		r = bound_memory(j.memory);
	if (r == 0)
		r = filter_load(filter);
	if (r < 0)
		return fail("cannot confine", r);
	if (j.image)
		execve(j.argv[0], (char *[]){ j.argv[0], NULL }, environment);
	else
		execvp(j.argv[0], j.argv);
	return fail(j.argv[0], -errno);
}
