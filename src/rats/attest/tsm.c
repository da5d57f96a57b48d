/*
 * configfs-tsm; see tsm.h. Each request has a directory of its own, under a name that nobody else
 * takes, so that requests do not get in each other's way. Still `generation`, which counts
 * what was written, is compared: root may write into our directory, and then the report is not
 * about what we asked.
 *
 * `inblob` takes effect when it is closed, and what the kernel thinks of it is not told there: a
 * refused one shows as a generation that did not move.
 */
#include "rats/attest/tsm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/file.h"

enum {
	TSM_TRIES = 8,
	TSM_PAUSE_MS = 25, /* doubled each time: 3.2 s in all */
	TSM_LINE_MAX = 64, /* of an attribute that is text */
	TSM_E_AGAIN = 1,
};

struct entry {
	int parent, fd;
	char name[48]; /* "": not made */
};

static void entry_deinit(struct entry *e)
{
	fd_closep(&e->fd);
	if (e->name[0] != '\0')
		(void)unlinkat(e->parent, e->name, AT_REMOVEDIR);
	fd_closep(&e->parent);
}

void tsm_answer_deinit(struct tsm_answer *a)
{
	free(a->out);
	free(a->aux);
	*a = (struct tsm_answer){ 0 };
}

static int fail(struct attest_error *err, const char *what, int r)
{
	if (r == -ENXIO || r == -ENODEV || r == -ENOTDIR || r == -ENOENT)
		r = -ENODEV;
	if (r == -EFBIG)
		return attest_fail(err, r, "configfs-tsm: %s: more than %d bytes", what,
				   TSM_OUT_MAX);
	return attest_fail(err, r, "configfs-tsm: %s: %s", what, err_text(r));
}

