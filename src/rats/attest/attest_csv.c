/*
 * Hygon CSV from inside a guest, by /dev/csv-guest. One page goes in with the request and comes
 * back with the report: report data, a nonce, SM3 over both; behind them, for the extended report
 * (version 2), a magic and flags. Version 1 is what every firmware knows and the default.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/csv/csv_report.h"

#define DEVICE "/dev/csv-guest"

enum {
	NONCE_SIZE = 16,
	HASHED = REPORT_DATA_SIZE + NONCE_SIZE,
	HASH_SIZE = 32,
	EXT_AT = HASHED + HASH_SIZE,
	EXT_FLAG_V2 = 1,
};

/* csv-guest.h of the vendor's kernels, and csv-rs src/api/guest. */
struct csv_report_req {
	uint8_t *report; /* the page */
	uint32_t len;
};
#define CSV_GET_REPORT _IOWR('D', 1, struct csv_report_req)

struct csv {
	int fd;
	unsigned long version;
};

static void csv_close(void *state)
{
	struct csv *s = state;

	if (!s)
		return;
	fd_closep(&s->fd);
	free(s);
}

static void csv_freep(struct csv **s)
{
	csv_close(*s);
}

static int open_device(const char *path, int *out_fd, struct attest_error *err)
{
	return attest_device_open(path, O_RDONLY, "not a guest of CSV, or csv-guest is not loaded",
				  out_fd, err);
}

static int csv_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	CLEANUP(csv_freep) struct csv *s = calloc(1, sizeof(*s));
	const char *version = attest_option(o, "version", "1");
	int r;

	if (!s)
		return err_new(-ENOMEM);
	s->fd = -1;
	if (!number_parse(version, 1, 2, &s->version))
		return attest_fail(err, -EINVAL, "version is 1 or 2, not '%s'", version);
	r = open_device(attest_option(o, "path", DEVICE), &s->fd, err);
	if (r < 0)
		return err_pass(r);
	*out_state = TAKE(s);
	return 0;
}

static void put_ext_head(uint8_t p[CSV_EXT_HEAD_SIZE])
{
	static const char magic[16] = "ATTESTATION_EXT";

	memset(p, 0, CSV_EXT_HEAD_SIZE);
	memcpy(p, magic, sizeof(magic));
	p[sizeof(magic)] = EXT_FLAG_V2;
}

/* The page with the request; the nonce stands at REPORT_DATA_SIZE. */
static int fill_request(const struct csv *s, const uint8_t report_data[REPORT_DATA_SIZE],
			uint8_t page[CSV_REPORT_PAGE])
{
	memset(page, 0, CSV_REPORT_PAGE);
	memcpy(page, report_data, REPORT_DATA_SIZE);
	if (getrandom(page + REPORT_DATA_SIZE, NONCE_SIZE, 0) != NONCE_SIZE)
		return err_new(-EIO);
	if (EVP_Digest(page, HASHED, page + HASHED, NULL, EVP_sm3(), NULL) != 1)
		return err_new(-ENOMEM);
	if (s->version == 2)
		put_ext_head(page + EXT_AT);
	return 0;
}

/* The report as evidence: of version 2 with its head in front, without the rest of the page. */
static int put_report(const struct csv *s, const uint8_t page[CSV_REPORT_PAGE],
		      const uint8_t report_data[REPORT_DATA_SIZE], struct span nonce,
		      struct wspan *body, struct attest_error *err)
{
	uint8_t bytes[CSV_EXT_HEAD_SIZE + CSV_REPORT_PAGE];
	struct span all = SPAN(bytes, sizeof(bytes)), rest;
	struct csv_report report;
	int r;

	put_ext_head(bytes);
	memcpy(bytes + CSV_EXT_HEAD_SIZE, page, CSV_REPORT_PAGE);
	if (s->version == 1 && !span_skip(&all, CSV_EXT_HEAD_SIZE))
		return err_new(-EBADMSG);
	rest = all;
	if (!csv_report_take(&rest, &report))
		return attest_fail(err, -EBADMSG, "%s: the answer is no CSV report", DEVICE);
	r = attest_check_report_data(DEVICE, SPAN(report.report_data, sizeof(report.report_data)),
				     report_data, err);
	if (r < 0)
		return err_pass(r);
	if (!span_equal(SPAN(report.mnonce, sizeof(report.mnonce)), nonce))
		return attest_fail(err, -EBADMSG, "%s: device answered with another nonce", DEVICE);
	wspan_put(body, all.p, all.n - rest.n);
	return 0;
}

static int csv_evidence(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			struct wspan *body, struct attest_error *err)
{
	_Alignas(CSV_REPORT_PAGE) uint8_t page[CSV_REPORT_PAGE];
	struct csv_report_req req = { .report = page, .len = sizeof(page) };
	const struct csv *s = state;
	uint8_t nonce[NONCE_SIZE];
	int r;

	r = fill_request(s, report_data, page);
	if (r < 0)
		return err_pass(r);
	memcpy(nonce, page + REPORT_DATA_SIZE, sizeof(nonce));
	if (ioctl(s->fd, CSV_GET_REPORT, &req) != 0)
		return attest_fail(err, -errno, "%s: asking for a report: %s", DEVICE,
				   err_text(-errno));
	return err_pass(put_report(s, page, report_data, SPAN(nonce, sizeof(nonce)), body, err));
}

static int csv_probe(struct attest_error *why)
{
	CLEANUP(fd_closep) int fd = -1;
	int r = open_device(DEVICE, &fd, why);

	if (r == 0)
		attest_note(why, "%s", DEVICE);
	return err_pass(r);
}

static const char *const keys[] = { "path", "version", NULL };

const struct attester_backend attester_csv = {
	.name = "csv",
	.tag = EVIDENCE_TAG_CSV,
	.keys = keys,
	.open = csv_open,
	.close = csv_close,
	.evidence = csv_evidence,
	.probe = csv_probe,
};
