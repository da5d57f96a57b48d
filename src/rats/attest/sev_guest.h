/* SNP reports through the ioctls of /dev/sev-guest: Linux 5.19 and later, before configfs-tsm. */
#ifndef ENG_RATS_ATTEST_SEV_GUEST_H
#define ENG_RATS_ATTEST_SEV_GUEST_H

#include "rats/attest/tsm.h"

#define SEV_GUEST_DEVICE "/dev/sev-guest"

/*
 * One report, with the host's table of certificates if it gives one, as configfs-tsm would answer.
 * 0, or -errno and says why.
 */
int sev_guest_report(int fd, unsigned vmpl, const uint8_t report_data[REPORT_DATA_SIZE],
		     struct tsm_answer *out, struct attest_error *err);

#endif
