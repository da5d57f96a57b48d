/*
 * tsm_standin [OPTION ...] -- DIRECTORY: configfs-tsm (ABI/testing/configfs-tsm-report) with a TDX
 * guest's provider, or with --snp that of an SNP guest, as drivers/virt/coco/tsm.c of Linux 6.7 has
 * it: a directory per request; `inblob` takes effect at close(), whose result nobody hears;
 * `outblob` is made when it is read and what was written has changed; `generation` counts what was
 * written; attributes that the provider has not are not there.
 */
#include "fuse_standin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { REQUESTS_MAX = 32, INBLOB_MAX = 64, OUTBLOB_MAX = 32 * 1024, NAME_MOST = 64 };

static struct standin options;

struct request {
	char name[NAME_MOST];	     /* "": free */
	unsigned long written, made; /* generations */
	uint8_t in[INBLOB_MAX];
	size_t n_in;
	unsigned vmpl;
	uint8_t out[OUTBLOB_MAX + 1];
	size_t n_out;
};
static struct request requests[REQUESTS_MAX];

struct attribute {
	const char *name;
	mode_t mode;
	bool snp_only;
	/* Makes the bytes of a reader. 0 or -errno. */
	int (*read)(struct request *q, struct fuse_file *f);
	/* Takes those of a writer at close(). */
	void (*written)(struct request *q, const struct fuse_file *f);
	size_t max;
};

static int put_text(struct fuse_file *f, const char *text)
{
	f->n = strlen(text);
	memcpy(f->bytes, text, f->n);
	return 0;
}

static int read_provider(struct request *q, struct fuse_file *f)
{
	(void)q;
	return put_text(f, options.is_snp != options.other_tee ? "sev_guest\n" : "tdx_guest\n");
}

static int read_generation(struct request *q, struct fuse_file *f)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu\n", q->written);
	return put_text(f, options.bad_generation ? "many\n" : text);
}

static int read_floor(struct request *q, struct fuse_file *f)
{
	(void)q;
	return put_text(f, "0\n");
}

static void inblob_written(struct request *q, const struct fuse_file *f)
{
	if (options.fail_quote)
		return;
	memcpy(q->in, f->bytes, f->n);
	q->n_in = f->n;
	q->written++;
}

static void privlevel_written(struct request *q, const struct fuse_file *f)
{
	char text[16] = "";

	memcpy(text, f->bytes, f->n < sizeof(text) ? f->n : sizeof(text) - 1);
	q->vmpl = (unsigned)strtoul(text, NULL, 10);
	q->written++;
}

/* What the provider does. */
static int make_report(struct request *q)
{
	uint8_t report_data[INBLOB_MAX] = { 0 };
	struct maker_tee tee = options.tee;

	if (options.slow_s > 0)
		sleep(options.slow_s);
	options.slow_s = 0;
	if (options.busy > 0) {
		options.busy--;
		return -EBUSY;
	}
	if (options.fail > 0) {
		options.fail--;
		return -EIO;
	}
	memcpy(report_data, q->in, q->n_in);
	report_data[0] ^= options.other_data;
	tee.vmpl = q->vmpl;
	q->n_out = options.is_snp ? maker_snp_report(&tee, report_data, q->out)
				  : maker_tdx_quote(&tee, report_data, q->out);
	if (options.garbage)
		memset(q->out, 0xa5, q->n_out);
	if (options.cut)
		q->n_out /= 2;
	q->made = q->written;
	return 0;
}

static int read_outblob(struct request *q, struct fuse_file *f)
{
	int r = 0;

	if (q->n_in == 0)
		return -EINVAL;
	if (q->made != q->written)
		r = make_report(q);
	standin_log(&options, "outblob %d", r);
	if (r < 0)
		return r;
	if (options.oversize)
		return -EFBIG;
	memcpy(f->bytes, q->out, q->n_out);
	f->n = q->n_out;
	q->written += options.race || options.race_forever;
	options.race = false;
	return 0;
}

static int read_auxblob(struct request *q, struct fuse_file *f)
{
	(void)q;
	f->n = options.no_certs ? 0 : maker_snp_table(f->bytes);
	if (options.bad_certs)
		memset(f->bytes, 0xa5, f->n);
	return 0;
}

static const struct attribute attributes[] = {
	{ "inblob", 0200, false, NULL, inblob_written, INBLOB_MAX },
	{ "outblob", 0400, false, read_outblob, NULL, 0 },
	{ "auxblob", 0400, true, read_auxblob, NULL, 0 },
	{ "provider", 0444, false, read_provider, NULL, 0 },
	{ "generation", 0444, false, read_generation, NULL, 0 },
	{ "privlevel", 0200, true, NULL, privlevel_written, 8 },
	{ "privlevel_floor", 0444, true, read_floor, NULL, 0 },
};

