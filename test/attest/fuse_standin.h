/*
 * Stand-ins that are file systems: they run in the foreground until SIGTERM, and unmount. Each open
 * file has bytes of its own: what a reader is to get, made at open() or at the first read(), or
 * what a writer has given so far, which takes effect at close().
 */
#ifndef ENG_TEST_ATTEST_FUSE_STANDIN_H
#define ENG_TEST_ATTEST_FUSE_STANDIN_H

#define FUSE_USE_VERSION 31
#include <fuse.h>

#include "standin.h"

enum { FUSE_FILE_MAX = 64 * 1024 };

struct fuse_file {
	size_t n;
	bool is_made; /* reading: the bytes are there */
	bool is_written;
	uint8_t bytes[FUSE_FILE_MAX];
};

/* Allocates it for an open() and makes reads and writes go past the page cache. */
int fuse_file_open(struct fuse_file_info *fi);
struct fuse_file *fuse_file_of(const struct fuse_file_info *fi);
int fuse_file_release(const char *path, struct fuse_file_info *fi);
/* The part of its bytes that a read() wants. */
int fuse_file_read(const struct fuse_file *f, char *out, size_t n, off_t at);
/* Adds what a write() gives; -EFBIG beyond max. */
int fuse_file_write(struct fuse_file *f, const char *bytes, size_t n, off_t at, size_t max);

/* Parses the options, mounts on the directory that is named behind them, and serves. */
int fuse_standin_main(int argc, char **argv, const struct fuse_operations *ops,
		      struct standin *out);

#endif
