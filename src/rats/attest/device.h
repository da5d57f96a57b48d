/* What the attesters of hardware have in common: devices that are not there, and answers that must
 * be about the question. */
#ifndef ENG_RATS_ATTEST_DEVICE_H
#define ENG_RATS_ATTEST_DEVICE_H

#include "rats/attest/attest.h"

/*
 * Opens a device. -ENODEV: it is not here, and `hint` says what it would take; other failures as
 * open(2). Says why.
 */
int attest_device_open(const char *path, int flags, const char *hint, int *out_fd,
		       struct attest_error *err);

/* Whether an answer is about this report data; else -EBADMSG and says so. */
int attest_check_report_data(const char *device, struct span found,
			     const uint8_t report_data[REPORT_DATA_SIZE], struct attest_error *err);

/*
 * Writes what `device` gave into `body`, without padding, if it is a quote of that TEE type
 * (rats/dcap/quote.h) about this report data; else -EBADMSG and says why.
 */
int attest_put_quote(const char *device, uint32_t tee_type, struct span raw,
		     const uint8_t report_data[REPORT_DATA_SIZE], struct wspan *body,
		     struct attest_error *err);

/* For devices that are busy. */
void attest_pause_ms(long ms);

#endif