static const struct attribute *attribute_at(size_t i)
{
	const struct attribute *a = &attributes[i];

	if (a->snp_only && (!options.is_snp || (a->read == read_auxblob && options.no_ext)))
		return NULL;
	return a;
}

static struct request *request_find(const char *name, size_t n)
{
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		if (strlen(requests[i].name) == n && memcmp(requests[i].name, name, n) == 0)
			return &requests[i];
	return NULL;
}

/* "/", "/REQUEST" or "/REQUEST/ATTRIBUTE"; *q and *a are NULL for what is not in the path. */
static int resolve(const char *path, struct request **q, const struct attribute **a)
{
	const char *name = path + 1, *slash = strchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : strlen(name);

	*q = NULL;
	*a = NULL;
	if (n == 0)
		return 0;
	*q = request_find(name, n);
	if (!*q)
		return -ENOENT;
	for (size_t i = 0; slash && i < ARRAY_LEN(attributes); i++)
		if (strcmp(attributes[i].name, slash + 1) == 0)
			*a = attribute_at(i);
	return slash && !*a ? -ENOENT : 0;
}

static int tsm_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	(void)fi;
	if (r < 0)
		return r;
	memset(st, 0, sizeof(*st));
	st->st_mode = a ? S_IFREG | a->mode : S_IFDIR | 0755;
	st->st_nlink = 1;
	return 0;
}

static int tsm_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t at,
		       struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	(void)at, (void)fi, (void)flags;
	for (size_t i = 0; r == 0 && !q && i < REQUESTS_MAX; i++)
		if (requests[i].name[0])
			fill(buf, requests[i].name, NULL, 0, 0);
	for (size_t i = 0; r == 0 && q && i < ARRAY_LEN(attributes); i++)
		if (attribute_at(i))
			fill(buf, attributes[i].name, NULL, 0, 0);
	return r;
}

static int tsm_mkdir(const char *path, mode_t mode)
{
	const char *name = path + 1;
	size_t n = strlen(name);

	(void)mode;
	if (strchr(name, '/'))
		return -EPERM;
	if (options.absent)
		return -ENXIO;
	for (size_t i = 0; n < NAME_MOST && i < REQUESTS_MAX; i++) {
		if (requests[i].name[0])
			continue;
		requests[i] = (struct request){ .written = 0 };
		memcpy(requests[i].name, name, n);
		standin_log(&options, "mkdir");
		return 0;
	}
	return -ENOSPC;
}

static int tsm_rmdir(const char *path)
{
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	if (r < 0 || !q || a)
		return r < 0 ? r : -EPERM;
	q->name[0] = '\0';
	standin_log(&options, "rmdir");
	return 0;
}

static int tsm_open(const char *path, struct fuse_file_info *fi)
{
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	if (r < 0 || !a)
		return r < 0 ? r : -EISDIR;
	if ((fi->flags & O_ACCMODE) != (a->read ? O_RDONLY : O_WRONLY) || options.denied)
		return -EACCES;
	return fuse_file_open(fi);
}

static int tsm_read(const char *path, char *out, size_t n, off_t at, struct fuse_file_info *fi)
{
	struct fuse_file *f = fuse_file_of(fi);
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	if (r == 0 && !f->is_made)
		r = a->read(q, f);
	if (r < 0)
		return r;
	f->is_made = true;
	return fuse_file_read(f, out, n, at);
}

static int tsm_write(const char *path, const char *bytes, size_t n, off_t at,
		     struct fuse_file_info *fi)
{
	const struct attribute *a;
	struct request *q;
	int r = resolve(path, &q, &a);

	return r < 0 ? r : fuse_file_write(fuse_file_of(fi), bytes, n, at, a->max);
}

/* close(), which waits for it, as it does not for release(). */
static int tsm_flush(const char *path, struct fuse_file_info *fi)
{
	struct fuse_file *f = fuse_file_of(fi);
	const struct attribute *a;
	struct request *q;

	if (resolve(path, &q, &a) == 0 && a->written && f->is_written)
		a->written(q, f);
	f->is_written = false;
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = tsm_getattr,
	.readdir = tsm_readdir,
	.mkdir = tsm_mkdir,
	.rmdir = tsm_rmdir,
	.open = tsm_open,
	.read = tsm_read,
	.write = tsm_write,
	.flush = tsm_flush,
	.release = fuse_file_release,
};

int main(int argc, char **argv)
{
	return fuse_standin_main(argc, argv, &operations, &options);
}
