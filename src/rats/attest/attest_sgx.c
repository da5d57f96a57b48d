/*
 * SGX from inside an enclave, whose library OS quotes for it: Occlum by ioctls on /dev/sgx, Gramine
 * by files in /dev/attestation. Which of them is there decides.
 *
 * Occlum answers EINVAL whatever went wrong, and keeps the outcome of the first request for the
 * life of the enclave. So there is no point in trying again, open() asks for the size at once
 * to fail where somebody looks, and probe() asks nothing, in order not to spoil the first time.
 *
 * Gramine's files are one per process: report data written by one thread would end up in the
 * quote of another, hence the lock. The quote is made when `quote` is opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/dcap/quote.h"
#include "rats/file.h"

#define OCCLUM_DEVICE "/dev/sgx"
#define GRAMINE_DIR "/dev/attestation"

/* Occlum has no header for it: src/libos/src/fs/dev_fs/dev_sgx, and its test/ioctl. */
struct occlum_quote_args {
	const uint8_t *report_data; /* REPORT_DATA_SIZE bytes */
	uint32_t *quote_size;	    /* in only, whatever Occlum's manual says */
	uint8_t *quote;
};
#define OCCLUM_GET_DCAP_QUOTE_SIZE _IOR('s', 7, uint32_t)
#define OCCLUM_GEN_DCAP_QUOTE _IOWR('s', 8, struct occlum_quote_args)

struct sgx {
	int fd;	       /* Occlum's device, or Gramine's directory */
	uint32_t size; /* of Occlum's quotes; 0: it is Gramine */
	char name[64]; /* what it is, in error lines */
};

static pthread_mutex_t gramine_lock = PTHREAD_MUTEX_INITIALIZER;

static void sgx_close(void *state)
{
	struct sgx *s = state;

	if (!s)
		return;
	fd_closep(&s->fd);
	free(s);
}

static void sgx_freep(struct sgx **s)
{
	sgx_close(*s);
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int occlum_open(struct sgx *s, struct attest_error *err)
{
	if (ioctl(s->fd, OCCLUM_GET_DCAP_QUOTE_SIZE, &s->size) != 0)
		return attest_fail(err, -errno,
				   "%s: the size of a quote: %s (DCAP on the host: driver, "
				   "aesmd, PCCS? Occlum must be restarted to ask again)",
				   s->name, err_text(-errno));
	if (s->size == 0 || s->size > QUOTE_MAX)
		return attest_fail(err, -EMSGSIZE,
				   "%s: says that a quote has %u bytes, not 1 to %d", s->name,
				   s->size, QUOTE_MAX);
	return 0;
}

static int gramine_open(struct sgx *s, struct attest_error *err)
{
	uint8_t *type;
	size_t n;
	int r;

	r = file_read_at(s->fd, "attestation_type", 32, &type, &n);
	if (r < 0)
		return attest_fail(err, r == -ENOENT ? -ENODEV : r, "%s/attestation_type: %s",
				   s->name, err_text(r));
	while (n > 0 && (type[n - 1] == '\n' || type[n - 1] == '\0'))
		n--;
	r = span_equal(SPAN(type, n), SPAN("dcap", 4))
		    ? 0
		    : attest_fail(err, -ENODEV,
				  "%s: the attestation type is '%.*s', not 'dcap' "
				  "(sgx.remote_attestation in the manifest)",
				  s->name, (int)n, (const char *)type);
	free(type);
	return err_pass(r);
}

/* The place that `path` names, or the first of the two that is there. */
static int find(const char *path, int *out_fd, const char **out_path, struct attest_error *err)
{
	static const char hint[] = "not an enclave of Occlum or Gramine, or of one without DCAP";
	int r;

	*out_path = path ? path : OCCLUM_DEVICE;
	r = attest_device_open(*out_path, O_RDONLY, hint, out_fd, err);
	if (path || r == -EACCES)
		return err_pass(r);
	if (r == 0 && !is_directory(*out_fd))
		return 0;
	if (r == 0)
		fd_closep(out_fd); /* the driver of the host has a directory of that name */
	*out_path = GRAMINE_DIR;
	r = attest_device_open(GRAMINE_DIR, O_RDONLY | O_DIRECTORY, hint, out_fd, err);
	if (r == -ENODEV)
		return attest_fail(err, -ENODEV, "neither %s nor %s is here: %s", OCCLUM_DEVICE,
				   GRAMINE_DIR, hint);
	return err_pass(r);
}

static int sgx_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	CLEANUP(sgx_freep) struct sgx *s = calloc(1, sizeof(*s));
	const char *path;
	int r;

	if (!s)
		return err_new(-ENOMEM);
	s->fd = -1;
	r = find(attest_option(o, "path", NULL), &s->fd, &path, err);
	if (r < 0)
		return err_pass(r);
	strncpy(s->name, path, sizeof(s->name) - 1);
	r = is_directory(s->fd) ? gramine_open(s, err) : occlum_open(s, err);
	if (r < 0)
		return err_pass(r);
	*out_state = TAKE(s);
	return 0;
}

