/*
 * The watcher: a child that traces its parent, which becomes the program and keeps its process id.
 *
 * It stops the program where a thread begins or ends, and where a call is to be counted; between
 * that the program runs on its own. If the watcher is killed, so is the program.
 *
 * One thread more than Occlum has control structures for ends the whole enclave there ("Out of
 * TCS", pal/src/ocalls/spawn.c), so it ends the program here.
 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct watch {
	const struct jail *j;
	pid_t pid;
	unsigned n_threads;
	uint64_t *calls; /* by number, in the file that others read meanwhile; or NULL */
};

static int map_counts(struct watch *w)
{
	const size_t size = JAIL_CALLS_MAX * sizeof(*w->calls);
	int fd = open(w->j->count, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	w->calls = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return w->calls == MAP_FAILED ? -errno : 0;
}

static void on_thread(struct watch *w)
{
	w->n_threads++;
	if (w->j->threads == 0 || w->n_threads <= w->j->threads)
		return;
	fprintf(stderr, "jail: Out of TCS: more than %u threads\n", w->j->threads);
	kill(w->pid, SIGKILL);
}

static void on_exit_stop(pid_t tid)
{
	unsigned long status = 0;
	struct user_regs_struct regs;
	char *name;

	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &status) < 0 || WTERMSIG((int)status) != SIGSYS ||
	    ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0)
		return;
	name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)regs.orig_rax);
	fprintf(stderr, "jail: not in Occlum: %s(0x%llx, 0x%llx, 0x%llx, 0x%llx, 0x%llx)\n",
		name ? name : "?", regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8);
	free(name);
}

static void on_call(struct watch *w, pid_t tid)
{
	unsigned long nr = 0;

	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &nr) == 0 && w->calls && nr < JAIL_CALLS_MAX)
		w->calls[nr]++;
}

/* What a stop of a thread means; the request to go on with, and its signal. */
static int on_stop(struct watch *w, pid_t tid, int status, int *out_signal)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	*out_signal = 0;
	if (event == PTRACE_EVENT_CLONE)
		on_thread(w);
	else if (event == PTRACE_EVENT_EXIT)
		on_exit_stop(tid);
	else if (event == PTRACE_EVENT_SECCOMP)
		on_call(w, tid);
	else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
		return PTRACE_LISTEN; /* stopped as a group: until SIGCONT */
	else if (event == 0)
		*out_signal = sig;
	return PTRACE_CONT;
}

static void watch(struct watch *w)
{
	int status, sig, request;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			request = on_stop(w, tid, status, &sig);
			(void)ptrace(request, tid, 0, sig);
		} else {
			w->n_threads--;
		}
	}
}

static void run_watcher(struct watch *w, int ready)
{
	const unsigned long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT |
				      (w->calls ? PTRACE_O_TRACESECCOMP : 0);
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	char go;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN); /* meant for the program; with it we end too */
	/* A byte says that we may: only then are we allowed to where ptrace is restricted. */
	if (read(ready, &go, 1) != 1 || ptrace(PTRACE_SEIZE, w->pid, 0, options) < 0)
		_exit(1);
	w->n_threads = 1;
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	watch(w);
	_exit(0);
}

int watch_start(const struct jail *j)
{
	struct watch w = { .j = j, .pid = getpid() };
	pid_t child;
	int ends[2], r;
	char go = 0;

	if (j->count) {
		r = map_counts(&w);
		if (r < 0)
			return r;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		close(ends[0]);
		run_watcher(&w, ends[1]);
	}
	close(ends[1]);
	(void)prctl(PR_SET_PTRACER, child, 0, 0, 0); /* EINVAL where it is not restricted */
	r = write(ends[0], &go, 1) == 1 && read(ends[0], &go, 1) == 1 ? 0 : -EPERM;
	close(ends[0]);
	return r;
}
