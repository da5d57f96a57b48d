/*
 * Workers as processes; see worker.h.
 *
 * The socket keeps messages apart (SOCK_SEQPACKET): a worker has read a request whole or not at
 * all. Of a stream, one that was killed in the middle would leave the rest of a request, evidence
 * that some peer has chosen, for its successor to take for the next one.
 */
#include "io/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum {
	CHANNEL_FD = 3,	 /* where a child has its end of the socket, and nothing beyond */
	RESTART_MS = 20, /* between two workers: a crash at start must not become a busy loop */
	CHILD_FAILED = 1,
};

/*
 * What a child must not share with the daemon: signal handlers, which would write into the daemon's
 * event loop, and descriptors, above all other peers' sockets. Signals that operators send to every
 * process of the daemon's name are not for it.
 */
static void become_child(const char *name, int *fd)
{
	static const int ignored[] = { SIGINT, SIGHUP, SIGUSR1, SIGPIPE };
	static const int defaults[] = { SIGTERM, SIGALRM, SIGCHLD };
	sigset_t none;

	sigemptyset(&none);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		signal(defaults[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (*fd != CHANNEL_FD && dup2(*fd, CHANNEL_FD) < 0)
		_exit(CHILD_FAILED);
	*fd = CHANNEL_FD;
	if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
		_exit(CHILD_FAILED);
}

/* After a change of the user, which takes this back, and before the filter, which has no room for
 * it. */
static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent) /* it has died before that took effect */
		_exit(CHILD_FAILED);
}

static void run_worker(const struct worker_ops *ops, void *ctx, pid_t keeper, int fd)
{
	become_child(ops->name, &fd);
	if (!ops->leave)
		die_with(keeper);
	if (ops->enter(ctx) < 0)
		_exit(CHILD_FAILED);
	worker_serve_all(ops, ctx, fd);
	if (ops->leave) {
		worker_limit(ops->limit_s);
		ops->leave(ctx);
	}
	_exit(EXIT_SUCCESS);
}

/* The daemon hears at once that what it waits for will not come. */
static bool tell_died(int fd)
{
	static const uint32_t head[2] = { 0, WORKER_JOB_DIED };

	return send(fd, head, sizeof(head), MSG_NOSIGNAL) == (ssize_t)sizeof(head);
}

static void run_keeper(const struct worker_ops *ops, void *ctx, pid_t daemon, int fd)
{
	static const struct timespec pause = { .tv_nsec = RESTART_MS * 1000000L };
	const pid_t self = getpid();
	int status;
	pid_t pid;

	become_child(ops->name, &fd);
	if (ops->enter_keeper(ctx) < 0)
		_exit(CHILD_FAILED);
	if (!ops->leave)
		die_with(daemon);
	for (;;) {
		pid = fork();
		if (pid == 0)
			run_worker(ops, ctx, self, fd);
		if (pid < 0)
			_exit(CHILD_FAILED);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
			_exit(EXIT_SUCCESS); /* the daemon has closed its end */
		if (!tell_died(fd))
			_exit(EXIT_SUCCESS);
		nanosleep(&pause, NULL);
	}
}

int worker_spawn(const struct worker_ops *ops, void *ctx, struct worker_handle *out, int *out_fd)
{
	const pid_t self = getpid();
	sigset_t all, before;
	int fds[2], r;
	pid_t pid;

	r = worker_socketpair(SOCK_SEQPACKET, fds);
	if (r < 0)
		return err_pass(r);
	sigfillset(&all); /* until the child has taken its handlers back */
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_keeper(ops, ctx, self, fds[1]);
	r = pid < 0 ? err_new(-errno) : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	*out = (struct worker_handle){ .pid = pid, .ends_itself = ops->leave != NULL };
	*out_fd = fds[0];
	return 0;
}

void worker_end(struct worker_handle *h)
{
	int how = WNOHANG;

	if (h->pid <= 0)
		return;
	/*
	 * With it dies its worker (PR_SET_PDEATHSIG). One that has kept more rights than the daemon
	 * cannot be killed by it, and ends because the daemon has closed its end of the socket.
	 */
	if (!h->ends_itself && kill(h->pid, SIGKILL) == 0)
		how = 0;
	while (waitpid(h->pid, NULL, how) < 0 && errno == EINTR)
		;
	h->pid = 0;
}

void worker_exit(int status)
{
	exit(status);
}

void worker_limit(unsigned seconds)
{
	alarm(seconds); /* its default action ends a hung worker, and only the worker */
}