/* mkdir() with a name that is free; says in it whose it is, for who finds it left over. */
static int entry_make(struct entry *e)
{
	char name[sizeof(e->name)];
	uint64_t salt;

	for (int i = 0; i < TSM_TRIES; i++) {
		if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
			return err_new(-EIO);
		snprintf(name, sizeof(name), "rats-%ld-%016" PRIx64, (long)getpid(), salt);
		if (mkdirat(e->parent, name, 0700) == 0) {
			memcpy(e->name, name, sizeof(name));
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	return err_new(-errno);
}

static int entry_open(struct entry *e, const char *dir, struct attest_error *err)
{
	int r;

	*e = (struct entry){ .parent = -1, .fd = -1 };
	e->parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->parent < 0 && (errno == ENOENT || errno == ENOTDIR))
		return attest_fail(err, -ENODEV,
				   "%s is not here: no guest of Linux 6.7 or later with "
				   "configfs-tsm, or configfs is not mounted",
				   dir);
	if (e->parent < 0)
		return attest_fail(err, -errno, "%s: %s", dir, err_text(-errno));
	r = entry_make(e);
	if (r == -ENXIO)
		return attest_fail(err, -ENODEV,
				   "%s: the kernel has no provider of reports (not a confidential "
				   "guest, or tdx-guest or sev-guest is not loaded)",
				   dir);
	if (r < 0)
		return attest_fail(err, r, "%s: making a request: %s", dir, err_text(r));
	e->fd = openat(e->parent, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return e->fd < 0 ? fail(err, e->name, -errno) : 0;
}

/* An attribute that is one line of text, without its end. */
static int read_line(int dir, const char *name, char out[TSM_LINE_MAX])
{
	uint8_t *bytes;
	size_t n;
	int r;

	r = file_read_at(dir, name, TSM_LINE_MAX - 1, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	memcpy(out, bytes, n + 1);
	free(bytes);
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

static int check_provider(const struct entry *e, const char *expected, struct attest_error *err)
{
	char name[TSM_LINE_MAX];
	int r;

	r = read_line(e->fd, "provider", name);
	if (r < 0)
		return fail(err, "provider", r);
	if (strcmp(name, expected) != 0)
		return attest_fail(err, -ENODEV,
				   "configfs-tsm: the provider of reports is '%s', not '%s'", name,
				   expected);
	return 0;
}

static int read_generation(int dir, uint32_t *out)
{
	char text[TSM_LINE_MAX], *end;
	unsigned long v;
	int r;

	r = read_line(dir, "generation", text);
	if (r < 0)
		return err_pass(r);
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v > UINT32_MAX)
		return err_new(-EBADMSG);
	*out = (uint32_t)v;
	return 0;
}

static int write_attribute(int dir, const char *name, const void *bytes, size_t n)
{
	CLEANUP(fd_closep) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		return err_new(-errno);
	r = write(fd, bytes, n);
	if (r < 0)
		return err_new(-errno);
	if ((size_t)r != n)
		return err_new(-EIO);
	return close(TAKE_FD(fd)) == 0 ? 0 : err_new(-errno);
}

static bool is_transient(int r)
{
	return r == -EBUSY || r == -EAGAIN || r == -EINTR;
}

/* The result of one step: 0, TSM_E_AGAIN, or < 0 and said why. */
static int step(struct attest_error *err, const char *what, int r)
{
	if (r == 0)
		return 0;
	r = fail(err, what, r);
	return is_transient(r) ? TSM_E_AGAIN : r;
}

static int try_once(const struct entry *e, const struct tsm_request *q, struct tsm_answer *a,
		    struct attest_error *err)
{
	uint32_t before = 0, after = 0;
	int r;

	r = step(err, "generation", read_generation(e->fd, &before));
	if (r == 0)
		r = step(err, "inblob",
			 write_attribute(e->fd, "inblob", q->report_data, REPORT_DATA_SIZE));
	if (r == 0)
		r = step(err, "outblob",
			 file_read_at(e->fd, "outblob", TSM_OUT_MAX, &a->out, &a->n_out));
	if (r == 0 && q->wants_aux) {
		int r_aux = file_read_at(e->fd, "auxblob", TSM_AUX_MAX, &a->aux, &a->n_aux);

		r = step(err, "auxblob", r_aux == -ENOENT ? 0 : r_aux);
	}
	if (r == 0)
		r = step(err, "generation", read_generation(e->fd, &after));
	if (r != 0)
		return err_pass(r);
	if (after == before + 1)
		return 0;
	(void)attest_fail(err, -EAGAIN,
			  "configfs-tsm: generation went from %u to %u: somebody else writes, or "
			  "the report data was refused",
			  before, after);
	return TSM_E_AGAIN;
}

static int set_privlevel(const struct entry *e, int level, struct attest_error *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", level), r;

	r = write_attribute(e->fd, "privlevel", text, (size_t)n);
	return r < 0 ? fail(err, "privlevel", r) : 0;
}

int tsm_check(const char *dir, const char *provider, struct attest_error *err)
{
	CLEANUP(entry_deinit) struct entry e;
	int r;

	r = entry_open(&e, dir, err);
	return r < 0 ? err_pass(r) : check_provider(&e, provider, err);
}

int tsm_report(const struct tsm_request *q, struct tsm_answer *out, struct attest_error *err)
{
	CLEANUP(tsm_answer_deinit) struct tsm_answer a = { 0 };
	CLEANUP(entry_deinit) struct entry e;
	long ms = TSM_PAUSE_MS;
	int r;

	r = entry_open(&e, q->dir, err);
	if (r == 0)
		r = check_provider(&e, q->provider, err);
	if (r == 0 && q->privlevel != TSM_PRIVLEVEL_DEFAULT)
		r = set_privlevel(&e, q->privlevel, err);
	if (r < 0)
		return err_pass(r);
	for (int i = 1; (r = try_once(&e, q, &a, err)) == TSM_E_AGAIN && i < TSM_TRIES; i++) {
		tsm_answer_deinit(&a);
		attest_pause_ms(ms);
		ms *= 2;
	}
	if (r < 0)
		return err_pass(r);
	if (r > 0)
		return err_new(-EAGAIN); /* the last step has said why */
	*out = a;
	a = (struct tsm_answer){ 0 };
	return 0;
}
