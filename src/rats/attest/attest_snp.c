/*
 * SEV-SNP from inside a guest: configfs-tsm, or /dev/sev-guest where that is missing. The
 * certificates that the host sends along with a report become its endorsements; what the host is
 * given to send is its owner's business, so there may be none, and the peer then needs them from
 * elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/addr.h"
#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/attest/sev_guest.h"
#include "rats/cborin.h"
#include "rats/snp/snp_cert.h"

#define PROVIDER "sev_guest"

struct snp {
	char *dir; /* of configfs-tsm; NULL: it is the device */
	int fd;
	int vmpl;	/* TSM_PRIVLEVEL_DEFAULT: not given */
	uint8_t *table; /* certificates, as the last report brought them */
	size_t n_table;
};

static void snp_close(void *state)
{
	struct snp *s = state;

	if (!s)
		return;
	fd_closep(&s->fd);
	free(s->dir);
	free(s->table);
	free(s);
}

static void snp_freep(struct snp **s)
{
	snp_close(*s);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Which of the two interfaces: as `path` says; else configfs-tsm, unless it has no provider. */
static int choose(const char *path, const char **out_dir, int *out_fd, struct attest_error *err)
{
	const char *dir = path ? path : TSM_DIR;
	const char *device = path ? path : SEV_GUEST_DEVICE;
	int r = -ENODEV;

	*out_dir = NULL;
	if (!path || is_directory(path)) {
		r = tsm_check(dir, PROVIDER, err);
		if (r == 0)
			*out_dir = dir;
		if (r != -ENODEV || path)
			return err_pass(r);
	}
	r = attest_device_open(device, O_RDWR, "not a guest of SEV-SNP, or sev-guest is not loaded",
			       out_fd, err);
	return err_pass(r);
}

static int snp_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	CLEANUP(snp_freep) struct snp *s = calloc(1, sizeof(*s));
	const char *vmpl = attest_option(o, "vmpl", NULL), *dir;
	unsigned long level = 0;
	int r;

	if (!s)
		return err_new(-ENOMEM);
	s->fd = -1;
	if (vmpl && !number_parse(vmpl, 0, TSM_PRIVLEVEL_MAX, &level))
		return attest_fail(err, -EINVAL, "vmpl is a number from 0 to %d, not '%s'",
				   TSM_PRIVLEVEL_MAX, vmpl);
	s->vmpl = vmpl ? (int)level : TSM_PRIVLEVEL_DEFAULT;
	r = choose(attest_option(o, "path", NULL), &dir, &s->fd, err);
	if (r < 0)
		return err_pass(r);
	if (dir) {
		s->dir = strdup(dir);
		if (!s->dir)
			return err_new(-ENOMEM);
	}
	*out_state = TAKE(s);
	return 0;
}

static int ask(const struct snp *s, const uint8_t report_data[REPORT_DATA_SIZE],
	       struct tsm_answer *a, struct attest_error *err)
{
	const struct tsm_request q = { .dir = s->dir,
				       .provider = PROVIDER,
				       .privlevel = s->vmpl,
				       .wants_aux = true,
				       .report_data = report_data };

	if (s->dir)
		return err_pass(tsm_report(&q, a, err));
	return err_pass(sev_guest_report(s->fd,
					 s->vmpl == TSM_PRIVLEVEL_DEFAULT ? 0 : (unsigned)s->vmpl,
					 report_data, a, err));
}

static int snp_evidence(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			struct wspan *body, struct attest_error *err)
{
	CLEANUP(tsm_answer_deinit) struct tsm_answer a = { 0 };
	struct snp_report report;
	struct snp *s = state;
	const char *device = s->dir ? "configfs-tsm" : SEV_GUEST_DEVICE;
	int r;

	r = ask(s, report_data, &a, err);
	if (r < 0)
		return err_pass(r);
	if (!snp_report_parse(SPAN(a.out, a.n_out), &report))
		return attest_fail(err, -EBADMSG, "%s: the answer (%zu bytes) is no SNP report",
				   device, a.n_out);
	r = attest_check_report_data(device, report.report_data, report_data, err);
	if (r < 0)
		return err_pass(r);
	wspan_put(body, report.raw.p, report.raw.n);
	free(s->table);
	s->table = TAKE(a.aux);
	s->n_table = a.n_aux;
	return 0;
}

/* What is not a table is no endorsement; the report beside it is good all the same. */
static int snp_endorsements(void *state, struct wspan *out)
{
	const struct snp *s = state;
	struct snp_table t = { 0 };
	const struct span *certs[] = { &t.vcek, &t.vlek, &t.ask, &t.ark };
	uint64_t n = 0;

	if (s->n_table == 0 || !snp_table_parse(SPAN(s->table, s->n_table), &t))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(certs); i++)
		n += certs[i]->n > 0;
	if (n == 0)
		return 0;
	cbor_put_head(out, CBOR_ARRAY, n);
	for (size_t i = 0; i < ARRAY_LEN(certs); i++)
		if (certs[i]->n > 0)
			cbor_put_bytes(out, *certs[i]);
	return 0;
}

static int snp_probe(struct attest_error *why)
{
	CLEANUP(fd_closep) int fd = -1;
	const char *dir;
	int r;

	r = choose(NULL, &dir, &fd, why);
	if (r == 0 && dir)
		attest_note(why, "%s with provider %s", dir, PROVIDER);
	else if (r == 0)
		attest_note(why, "%s", SEV_GUEST_DEVICE);
	return err_pass(r);
}

static const char *const keys[] = { "path", "vmpl", NULL };

const struct attester_backend attester_snp = {
	.name = "snp",
	.tag = EVIDENCE_TAG_SNP,
	.keys = keys,
	.open = snp_open,
	.close = snp_close,
	.evidence = snp_evidence,
	.endorsements = snp_endorsements,
	.probe = snp_probe,
};
