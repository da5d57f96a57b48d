/*
 * Reports through configfs-tsm, the interface that Linux has had since 6.7 for all guests
 * (Documentation/ABI/testing/configfs-tsm-report): a directory per request, whose attributes are
 * written and read.
 */
#ifndef ENG_RATS_ATTEST_TSM_H
#define ENG_RATS_ATTEST_TSM_H

#include "rats/attest/attest.h"

#define TSM_DIR "/sys/kernel/config/tsm/report"

enum {
	TSM_OUT_MAX = 32 * 1024,    /* TSM_REPORT_OUTBLOB_MAX of the kernel */
	TSM_AUX_MAX = 32 * 1024,    /* the same bound */
	TSM_PRIVLEVEL_DEFAULT = -1, /* leave it to the kernel */
	TSM_PRIVLEVEL_MAX = 3,
};

struct tsm_request {
	const char *dir;      /* TSM_DIR, or what stands in for it */
	const char *provider; /* "tdx_guest", "sev_guest": another one is refused */
	int privlevel;
	bool wants_aux;
	const uint8_t *report_data; /* REPORT_DATA_SIZE bytes */
};

struct tsm_answer {
	uint8_t *out, *aux; /* owned; aux may be NULL: there is none */
	size_t n_out, n_aux;
};

/*
 * Whether reports of that provider can be asked for here. -ENODEV: not here, no provider, or
 * another one; or -errno. Says why.
 */
int tsm_check(const char *dir, const char *provider, struct attest_error *err);
/* One report. Tries again, for about three seconds, while the kernel is busy or others interfere.
 */
int tsm_report(const struct tsm_request *q, struct tsm_answer *out, struct attest_error *err);
void tsm_answer_deinit(struct tsm_answer *a);

#endif
