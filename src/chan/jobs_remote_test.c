/*
 * Jobs of another thread's against a worker that is this test (worker_spawn() is replaced). First
 * both sides in one thread, step by step, so that a job can be cancelled and everything be freed at
 * each moment; then in two threads, at random moments.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"
#include "chan/jobs.h"
#include "io/mailbox.h"

static int peer = -1; /* the worker's side */

int worker_spawn(const struct worker_ops *ops, void *ctx, struct worker_handle *out, int *out_fd)
{
	int fds[2];

	(void)ops;
	(void)ctx;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	peer = fds[1];
	*out = (struct worker_handle){ .pid = 0 };
	*out_fd = fds[0];
	return 0;
}

void worker_end(struct worker_handle *h)
{
	h->pid = 0;
}

static const struct worker_ops ops = { .name = "test", .limit_s = 60 };

struct fixture {
	struct event_base *home_base, *here_base;
	struct mailbox *home, *here;
	struct jobs *jobs, *remote;
};

static void fixture_start(struct fixture *f)
{
	*f = (struct fixture){ .home_base = event_base_new(), .here_base = event_base_new() };
	assert_int_equal(mailbox_new(f->home_base, &f->home), 0);
	assert_int_equal(mailbox_new(f->here_base, &f->here), 0);
	assert_int_equal(jobs_new(f->home_base, &ops, NULL, &f->jobs), 0);
	assert_int_equal(jobs_remote(f->jobs, f->home, f->here, &f->remote), 0);
}

static void fixture_end(struct fixture *f, bool home_first)
{
	jobs_free(f->remote);
	mailbox_free(home_first ? f->home : f->here);
	mailbox_free(home_first ? f->here : f->home);
	jobs_free(f->jobs);
	close(peer);
	event_base_free(f->home_base);
	event_base_free(f->here_base);
}

static void spin(struct event_base *base)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

struct owner {
	int tag, n_done;
	char said[100];
};

static void done(void *arg, struct span reply, const char *why)
{
	struct owner *o = arg;

	o->n_done++;
	if (reply.p)
		snprintf(o->said, sizeof(o->said), "=%.*s", (int)reply.n, (const char *)reply.p);
	else
		snprintf(o->said, sizeof(o->said), "!%s", why);
}

static struct job *hand_in(struct jobs *j, struct owner *o, bool is_stranger)
{
	const struct iovec iov[] = { { &o->tag, 1 }, { NULL, 0 }, { (uint8_t *)&o->tag + 1, 3 } };
	struct job *job = NULL;

	assert_int_equal(jobs_submit(j, is_stranger, iov, 3, done, o, &job), 0);
	return job;
}

/* The worker reads one request and answers with it. False: the daemon has gone. */
static bool echo(void)
{
	uint8_t m[WORKER_HEAD + sizeof(int)];

	if (recv(peer, m, sizeof(m), MSG_WAITALL) != (ssize_t)sizeof(m))
		return false;
	return write(peer, m, sizeof(m)) == (ssize_t)sizeof(m);
}

