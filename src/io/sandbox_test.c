/* Calls that a worker has no use for end it, and the daemon with it sees how: SIGSYS. */
#include "io/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"

#define CALL(name, ...)                                                                            \
	{                                                                                          \
#name, SYS_##name,                                                                 \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

struct call {
	const char *name;
	long number;
	long args[6];
};

/* Beyond the rights of any worker. */
static const struct call never[] = {
	CALL(execve, 0),
	CALL(execveat, 0),
	CALL(fork, 0),
	CALL(vfork, 0),
	CALL(clone, SIGCHLD),
	CALL(clone3, 0),
	CALL(ptrace, PTRACE_TRACEME),
	CALL(kill, 1, 0),
	CALL(tkill, 1, 0),
	CALL(process_vm_readv, 1),
	CALL(process_vm_writev, 1),
	CALL(mount, 0),
	CALL(umount2, 0),
	CALL(fsopen, 0),
	CALL(move_mount, -1),
	CALL(pivot_root, 0),
	CALL(chroot, 0),
	CALL(unshare, CLONE_NEWUSER),
	CALL(setns, -1),
	CALL(setuid, 0),
	CALL(setgid, 0),
	CALL(setresuid, 0),
	CALL(capset, 0),
	CALL(prctl, PR_SET_DUMPABLE, 1),
	CALL(seccomp, 0),
	CALL(bpf, 0),
	CALL(perf_event_open, 0),
	CALL(userfaultfd, 0),
	CALL(io_uring_setup, 1, 0),
	CALL(keyctl, 0),
	CALL(add_key, 0),
	CALL(init_module, 0),
	CALL(finit_module, -1),
	CALL(kexec_load, 0),
	CALL(reboot, 0),
	CALL(memfd_create, 0),
	CALL(mknod, 0),
	CALL(mknodat, -1),
	CALL(symlink, 0),
	CALL(link, 0),
	CALL(rename, 0),
	CALL(chmod, 0),
	CALL(chown, 0),
	CALL(bind, -1),
	CALL(listen, -1),
	CALL(accept, -1),
	CALL(accept4, -1),
	CALL(settimeofday, 0),
	CALL(clock_settime, 0),
};

/* Beyond those of one that computes. */
static const struct call not_to_compute[] = {
	CALL(open, 0),	   CALL(openat, AT_FDCWD, 0), CALL(socket, AF_INET, SOCK_STREAM),
	CALL(connect, -1), CALL(ioctl, -1),	      CALL(sendmsg, -1),
	CALL(recvmsg, -1), CALL(unlinkat, -1),	      CALL(mkdir, 0),
	CALL(readlink, 0), CALL(getdents64, -1),      CALL(dup, -1),
	CALL(poll, 0),	   CALL(pwrite64, -1),
};

enum { WENT_ON = 7, NO_FILTER = 8 };

/* How a child ends that makes this call behind the filter. */
static int fate(enum sandbox_calls which, const struct call *c)
{
	const long *a = c->args;
	int status = 0;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_filter(which) < 0)
			_exit(NO_FILTER);
		syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
		_exit(WENT_ON);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect(enum sandbox_calls which, const struct call *c, bool allowed)
{
	const int status = fate(which, c);
	const bool went_on = WIFEXITED(status) && WEXITSTATUS(status) == WENT_ON;
	const bool ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;

	if (allowed ? !went_on : !ended)
		fail_msg("%s, list %d: status %#x", c->name, which, status);
}

static void no_worker_may(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		expect(SANDBOX_CALLS_COMPUTE, &never[i], false);
		expect(SANDBOX_CALLS_DEVICES, &never[i], false);
	}
}

static void only_one_with_devices_may(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not_to_compute); i++) {
		expect(SANDBOX_CALLS_COMPUTE, &not_to_compute[i], false);
		expect(SANDBOX_CALLS_DEVICES, &not_to_compute[i], true);
	}
}

/* Calls by another convention have other numbers: the filter must not read them as ours. */
static void no_way_round(void **state)
{
#ifdef __x86_64__
	static const struct call x32 = { "x32 getpid", SYS_getpid | 0x40000000, { 0 } };

	(void)state;
	expect(SANDBOX_CALLS_COMPUTE, &x32, false);
	expect(SANDBOX_CALLS_DEVICES, &x32, false);
#else
	(void)state;
#endif
}

/* What computing takes: memory, time, random numbers, the socket, and an orderly end. */
static void computing_goes_on(void **state)
{
	int pair[2], status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const time_t now = time(NULL);
		struct tm tm;
		uint8_t byte;
		char *big, text[32];

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    sandbox_filter(SANDBOX_CALLS_COMPUTE) < 0)
			_exit(NO_FILTER);
		big = malloc(64 << 20);
		if (!big || !gmtime_r(&now, &tm) ||
		    strftime(text, sizeof(text), "%FT%TZ", &tm) == 0 || !localtime_r(&now, &tm) ||
		    mktime(&tm) < 0)
			_exit(1);
		big[(64 << 20) - 1] = 1;
		big = realloc(big, 128 << 20);
		free(big);
		alarm(1000);
		if (recv(pair[1], &byte, 1, 0) != 1 || send(pair[1], &byte, 1, MSG_NOSIGNAL) != 1)
			_exit(2);
		_exit(WENT_ON);
	}
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WENT_ON);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_worker_may),
		cmocka_unit_test(only_one_with_devices_may),
		cmocka_unit_test(no_way_round),
		cmocka_unit_test(computing_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
