/*
 * Runs a fuzz target over the files of its checked-in corpus, without libFuzzer: so every compiler
 * and every `meson test` replays what fuzzing once found. Each file also runs cut short.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

/* The target gets its input in a block of its own, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = n > 0 ? malloc(n) : NULL;

	if (n > 0 && !copy)
		abort();
	if (n > 0)
		memcpy(copy, bytes, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static bool replay(const char *dir, const char *name)
{
	static uint8_t bytes[INPUT_MAX];
	char path[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rbe");
	if (!f) {
		perror(path);
		return false;
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	if (ferror(f) || !feof(f)) {
		fprintf(stderr, "%s: cannot be read, or too large\n", path);
		fclose(f);
		return false;
	}
	fclose(f);
	run(bytes, n);
	for (size_t cut = 0; cut < n && cut < 256; cut++)
		run(bytes, cut);
	return true;
}

int main(int argc, char **argv)
{
	size_t n_files = 0;
	struct dirent *e;
	DIR *d;

	if (argc != 2)
		return 2;
	d = opendir(argv[1]);
	if (!d) {
		perror(argv[1]);
		return 1;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (!replay(argv[1], e->d_name))
			return 1;
		n_files++;
	}
	closedir(d);
	printf("%zu files\n", n_files);
	return n_files == 0; /* an empty corpus tests nothing */
}
