/*
 * A worker: a process apart that does what must not hold up the loop, or what should have fewer
 * rights than the daemon: it takes requests from a socket one at a time and answers each.
 *
 *   daemon ── socket ── keeper ── fork ──► worker
 *                         ▲                  │ crashed, hung, killed by its filter
 *                         └──────────────────┘ forks the next one
 *
 * The keeper is forked while the daemon still has the privileges that it starts with, and does
 * nothing but replace a worker that has died: so a worker that needs a device can be replaced after
 * the daemon has become nobody. Where there is no fork (an enclave) a thread does it all
 * (worker_thread.c); a hung one cannot be replaced there, and every request to it times out.
 */
#ifndef ENG_IO_WORKER_H
#define ENG_IO_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
	WORKER_MESSAGE_MAX =
		160 * 1024,  /* bytes: evidence, endorsements, and what goes with them */
	WORKER_HEAD = 8,     /* u32 length, u32 number of the job; native order */
	WORKER_JOB_DIED = 0, /* the number in the message of a keeper: the job under way is lost */
};

struct worker_ops {
	const char *name; /* of the process; at most 15 characters are shown */
	unsigned limit_s; /* of one request; then the worker is killed */
	/* The rights that a keeper, and then a worker before its first request, gives up. 0 or
	 * -errno. */
	int (*enter_keeper)(void *ctx);
	int (*enter)(void *ctx);
	/* One request; the reply may be empty. */
	void (*serve)(void *ctx, struct span request, struct wspan *reply);
	/*
	 * What a process has to do before it ends, NULL: nothing, and then it is killed with its
	 * daemon. One that has something to do ends by itself when the daemon is gone: a TPM that
	 * is its own has room for three keys, and forgets none by itself.
	 */
	void (*leave)(void *ctx);
	/* A thread uses ctx beyond the daemon's wish to be rid of it. */
	void (*ref)(void *ctx);
	void (*unref)(void *ctx);
};

struct worker_handle {
	int pid; /* of the keeper; 0 = none */
	bool ends_itself;
};

/* *out_fd: the daemon's non-blocking end. ops and ctx are borrowed. 0 or -errno. */
MUST_USE int worker_spawn(const struct worker_ops *ops, void *ctx, struct worker_handle *out,
			  int *out_fd);
/* Ends keeper and worker. Runs twice harmlessly. */
void worker_end(struct worker_handle *h);
/*
 * Ends a program that has had workers. A thread may still be at a request, and must not find what
 * exit() takes from under it: the state of OpenSSL. So where workers are threads nothing is done on
 * the way out, and standard output should be empty.
 */
_Noreturn void worker_exit(int status);

/*
 * For the two files that spawn. What runs at the other end, until the daemon closes its own. type:
 * of socket.
 */
void worker_serve_all(const struct worker_ops *ops, void *ctx, int fd);
/* And what they have each: ends the worker that calls it after so many seconds, if that can be done
 * without the daemon; 0: no more. */
void worker_limit(unsigned seconds);
MUST_USE int worker_socketpair(int type, int out[2]);

#endif
