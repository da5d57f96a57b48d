/*
 * standin_pki DIR: everything that the maker of the stand-ins publishes, valid now, as collateral
 * for a verifier that is linked with roots_test.c. One folder per maker, and "all" with everything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "maker.h"

static const struct {
	const char *name;
	void (*publish)(const char *dir);
} makers[] = {
	{ "intel", maker_intel_publish },
	{ "amd", maker_amd_publish },
	{ "hygon", maker_hygon_publish },
};

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	char path[4096], all[4096];

	if (argc != 2) {
		fputs("usage: standin_pki DIR\n", stderr);
		return 2;
	}
	make_dir(argv[1]);
	snprintf(all, sizeof(all), "%s/all", argv[1]);
	make_dir(all);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], makers[i].name);
		make_dir(path);
		makers[i].publish(path);
		makers[i].publish(all);
	}
	return 0;
}
