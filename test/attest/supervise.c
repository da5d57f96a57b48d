/*
 * PROGRAM [OPTION ...] -- COMMAND [ARGUMENT ...]: runs the command so that it, and every process
 * that comes from it, finds a device in /dev which this machine does not have.
 *
 * The command runs under a seccomp filter that asks us about every open() and about the
 * device's ioctls (seccomp_unotify(2)). An open() of the device gets a descriptor put into the
 * caller's table; its ioctls are answered by the device linked in here (standin_device), through
 * the caller's memory. All else goes on as if nothing had been asked. So the command is the one
 * that ships, with real paths, numbers and structures. What it cannot see: stat() finds no device,
 * and the descriptor is that of an empty file.
 *
 * We end with the command's status. It dies when we are killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "standin.h"

enum { WAITING_MAX = 64, PATH_MOST = 64 };

static struct {
	struct standin options;
	int notify;	/* what asks us */
	int signals;	/* of ours */
	int device;	/* the empty file that stands for it */
	struct stat id; /* of that file */
	pid_t child;
	bool was_slow;
	struct waiting { /* requests that take their time */
		struct seccomp_notif req;
		uint64_t due_ms;
	} waiting[WAITING_MAX];
	size_t n_waiting;
} sup;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void send_fd(int to, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(to, &m, 0) != 1)
		die("sendmsg");
}

static int receive_fd(int from)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int fd;

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m)) {
		fputs("stand-in: no filter: is seccomp_unotify(2) allowed here?\n", stderr);
		exit(EXIT_FAILURE);
	}
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return fd;
}

/* The child: puts itself under the filter and becomes the command. */
static void become(char **argv, int to)
{
	const uint64_t type = (uint64_t)standin_device.type << _IOC_TYPESHIFT;
	const uint64_t mask = (uint64_t)_IOC_TYPEMASK << _IOC_TYPESHIFT;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!f || seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(open), 0) != 0 ||
	    seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(openat), 0) != 0 ||
	    seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
			     SCMP_A1(SCMP_CMP_MASKED_EQ, mask, type)) != 0) {
		fputs("stand-in: cannot make the filter\n", stderr);
		_exit(EXIT_FAILURE);
	}
	r = seccomp_load(f);
	if (r != 0) {
		fprintf(stderr, "stand-in: seccomp: %s\n", strerror(-r));
		_exit(EXIT_FAILURE);
	}
	send_fd(to, seccomp_notify_fd(f));
	close(seccomp_notify_fd(f));
	close(to);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void answer(uint64_t id, int error, uint32_t flags)
{
	struct seccomp_notif_resp resp = { .id = id, .error = error, .flags = flags };

	/* ENOENT: the caller was interrupted or has gone. */
	if (ioctl(sup.notify, SECCOMP_IOCTL_NOTIF_SEND, &resp) != 0 && errno != ENOENT)
		die("SECCOMP_IOCTL_NOTIF_SEND");
}

static bool is_device_path(const struct seccomp_notif *req, uint64_t addr)
{
	const size_t n = strlen(standin_device.path) + 1;
	char path[PATH_MOST];

	return n <= sizeof(path) && standin_read((pid_t)req->pid, addr, path, n) &&
	       memcmp(path, standin_device.path, n) == 0;
}

