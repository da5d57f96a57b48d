/*
 * Tries to break the jail's rules, one at a time:
 *
 *   probe list          names: what must be refused and Occlum's errno for it, or what must be
 * allowed probe NAME          does it and prints "NAME ERRNO", 0 for success
 *
 * Calls are made by number: libc could take another way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { ALLOWED = 0, THREADS = -1, MEMORY = -2 };

struct probe {
	const char *name;
	int answer; /* an errno, or one of the above */
	long (*run)(void);
};

static char buf[4096];
static int word;

/* Two ends of a stream, for calls that want a socket. */
static int stream(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ? -1 : ends[0];
}

#define PROBE(fn, expression)                                                                      \
	static long fn(void)                                                                       \
	{                                                                                          \
		return (expression);                                                               \
	}

PROBE(try_fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
PROBE(try_fork_call, syscall(SYS_fork))
PROBE(try_new_user, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))
PROBE(try_recvmmsg, syscall(SYS_recvmmsg, stream(), NULL, 0, MSG_DONTWAIT, NULL))
PROBE(try_signalfd, syscall(SYS_signalfd4, -1, buf, 8, 0))
PROBE(try_splice, syscall(SYS_splice, 0, NULL, 1, NULL, 0, 0))
PROBE(try_memfd, syscall(SYS_memfd_create, "x", 0))
PROBE(try_getrusage, syscall(SYS_getrusage, 0, buf))
PROBE(try_setitimer, syscall(SYS_setitimer, 0, NULL, NULL))
PROBE(try_setuid, syscall(SYS_setuid, 0))
PROBE(try_setsid, syscall(SYS_setsid))
PROBE(try_mlock, syscall(SYS_mlock, buf, 1))
PROBE(try_capset, syscall(SYS_capset, NULL, NULL))
PROBE(try_seccomp, syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, buf))
PROBE(try_ptrace, syscall(SYS_ptrace, 0, 0, 0, 0))
PROBE(try_inotify, syscall(SYS_inotify_init1, 0))
PROBE(try_statx, syscall(SYS_statx, AT_FDCWD, "/", 0, 0, buf))
PROBE(try_io_uring, syscall(SYS_io_uring_setup, 1, buf))
PROBE(try_close_range, syscall(SYS_close_range, 900u, 901u, 0))
PROBE(try_pidfd, syscall(SYS_pidfd_open, getpid(), 0))
PROBE(try_epoll_pwait2, syscall(SYS_epoll_pwait2, 0, buf, 1, NULL, NULL, 0))
PROBE(try_datagram, syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0))
PROBE(try_datagram_pair, syscall(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, buf))
PROBE(try_pair_family, syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, buf))
PROBE(try_family, syscall(SYS_socket, 45, SOCK_STREAM, 0))
PROBE(try_accept_flags, syscall(SYS_accept4, stream(), NULL, NULL, 1))
PROBE(try_accept_half, syscall(SYS_accept4, stream(), buf, NULL, 0))
PROBE(try_recv_nosignal,
      syscall(SYS_recvfrom, stream(), buf, 1, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, NULL))
