/* Open files with bytes of their own; see fuse_standin.h. */
#include "fuse_standin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDED_BY_SIGNAL = 8 /* fuse_main(), when its loop was ended and not the mount */ };

int fuse_file_open(struct fuse_file_info *fi)
{
	struct fuse_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	fi->fh = (uintptr_t)f;
	fi->direct_io = 1;
	return 0;
}

struct fuse_file *fuse_file_of(const struct fuse_file_info *fi)
{
	return (struct fuse_file *)(uintptr_t)fi->fh;
}

int fuse_file_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	free(fuse_file_of(fi));
	return 0;
}

int fuse_file_read(const struct fuse_file *f, char *out, size_t n, off_t at)
{
	size_t from = (size_t)at;

	if (from >= f->n)
		return 0;
	if (n > f->n - from)
		n = f->n - from;
	memcpy(out, f->bytes + from, n);
	return (int)n;
}

int fuse_file_write(struct fuse_file *f, const char *bytes, size_t n, off_t at, size_t max)
{
	size_t from = (size_t)at;

	if (from > max || n > max - from)
		return -EFBIG;
	memcpy(f->bytes + from, bytes, n);
	if (from + n > f->n)
		f->n = from + n;
	f->is_written = true;
	return (int)n;
}

int fuse_standin_main(int argc, char **argv, const struct fuse_operations *ops, struct standin *out)
{
	int first = standin_options(argc, argv, out);
	char *args[] = { argv[0], "-f", "-s", argv[first], NULL };
	int r;

	if (first != argc - 1) {
		fprintf(stderr, "usage: %s [--OPTION[=VALUE] ...] -- DIRECTORY\n", argv[0]);
		return 2;
	}
	r = fuse_main(4, args, ops, NULL);
	return r == ENDED_BY_SIGNAL ? 0 : r;
}
