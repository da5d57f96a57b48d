/* Privileges of a daemon; see sandbox.h. */
#include "io/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

enum { NOBODY = 65534 };

int sandbox_enter(enum sandbox_keep keep)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (keep == SANDBOX_KEEP_NET_ADMIN &&
	    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) != 0)
		return err_new(-EPERM);
	/* Devices belong to others than root here and there (a TPM's to tss). */
	if (geteuid() == 0 && keep == SANDBOX_KEEP_USER &&
	    (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE) != 0 ||
	     capng_apply(CAPNG_SELECT_BOTH) != 0))
		return err_new(-EPERM);
	if (geteuid() == 0 && keep != SANDBOX_KEEP_USER &&
	    capng_change_id(NOBODY, NOBODY, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0) {
		log_debug("sandbox", "user=unchanged reason=\"user %d does not exist here\"",
			  NOBODY);
		if (capng_apply(CAPNG_SELECT_BOTH) != 0)
			return err_new(-EPERM);
	}
	/* A user may have started us with some. */
	if (geteuid() != 0 && keep != SANDBOX_KEEP_NET_ADMIN && capng_apply(CAPNG_SELECT_CAPS) != 0)
		return err_new(-EPERM);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_new(-errno);
	return 0;
}

void sandbox_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
