/*
 * gramine_standin [OPTION ...] -- DIRECTORY: the part of Gramine's /dev/attestation that makes
 * quotes. A file is made when it is opened; what is written to user_report_data is padded with
 * zeros; every failure of what is below is EACCES.
 */
#include "fuse_standin.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct standin options;
static uint8_t report_data[64];

enum { QUOTE_ROOM = 8192 /* Gramine's buffer */ };

static bool is(const char *path, const char *name)
{
	return strcmp(path + 1, name) == 0;
}

static int gramine_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	if (path[1] == '\0')
		st->st_mode = S_IFDIR | 0755;
	else if (is(path, "user_report_data"))
		st->st_mode = S_IFREG | 0600;
	else if (is(path, "attestation_type") || (is(path, "quote") && !options.no_ext))
		st->st_mode = S_IFREG | 0400;
	return st->st_mode ? 0 : -ENOENT;
}

static int make_quote(struct fuse_file *f)
{
	uint8_t data[64];

	if (options.slow_s > 0)
		sleep(options.slow_s);
	options.slow_s = 0;
	if (options.fail > 0) {
		options.fail--;
		return -EACCES;
	}
	memcpy(data, report_data, sizeof(data));
	data[0] ^= options.other_data;
	f->n = maker_sgx_quote(&options.tee, data, f->bytes);
	if (options.garbage)
		memset(f->bytes, 0xa5, f->n);
	if (options.cut)
		f->n /= 2;
	if (options.oversize)
		f->n = FUSE_FILE_MAX;
	return 0;
}

static int gramine_open(const char *path, struct fuse_file_info *fi)
{
	const char *type = options.other_tee ? "none" : "dcap";
	struct fuse_file *f;
	int r;

	if (options.denied)
		return -EACCES;
	r = fuse_file_open(fi);
	if (r < 0)
		return r;
	f = fuse_file_of(fi);
	if (is(path, "attestation_type")) {
		f->n = strlen(type);
		memcpy(f->bytes, type, f->n);
	} else if (is(path, "quote")) {
		r = make_quote(f);
	}
	if (r < 0)
		fuse_file_release(path, fi);
	return r;
}

static int gramine_read(const char *path, char *out, size_t n, off_t at, struct fuse_file_info *fi)
{
	(void)path;
	return fuse_file_read(fuse_file_of(fi), out, n, at);
}

static int gramine_write(const char *path, const char *bytes, size_t n, off_t at,
			 struct fuse_file_info *fi)
{
	struct fuse_file *f = fuse_file_of(fi);
	int r = is(path, "user_report_data") ? fuse_file_write(f, bytes, n, at, QUOTE_ROOM)
					     : -EACCES;

	if (r < 0)
		return r;
	memset(report_data, 0, sizeof(report_data));
	memcpy(report_data, f->bytes, f->n < sizeof(report_data) ? f->n : sizeof(report_data));
	return r;
}

static const struct fuse_operations operations = {
	.getattr = gramine_getattr,
	.open = gramine_open,
	.read = gramine_read,
	.write = gramine_write,
	.release = fuse_file_release,
};

int main(int argc, char **argv)
{
	return fuse_standin_main(argc, argv, &operations, &options);
}