static void answers_come_here(void **state)
{
	struct owner o[3] = { { .tag = 0x61616161 }, { .tag = 0x62626262 }, { .tag = 0x63636363 } };
	struct fixture f;

	(void)state;
	fixture_start(&f);
	for (int i = 0; i < 3; i++)
		(void)hand_in(f.remote, &o[i], i == 0);
	spin(f.home_base);
	for (int i = 0; i < 3; i++) {
		assert_true(echo());
		spin(f.home_base);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(o[i].n_done, 0); /* not in the other's thread */
	spin(f.here_base);
	assert_string_equal(o[0].said, "=aaaa");
	assert_string_equal(o[1].said, "=bbbb");
	assert_string_equal(o[2].said, "=cccc");
	fixture_end(&f, true);
}

static void reasons_come_too(void **state)
{
	struct owner o = { .tag = 1 };
	struct fixture f;

	(void)state;
	fixture_start(&f);
	(void)hand_in(f.remote, &o, false);
	spin(f.home_base);
	close(peer);
	peer = -1;
	spin(f.home_base);
	spin(f.here_base);
	assert_string_equal(o.said, "!the worker process has ended");
	fixture_end(&f, true);
}

static void strangers_are_bounded_here_and_there(void **state)
{
	const struct iovec iov = { "x", 1 };
	struct owner mine = { .tag = 1 }, o = { .tag = 2 };
	struct job *job, *last = NULL;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	for (int i = 0; i < JOBS_STRANGERS_MAX; i++)
		last = hand_in(f.remote, &o, true);
	assert_int_equal(jobs_submit(f.remote, true, &iov, 1, done, &o, &job), JOBS_E_FULL);
	job_cancel(last);
	(void)hand_in(f.remote, &o, true);
	for (int i = 0; i < JOBS_STRANGERS_MAX; i++) /* of its own */
		(void)hand_in(f.jobs, &mine, true);
	spin(f.home_base);
	spin(f.here_base);
	assert_string_equal(o.said, "!too many wait for the worker process");
	assert_in_range(o.n_done, JOBS_STRANGERS_MAX - 1, JOBS_STRANGERS_MAX); /* one is begun */
	assert_int_equal(mine.n_done, 0);
	fixture_end(&f, false);
}

static void too_long_a_request_is_refused(void **state)
{
	static uint8_t bytes[WORKER_MESSAGE_MAX + 1];
	const struct iovec iov = { bytes, sizeof(bytes) };
	struct fixture f;
	struct job *job;

	(void)state;
	fixture_start(&f);
	assert_int_equal(jobs_submit(f.remote, false, &iov, 1, done, NULL, &job), -EMSGSIZE);
	fixture_end(&f, true);
}

/* The life of a job; what happens to it at a moment of it is the test's choice. */
enum { STEPS = 4 };

static void step(struct fixture *f, int i)
{
	if (i == 0 || i == 2)
		spin(f->home_base);
	else if (i == 1)
		assert_true(echo());
	else
		spin(f->here_base);
}

static void cancelled_at_any_moment_says_nothing(void **state)
{
	(void)state;
	for (int when = 0; when < STEPS; when++) {
		struct owner a = { .tag = 1 }, b = { .tag = 2 };
		struct fixture f;
		struct job *job;

		fixture_start(&f);
		job = hand_in(f.remote, &a, when % 2);
		for (int i = 0; i < when; i++)
			step(&f, i);
		job_cancel(job);
		for (int i = when == 1 ? 1 : when; i < STEPS; i++)
			if (i != 1 || when == 1) /* who was cancelled before never asks */
				step(&f, i);
		assert_int_equal(a.n_done, 0);
		(void)hand_in(f.remote, &b, false); /* and others are not held up */
		for (int i = 0; i < STEPS; i++)
			step(&f, i);
		assert_int_equal(b.n_done, 1);
		fixture_end(&f, when % 2);
	}
}

/* Sanitizers say whether something is lost, or used too late. */
static void all_may_be_freed_at_any_moment(void **state)
{
	(void)state;
	for (int when = 0; when <= STEPS; when++) {
		for (int how = 0; how < 8; how++) {
			struct owner a = { .tag = 1 };
			struct fixture f;
			struct job *job;

			fixture_start(&f);
			job = hand_in(f.remote, &a, false);
			for (int i = 0; i < when; i++)
				step(&f, i);
			if (how & 2 && when < STEPS) {
				job_cancel(job);
				if (how & 4)
					spin(f.home_base);
			}
			fixture_end(&f, how & 1);
			assert_int_equal(a.n_done, when == STEPS);
		}
	}
}

/* --- two threads --- */

enum { N_JOBS = 3000, AT_ONCE = 20 };

static void *run_home(void *arg)
{
	event_base_loop(((struct fixture *)arg)->home_base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void *run_worker(void *arg)
{
	(void)arg;
	while (echo())
		;
	return NULL;
}

struct end {
	struct mail mail;
	struct event_base *base;
};

static void on_end(struct mail *m, bool dropped)
{
	assert_false(dropped);
	event_base_loopbreak(((struct end *)m)->base);
}

static void cancelled_at_random_in_two_threads(void **state)
{
	static struct owner o[N_JOBS];
	static struct job *jobs[N_JOBS];
	static bool was_cancelled[N_JOBS];
	pthread_t home, worker;
	struct fixture f;
	struct end end;
	int n_over = 0, k;

	(void)state;
	srand(1);
	fixture_start(&f);
	assert_int_equal(pthread_create(&home, NULL, run_home, &f), 0);
	assert_int_equal(pthread_create(&worker, NULL, run_worker, NULL), 0);
	for (int i = 0; i < N_JOBS; i++) {
		o[i] = (struct owner){ .tag = i };
		jobs[i] = hand_in(f.remote, &o[i], false);
		k = i - rand() % AT_ONCE;
		if (k >= 0 && rand() % 3 == 0 && !was_cancelled[k] && o[k].n_done == 0) {
			job_cancel(jobs[k]);
			was_cancelled[k] = true;
		}
		event_base_loop(f.here_base, EVLOOP_NONBLOCK);
	}
	for (int i = 0; i < N_JOBS - AT_ONCE; i++) { /* the last are in flight at the end */
		while (!was_cancelled[i] && o[i].n_done == 0)
			event_base_loop(f.here_base, EVLOOP_ONCE);
		assert_int_equal(o[i].n_done, !was_cancelled[i]);
		n_over += o[i].n_done;
	}
	assert_true(n_over > N_JOBS / 2);
	jobs_free(f.remote);
	f.remote = NULL;
	end = (struct end){ { .fn = on_end }, f.home_base };
	mailbox_post(f.home, &end.mail);
	assert_int_equal(pthread_join(home, NULL), 0);
	shutdown(peer, SHUT_RDWR);
	assert_int_equal(pthread_join(worker, NULL), 0);
	fixture_end(&f, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_here),
		cmocka_unit_test(reasons_come_too),
		cmocka_unit_test(strangers_are_bounded_here_and_there),
		cmocka_unit_test(too_long_a_request_is_refused),
		cmocka_unit_test(cancelled_at_any_moment_says_nothing),
		cmocka_unit_test(all_may_be_freed_at_any_moment),
		cmocka_unit_test(cancelled_at_random_in_two_threads),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