PROBE(try_recv_half, syscall(SYS_recvfrom, stream(), buf, 1, MSG_DONTWAIT, buf, NULL))
PROBE(try_send_half, syscall(SYS_sendto, stream(), buf, 1, 0, NULL, 16))
PROBE(try_recvmsg_cloexec, syscall(SYS_recvmsg, stream(), buf, MSG_CMSG_CLOEXEC | MSG_DONTWAIT))
PROBE(try_setsockopt_69, syscall(SYS_setsockopt, stream(), SOL_SOCKET, 69, &word, 4))
PROBE(try_setsockopt_error, syscall(SYS_setsockopt, stream(), SOL_SOCKET, SO_ERROR, &word, 4))
PROBE(try_getsockopt_69, syscall(SYS_getsockopt, stream(), SOL_SOCKET, 69, &word, buf))
PROBE(try_futex_pi, syscall(SYS_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0))
PROBE(try_futex_wake_op, syscall(SYS_futex, &word, FUTEX_WAKE_OP, 0, 0, &word, 0))
PROBE(try_pdeathsig, syscall(SYS_prctl, PR_SET_PDEATHSIG, 0))
PROBE(try_no_new_privs, syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
PROBE(try_pipe_size, syscall(SYS_fcntl, 0, F_SETPIPE_SZ, 4096))
PROBE(try_dontdump, syscall(SYS_madvise, (uintptr_t)buf & ~4095ul, 4096, MADV_DONTDUMP))
PROBE(try_mremap_flags, syscall(SYS_mremap, buf, 0, 4096, 4))
PROBE(try_getrandom_flags, syscall(SYS_getrandom, buf, 1, 4))
PROBE(try_eventfd_flags, syscall(SYS_eventfd2, 0, 2))
PROBE(try_timerfd_boot, syscall(SYS_timerfd_create, 7, 0))
PROBE(try_ioctl_sgx, syscall(SYS_ioctl, 0, _IOR('s', 12, int), &word))
PROBE(try_ioctl_tun, syscall(SYS_ioctl, 0, _IOW('T', 202, int), &word))
PROBE(try_epoll_flags, syscall(SYS_epoll_create1, 1))
PROBE(try_epoll_65, syscall(SYS_epoll_wait, epoll_create1(0), buf, 65, 0))
PROBE(try_epoll_mask, syscall(SYS_epoll_pwait, epoll_create1(0), buf, 1, 0, buf, 8))
PROBE(try_ppoll_mask, syscall(SYS_ppoll, NULL, 0, buf, buf, 8))
PROBE(try_unknown, syscall(600))

PROBE(can_peek, recv(stream(), buf, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN ? 0 : -1)
PROBE(can_inet, socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0))
PROBE(can_epoll_64, syscall(SYS_epoll_wait, epoll_create1(EPOLL_CLOEXEC), buf, 64, 0))
PROBE(can_epoll_pwait, syscall(SYS_epoll_pwait, epoll_create1(0), buf, 64, 0, NULL, 8))
PROBE(can_dontneed,
      madvise(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096, MADV_DONTNEED))
PROBE(can_getrandom, syscall(SYS_getrandom, buf, 16, 0))
PROBE(can_name, prctl(PR_SET_NAME, "probe"))
PROBE(can_keepalive, setsockopt(stream(), SOL_SOCKET, SO_KEEPALIVE, &word, sizeof(word)))
PROBE(can_eventfd, syscall(SYS_eventfd2, 0, 0x80800))
PROBE(can_dup, fcntl(0, F_DUPFD_CLOEXEC, 10))

static void *sleeper(void *arg)
{
	while (poll(arg, 0, 1000) >= 0)
		continue;
	return arg;
}

/* As many threads as asked for, all at once; an error number of pthread_create() else. */
static long threads(int n)
{
	pthread_t t;

	for (int i = 0; i < n; i++) {
		errno = pthread_create(&t, NULL, sleeper, NULL);
		if (errno)
			return -1;
	}
	return 0;
}

static long memory(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

PROBE(can_threads, threads(4))
PROBE(try_threads, threads(64))
PROBE(can_memory, memory(256ul << 20))
PROBE(try_memory, memory(600ul << 20))

static const struct probe probes[] = {
	{ "fork", EINVAL, try_fork },
	{ "fork-call", ENOSYS, try_fork_call },
	{ "new-user", EINVAL, try_new_user },
	{ "recvmmsg", ENOSYS, try_recvmmsg },
	{ "signalfd", ENOSYS, try_signalfd },
	{ "splice", ENOSYS, try_splice },
	{ "memfd", ENOSYS, try_memfd },
	{ "getrusage", ENOSYS, try_getrusage },
	{ "setitimer", ENOSYS, try_setitimer },
	{ "setuid", ENOSYS, try_setuid },
	{ "setsid", ENOSYS, try_setsid },
	{ "mlock", ENOSYS, try_mlock },
	{ "capset", ENOSYS, try_capset },
	{ "seccomp", ENOSYS, try_seccomp },
	{ "ptrace", ENOSYS, try_ptrace },
	{ "inotify", ENOSYS, try_inotify },
	{ "statx", ENOSYS, try_statx },
	{ "io-uring", EINVAL, try_io_uring },
	{ "close-range", EINVAL, try_close_range },
	{ "pidfd", EINVAL, try_pidfd },
	{ "epoll-pwait2", EINVAL, try_epoll_pwait2 },
	{ "datagram", EINVAL, try_datagram },
	{ "datagram-pair", EINVAL, try_datagram_pair },
	{ "pair-family", EINVAL, try_pair_family },
	{ "family", EINVAL, try_family },
	{ "accept-flags", EINVAL, try_accept_flags },
	{ "accept-half", EINVAL, try_accept_half },
	{ "recv-nosignal", EINVAL, try_recv_nosignal },
	{ "recv-half", EINVAL, try_recv_half },
	{ "send-half", EINVAL, try_send_half },
	{ "recvmsg-cloexec", EINVAL, try_recvmsg_cloexec },
	{ "setsockopt-69", EINVAL, try_setsockopt_69 },
	{ "setsockopt-error", EINVAL, try_setsockopt_error },
	{ "getsockopt-69", EINVAL, try_getsockopt_69 },
	{ "futex-pi", ENOSYS, try_futex_pi },
	{ "futex-wake-op", ENOSYS, try_futex_wake_op },
	{ "pdeathsig", EINVAL, try_pdeathsig },
	{ "no-new-privs", EINVAL, try_no_new_privs },
	{ "pipe-size", EINVAL, try_pipe_size },
	{ "dontdump", ENOSYS, try_dontdump },
	{ "mremap-flags", EINVAL, try_mremap_flags },
	{ "getrandom-flags", EINVAL, try_getrandom_flags },
	{ "eventfd-flags", EINVAL, try_eventfd_flags },
	{ "timerfd-boot", EINVAL, try_timerfd_boot },
	{ "ioctl-sgx-unknown", EINVAL, try_ioctl_sgx },
	{ "ioctl-tun", EINVAL, try_ioctl_tun },
	{ "epoll-flags", EINVAL, try_epoll_flags },
	{ "epoll-65", EINVAL, try_epoll_65 },
	{ "epoll-mask", EINVAL, try_epoll_mask },
	{ "ppoll-mask", EINVAL, try_ppoll_mask },
	{ "unknown", EINVAL, try_unknown },
	{ "can-peek", ALLOWED, can_peek },
	{ "can-inet", ALLOWED, can_inet },
	{ "can-epoll-64", ALLOWED, can_epoll_64 },
	{ "can-epoll-pwait", ALLOWED, can_epoll_pwait },
	{ "can-dontneed", ALLOWED, can_dontneed },
	{ "can-getrandom", ALLOWED, can_getrandom },
	{ "can-name", ALLOWED, can_name },
	{ "can-keepalive", ALLOWED, can_keepalive },
	{ "can-eventfd", ALLOWED, can_eventfd },
	{ "can-dup", ALLOWED, can_dup },
	{ "can-threads", ALLOWED, can_threads },
	{ "threads", THREADS, try_threads },
	{ "can-memory", ALLOWED, can_memory },
	{ "memory", MEMORY, try_memory },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < COUNT(probes); i++) {
		const struct probe *p = &probes[i];

		if (argc == 2 && strcmp(argv[1], "list") == 0) {
			printf("%s %d\n", p->name, p->answer);
		} else if (argc == 2 && strcmp(argv[1], p->name) == 0) {
			errno = 0;
			printf("%s %d\n", p->name, p->run() < 0 ? errno : 0);
			fflush(stdout);
			_exit(0); /* without waiting for threads, and the process of a fork too */
		}
	}
	return argc != 2;
}
