/*
 * Attesters: evidence of this machine, through the backend of the kind that the caller names.
 * There is no guessing which kind would do: what one proves, the peer's policy must name.
 *
 * Backends write into buffers of fixed size; what goes out is bounded here, once for all of them.
 * The option `endorsements=PATH` is everybody's: that file, or the files of that directory, instead
 * of what the machine holds, read each time, so that a fresh one takes effect.
 */
#include "rats/attest/attest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/attest/bundle.h"

struct rtls_attester {
	const struct attester_backend *backend;
	void *state;
	char *endorsements_path; /* NULL: not given */
};

static void bytes_freep(uint8_t **p)
{
	free(*p);
}

static const struct attester_backend *find(const char *name)
{
	for (size_t i = 0; i < n_attesters; i++)
		if (strcmp(attesters[i]->name, name) == 0)
			return attesters[i];
	return NULL;
}

void rtls_attester_close(struct rtls_attester *a)
{
	if (!a)
		return;
	if (a->backend && a->backend->close)
		a->backend->close(a->state);
	free(a->endorsements_path);
	free(a);
}

DEFINE_FREEP(struct rtls_attester *, rtls_attester_close)

/* The line that came with a failure may be about anything but must not be missing. */
static int explain(struct attest_error *err, int r)
{
	if (r < 0 && err->out && err->size > 0 && err->out[0] == '\0')
		return attest_fail(err, r, "%s", err_text(r));
	return err_pass(r);
}

static int attester_open(const struct attester_backend *b, const struct attest_options *o,
			 struct rtls_attester **out, struct attest_error *err)
{
	CLEANUP(rtls_attester_closep) struct rtls_attester *a = calloc(1, sizeof(*a));
	const char *path = attest_option(o, "endorsements", NULL);
	int r;

	if (!a)
		return err_new(-ENOMEM);
	if (path) {
		a->endorsements_path = strdup(path);
		if (!a->endorsements_path)
			return err_new(-ENOMEM);
	}
	r = b->open(o, &a->state, err);
	if (r < 0)
		return err_pass(r);
	a->backend = b;
	*out = TAKE(a);
	return 0;
}

int rtls_attester_open(const char *name, const char *options, struct rtls_attester **out,
		       char *err_out, size_t err_size)
{
	struct attest_error err = { .out = err_out, .size = err_size };
	const struct attester_backend *b = name ? find(name) : NULL;
	struct attest_options o;
	int r;

	if (err_out && err_size > 0)
		err_out[0] = '\0';
	if (!b)
		return attest_fail(&err, -EINVAL, "no such attester: '%.64s'", name ? name : "");
	r = attest_options_parse(options, b, &o, &err);
	if (r == 0)
		r = attester_open(b, &o, out, &err);
	return explain(&err, r);
}

const char *rtls_attester_name(const struct rtls_attester *a)
{
	return a->backend->name;
}

int rtls_attester_evidence(struct rtls_attester *a, const uint8_t report_data[REPORT_DATA_SIZE],
			   void **out, size_t *out_n, char *err_out, size_t err_size)
{
	struct attest_error err = { .out = err_out, .size = err_size };
	CLEANUP(bytes_freep) uint8_t *bytes = malloc(ATTEST_EVIDENCE_MAX);
	CLEANUP(bytes_freep) uint8_t *body = malloc(ATTEST_BODY_MAX);
	struct wspan to = WSPAN(bytes, ATTEST_EVIDENCE_MAX), w = WSPAN(body, ATTEST_BODY_MAX);
	int r;

	if (err_out && err_size > 0)
		err_out[0] = '\0';
	if (!bytes || !body)
		return explain(&err, err_new(-ENOMEM));
	r = a->backend->evidence(a->state, report_data, &w, &err);
	if (r < 0)
		return explain(&err, r);
	if (w.n == 0 && !w.overflow)
		return attest_fail(&err, -EIO, "%s: empty evidence", a->backend->name);
	envelope_write(&to, a->backend->tag, SPAN(w.p, w.n), SPAN(NULL, 0));
	if (w.overflow || to.overflow)
		return attest_fail(&err, -EMSGSIZE, "%s: evidence is larger than %d bytes",
				   a->backend->name, ATTEST_BODY_MAX);
	*out = TAKE(bytes);
	*out_n = to.n;
	return 0;
}

int rtls_attester_endorsements(struct rtls_attester *a, void **out, size_t *out_n)
{
	CLEANUP(bytes_freep) uint8_t *bytes = NULL;
	struct wspan w;
	int r;

	if (!a->endorsements_path && !a->backend->endorsements) {
		*out = NULL;
		*out_n = 0;
		return 0;
	}
	bytes = malloc(ATTEST_ENDORSEMENTS_MAX);
	if (!bytes)
		return err_new(-ENOMEM);
	w = WSPAN(bytes, ATTEST_ENDORSEMENTS_MAX);
	r = a->endorsements_path ? attest_bundle_load(a->endorsements_path, &w)
				 : a->backend->endorsements(a->state, &w);
	if (r < 0)
		return err_pass(r);
	if (w.overflow)
		return err_new(-EMSGSIZE);
	*out = w.n > 0 ? TAKE(bytes) : NULL;
	*out_n = w.n;
	return 0;
}

bool rtls_attester_probe(size_t i, const char **out_name, bool *out_works, const char **out_why)
{
	static _Thread_local char line[ATTEST_LINE_MAX];
	struct attest_error why = { .out = line, .size = sizeof(line) };
	int r = 0;

	if (i >= n_attesters)
		return false;
	line[0] = '\0';
	if (attesters[i]->probe)
		r = explain(&why, attesters[i]->probe(&why));
	*out_name = attesters[i]->name;
	*out_works = r == 0;
	*out_why = line;
	return true;
}