static void on_open(const struct seccomp_notif *req, uint64_t path, uint64_t flags)
{
	struct seccomp_notif_addfd add = { .id = req->id,
					   .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .srcfd = (uint32_t)sup.device,
					   .newfd_flags = (uint32_t)flags & O_CLOEXEC };

	if (!is_device_path(req, path)) {
		answer(req->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		return;
	}
	standin_log(&sup.options, "open");
	if (sup.options.absent || sup.options.denied)
		answer(req->id, sup.options.absent ? -ENOENT : -EACCES, 0);
	else if (ioctl(sup.notify, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 && errno != ENOENT)
		answer(req->id, -errno, 0);
}

/* Whether a descriptor of the caller is one that we gave, however it got it. */
static bool is_ours(const struct seccomp_notif *req)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/fd/%d", req->pid, (int)req->data.args[0]);
	return stat(path, &st) == 0 && st.st_dev == sup.id.st_dev && st.st_ino == sup.id.st_ino;
}

static void run_ioctl(const struct seccomp_notif *req)
{
	uint64_t id = req->id;
	int r;

	/* Still there? Its number could belong to somebody else by now. */
	if (ioctl(sup.notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) != 0)
		return;
	r = standin_device.ioctl(&sup.options, (pid_t)req->pid, (uint32_t)req->data.args[1],
				 req->data.args[2]);
	standin_log(&sup.options, "ioctl %#x %d", (uint32_t)req->data.args[1], r);
	answer(id, r, 0);
}

static void on_ioctl(const struct seccomp_notif *req)
{
	if (!is_ours(req)) {
		answer(req->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		return;
	}
	if (sup.options.slow_s > 0 && !sup.was_slow && sup.n_waiting < WAITING_MAX) {
		sup.was_slow = true;
		sup.waiting[sup.n_waiting++] =
			(struct waiting){ .req = *req,
					  .due_ms = clock_now_ms() + 1000UL * sup.options.slow_s };
		return;
	}
	run_ioctl(req);
}

static void on_notify(void)
{
	struct seccomp_notif req = { 0 };

	if (ioctl(sup.notify, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0) {
		if (errno != ENOENT && errno != EINTR)
			die("SECCOMP_IOCTL_NOTIF_RECV");
		return;
	}
	if (req.data.nr == SYS_ioctl)
		on_ioctl(&req);
	else if (req.data.nr == SYS_openat)
		on_open(&req, req.data.args[1], req.data.args[2]);
	else
		on_open(&req, req.data.args[0], req.data.args[1]);
}

static void on_signal(void)
{
	struct signalfd_siginfo si;
	int status;

	if (read(sup.signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo != SIGCHLD) {
		kill(sup.child, (int)si.ssi_signo);
		return;
	}
	if (waitpid(sup.child, &status, WNOHANG) != sup.child)
		return;
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Answers what is due; returns how long to wait for the next, -1 for ever. */
static int run_waiting(void)
{
	uint64_t now = clock_now_ms();
	int wait_ms = -1;

	for (size_t i = 0; i < sup.n_waiting;) {
		struct waiting w = sup.waiting[i];

		if (w.due_ms > now) {
			int ms = (int)(w.due_ms - now);

			wait_ms = wait_ms < 0 || ms < wait_ms ? ms : wait_ms;
			i++;
			continue;
		}
		sup.waiting[i] = sup.waiting[--sup.n_waiting];
		run_ioctl(&w.req);
	}
	return wait_ms;
}

static void make_device(void)
{
	char path[64];
	int fd = memfd_create("stand-in", MFD_CLOEXEC);

	if (fd < 0 || fstat(fd, &sup.id) != 0)
		die("memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	sup.device = open(path, O_RDONLY | O_CLOEXEC);
	if (sup.device < 0)
		die(path);
}

static void start(char **argv)
{
	static const int ours[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	int pair[2];
	sigset_t set, old;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
	    sigprocmask(SIG_BLOCK, &set, &old) != 0)
		die("start");
	sup.signals = signalfd(-1, &set, SFD_CLOEXEC);
	sup.child = fork();
	if (sup.signals < 0 || sup.child < 0)
		die("fork");
	if (sup.child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		become(argv, pair[1]);
	}
	close(pair[1]);
	sup.notify = receive_fd(pair[0]);
	close(pair[0]);
}

int main(int argc, char **argv)
{
	int first = standin_options(argc, argv, &sup.options);

	if (first >= argc) {
		fprintf(stderr, "usage: %s [--OPTION[=VALUE] ...] -- COMMAND [ARGUMENT ...]\n",
			argv[0]);
		return 2;
	}
	make_device();
	start(argv + first);
	for (;;) {
		struct pollfd fds[] = { { .fd = sup.notify, .events = POLLIN },
					{ .fd = sup.signals, .events = POLLIN } };

		if (poll(fds, 2, run_waiting()) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents & POLLIN)
			on_notify();
		if (fds[0].revents & POLLHUP)
			sup.notify = -1; /* nobody is left; SIGCHLD is on its way */
		if (fds[1].revents & POLLIN)
			on_signal();
	}
}
