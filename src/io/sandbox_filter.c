/*
 * System call filters of the workers; see sandbox.h. A call that is not listed ends the process:
 * the list is what was seen in use and what the C library and OpenSSL may reach for (memory, random
 * numbers, time, locks), and for the attester what talks to a device.
 */
#include "io/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

/* To compute, and to answer on a socket that is there. */
static const int compute[] = {
	SCMP_SYS(read),		 SCMP_SYS(write),
	SCMP_SYS(recvfrom),	 SCMP_SYS(sendto),
	SCMP_SYS(brk),		 SCMP_SYS(mmap),
	SCMP_SYS(munmap),	 SCMP_SYS(mremap),
	SCMP_SYS(mprotect),	 SCMP_SYS(madvise),
	SCMP_SYS(futex),	 SCMP_SYS(getrandom),
	SCMP_SYS(getpid),	 SCMP_SYS(gettid),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(time),		 SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction),	 SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(alarm),	 SCMP_SYS(sigaltstack),
	SCMP_SYS(close),	 SCMP_SYS(exit),
	SCMP_SYS(exit_group),	 SCMP_SYS(restart_syscall),
	SCMP_SYS(tgkill), /* of abort(), to end for a reason that shows */
};

/* And to talk to a device, a socket of a TPM simulator, or files of sysfs and configfs. */
static const int devices[] = {
	SCMP_SYS(openat),	 SCMP_SYS(open),
	SCMP_SYS(access),	 SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),	 SCMP_SYS(stat),
	SCMP_SYS(lstat),	 SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),	 SCMP_SYS(statx),
	SCMP_SYS(readlink),	 SCMP_SYS(lseek),
	SCMP_SYS(pread64),	 SCMP_SYS(pwrite64),
	SCMP_SYS(readv),	 SCMP_SYS(writev),
	SCMP_SYS(ioctl),	 SCMP_SYS(fcntl),
	SCMP_SYS(poll),		 SCMP_SYS(ppoll),
	SCMP_SYS(select),	 SCMP_SYS(pselect6),
	SCMP_SYS(nanosleep),	 SCMP_SYS(clock_nanosleep),
	SCMP_SYS(socket),	 SCMP_SYS(connect),
	SCMP_SYS(recvmsg),	 SCMP_SYS(sendmsg),
	SCMP_SYS(getsockopt),	 SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),	 SCMP_SYS(getpeername),
	SCMP_SYS(shutdown),	 SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),	 SCMP_SYS(rmdir),
	SCMP_SYS(unlinkat),	 SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),	 SCMP_SYS(uname),
	SCMP_SYS(getuid),	 SCMP_SYS(geteuid),
	SCMP_SYS(getgid),	 SCMP_SYS(getegid),
	SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(dup),		 SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),	 SCMP_SYS(sched_yield),
	SCMP_SYS(clock_getres),	 SCMP_SYS(rseq),
	SCMP_SYS(flock),
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

int sandbox_filter(enum sandbox_calls which)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return err_new(-ENOMEM);
	/* Conversions of time look at the zone's file each time, unless the zone is named. */
	if (setenv("TZ", "UTC0", 1) < 0) {
		seccomp_release(filter);
		return err_new(-ENOMEM);
	}
	tzset();
	r = allow(filter, compute, ARRAY_LEN(compute));
	if (r == 0 && which == SANDBOX_CALLS_DEVICES)
		r = allow(filter, devices, ARRAY_LEN(devices));
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? err_new(r) : 0;
}
