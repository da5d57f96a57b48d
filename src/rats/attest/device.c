/* Devices and their answers; see device.h. An answer that is not about our report data would be
 * refused by every peer: better that the one who can do something about it hears of it. */
#include "rats/attest/device.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "base/err.h"
#include "rats/dcap/quote.h"

enum { SGX_REPORT_DATA_AT = 320, TD_REPORT_DATA_AT = 520 };

int attest_device_open(const char *path, int flags, const char *hint, int *out_fd,
		       struct attest_error *err)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0) {
		*out_fd = fd;
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR || errno == ENXIO || errno == ENODEV)
		return attest_fail(err, -ENODEV, "%s is not here: %s", path, hint);
	if (errno == EACCES || errno == EPERM)
		return attest_fail(err, -EACCES, "%s: this user may not open it", path);
	return attest_fail(err, -errno, "%s: %s", path, err_text(-errno));
}

int attest_check_report_data(const char *device, struct span found,
			     const uint8_t report_data[REPORT_DATA_SIZE], struct attest_error *err)
{
	if (span_equal(found, SPAN(report_data, REPORT_DATA_SIZE)))
		return 0;
	return attest_fail(err, -EBADMSG, "%s: device answered with other report data", device);
}

int attest_put_quote(const char *device, uint32_t tee_type, struct span raw,
		     const uint8_t report_data[REPORT_DATA_SIZE], struct wspan *body,
		     struct attest_error *err)
{
	size_t at = tee_type == TEE_TDX ? TD_REPORT_DATA_AT : SGX_REPORT_DATA_AT;
	struct quote q;
	const char *wrong = quote_parse(raw, &q);
	int r;

	if (!wrong && q.tee_type != tee_type)
		wrong = "it is of another kind of TEE";
	if (wrong)
		return attest_fail(err, -EBADMSG, "%s: the answer (%zu bytes) is no quote: %s",
				   device, raw.n, wrong);
	r = attest_check_report_data(device, quote_field(q.body, at, REPORT_DATA_SIZE), report_data,
				     err);
	if (r < 0)
		return err_pass(r);
	wspan_put(body, raw.p, raw.n - q.n_trailing);
	return 0;
}

void attest_pause_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}