static int occlum_quote(const struct sgx *s, const uint8_t report_data[REPORT_DATA_SIZE],
			uint8_t **out, size_t *out_n, struct attest_error *err)
{
	uint32_t size = s->size;
	uint8_t *quote = calloc(1, size);
	struct occlum_quote_args args = { .report_data = report_data,
					  .quote_size = &size,
					  .quote = quote };

	if (!quote)
		return err_new(-ENOMEM);
	if (ioctl(s->fd, OCCLUM_GEN_DCAP_QUOTE, &args) != 0) {
		int r = attest_fail(err, -errno, "%s: making a quote: %s", s->name,
				    err_text(-errno));

		free(quote);
		return err_pass(r);
	}
	*out = quote;
	*out_n = s->size;
	return 0;
}

static int write_at(int dir, const char *name, const uint8_t *bytes, size_t n)
{
	CLEANUP(fd_closep) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		return err_new(-errno);
	r = write(fd, bytes, n);
	return r < 0 ? err_new(-errno) : (size_t)r == n ? 0 : err_new(-EIO);
}

static int gramine_quote(const struct sgx *s, const uint8_t report_data[REPORT_DATA_SIZE],
			 uint8_t **out, size_t *out_n, struct attest_error *err)
{
	const char *what = "user_report_data";
	int r;

	pthread_mutex_lock(&gramine_lock);
	r = write_at(s->fd, what, report_data, REPORT_DATA_SIZE);
	if (r == 0) {
		what = "quote";
		r = file_read_at(s->fd, what, QUOTE_MAX, out, out_n);
	}
	pthread_mutex_unlock(&gramine_lock);
	if (r == -EFBIG)
		return attest_fail(err, r, "%s/%s: more than %d bytes", s->name, what, QUOTE_MAX);
	return r < 0 ? attest_fail(err, r, "%s/%s: %s", s->name, what, err_text(r)) : 0;
}

static int sgx_evidence(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			struct wspan *body, struct attest_error *err)
{
	const struct sgx *s = state;
	uint8_t *quote = NULL;
	size_t n = 0;
	int r;

	r = s->size > 0 ? occlum_quote(s, report_data, &quote, &n, err)
			: gramine_quote(s, report_data, &quote, &n, err);
	if (r < 0)
		return err_pass(r);
	r = attest_put_quote(s->name, TEE_SGX, SPAN(quote, n), report_data, body, err);
	free(quote);
	return err_pass(r);
}

static int sgx_probe(struct attest_error *why)
{
	CLEANUP(fd_closep) int fd = -1;
	struct sgx s = { 0 };
	const char *path;
	int r;

	r = find(NULL, &fd, &path, why);
	if (r < 0)
		return err_pass(r);
	if (!is_directory(fd)) {
		attest_note(why, "%s of Occlum", path);
		return 0;
	}
	s.fd = fd;
	strncpy(s.name, path, sizeof(s.name) - 1);
	r = gramine_open(&s, why);
	if (r == 0)
		attest_note(why, "%s of Gramine", path);
	return err_pass(r);
}

static const char *const keys[] = { "path", NULL };

const struct attester_backend attester_sgx = {
	.name = "sgx",
	.tag = EVIDENCE_TAG_INTEL_QUOTE,
	.keys = keys,
	.open = sgx_open,
	.close = sgx_close,
	.evidence = sgx_evidence,
	.probe = sgx_probe,
};
