/*
 * Privileges inside an enclave: the LibOS has one user, no capabilities and no seccomp, so there is
 * nothing to give up, and prctl(PR_SET_NO_NEW_PRIVS) is EINVAL there. What confines the enclave's
 * process on its host is for the host to say (docs/occlum.md).
 */
#include "io/sandbox.h"

#include <sys/resource.h>

int sandbox_enter(enum sandbox_keep keep)
{
	(void)keep;
	return 0;
}

int sandbox_filter(enum sandbox_calls which)
{
	(void)which;
	return 0;
}

void sandbox_raise_file_limit(void)
{
	struct rlimit limit;

	/* Occlum says 1024 and checks it for dup(), poll() and select() only; the host's limit, of
	 * the process around the enclave, is the real one. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
