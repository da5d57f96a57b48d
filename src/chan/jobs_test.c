/*
 * Jobs against a worker that is this test: worker_spawn() is replaced, so that each byte of every
 * reply, its moment, and the worker's end are the test's choice.
 */
#include "chan/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static long fail_at = -1; /* the allocation that fails; -1 none */

static int allocation_fails(void)
{
	return fail_at >= 0 && fail_at-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(n, size);
}

/* The worker's side. */
static int peer = -1;
static int n_spawned, n_alive;
static bool spawn_fails;
static void *spawned_with;

int worker_spawn(const struct worker_ops *ops, void *ctx, struct worker_handle *out, int *out_fd)
{
	int fds[2];

	(void)ops;
	if (spawn_fails)
		return -EAGAIN;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	if (peer >= 0)
		close(peer);
	peer = fds[1];
	n_spawned++;
	n_alive++;
	spawned_with = ctx;
	*out = (struct worker_handle){ .pid = 1000 + n_spawned };
	*out_fd = fds[0];
	return 0;
}

void worker_end(struct worker_handle *h)
{
	n_alive -= h->pid > 0;
	h->pid = 0;
}

static const struct worker_ops ops = { .name = "test", .limit_s = 0 };

struct fixture {
	struct event_base *base;
	struct jobs *jobs;
	char said[1000]; /* "tag=reply " or "tag!why " of each job that has ended */
};

struct owner {
	struct fixture *f;
	char tag;
};

static int first_ctx, second_ctx;

static void fixture_start(struct fixture *f)
{
	n_spawned = n_alive = 0;
	spawn_fails = false;
	*f = (struct fixture){ .base = event_base_new() };
	assert_non_null(f->base);
	assert_int_equal(jobs_new(f->base, &ops, &first_ctx, &f->jobs), 0);
	assert_int_equal(n_alive, 1);
	assert_ptr_equal(spawned_with, &first_ctx);
}

static void fixture_end(struct fixture *f)
{
	jobs_free(f->jobs);
	assert_int_equal(n_alive, 0);
	event_base_free(f->base);
	close(peer);
	peer = -1;
}

static void spin(struct fixture *f)
{
	for (int i = 0; i < 6; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void done(void *arg, struct span reply, const char *why)
{
	struct owner *o = arg;
	const size_t n = strlen(o->f->said), room = sizeof(o->f->said) - n;

	if (reply.p)
		snprintf(o->f->said + n, room, "%c=%.*s ", o->tag, (int)reply.n,
			 (const char *)reply.p);
	else
		snprintf(o->f->said + n, room, "%c!%s ", o->tag, why);
}

/* Hands in a job whose request is its tag. */
static int submit(struct owner *o, bool is_stranger, struct job **out)
{
	const struct iovec iov[2] = { { &o->tag, 1 }, { NULL, 0 } };

	return jobs_submit(o->f->jobs, is_stranger, iov, 2, done, o, out);
}

static struct job *hand_in(struct owner *o, bool is_stranger)
{
	struct job *job = NULL;

	assert_int_equal(submit(o, is_stranger, &job), 0);
	assert_non_null(job);
	return job;
}

/* The request that is there: its tag and number; '-' if there is none. */
static char request(struct fixture *f, uint32_t *out_number)
{
	uint8_t m[WORKER_HEAD + 1];
	uint32_t head[2];

	spin(f);
	if (recv(peer, m, sizeof(m), 0) != (ssize_t)sizeof(m))
		return '-';
	memcpy(head, m, sizeof(head));
	assert_int_equal(head[0], 1);
	*out_number = head[1];
	return (char)m[WORKER_HEAD];
}

static void tell(struct fixture *f, uint32_t n, uint32_t number, const char *text)
{
	uint8_t m[WORKER_HEAD + 200];
	const uint32_t head[2] = { n, number };

	memcpy(m, head, sizeof(head));
	memcpy(m + WORKER_HEAD, text, strlen(text));
	assert_int_equal(write(peer, m, WORKER_HEAD + strlen(text)),
			 (ssize_t)(WORKER_HEAD + strlen(text)));
	spin(f);
}

static void reply(struct fixture *f, uint32_t number, const char *text)
{
	tell(f, (uint32_t)strlen(text), number, text);
}

static void wait_for(struct fixture *f, const char *text)
{
	for (int i = 0; i < 100 && !strstr(f->said, text); i++)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_non_null(strstr(f->said, text));
}

#define DIED "the worker process has died at it"
#define ENDED "the worker process has ended"
#define LATE "no answer from the worker process in time"

static void open_peers_go_before_strangers(void **state)
{
	struct owner o[5];
	struct fixture f;
	uint32_t number = 0;

	(void)state;
	fixture_start(&f);
	for (int i = 0; i < 5; i++) {
		o[i] = (struct owner){ &f, (char)('a' + i) };
		(void)hand_in(&o[i], i < 3);
	}
	assert_string_equal(f.said, "");
	for (const char *tag = "deabc"; *tag; tag++) {
		assert_int_equal(request(&f, &number), *tag);
		assert_int_equal(request(&f, &number), '-'); /* one at a time */
		reply(&f, number, tag[0] == 'a' ? "" : "yes");
	}
	assert_string_equal(f.said, "d=yes e=yes a= b=yes c=yes ");
	fixture_end(&f);
}

static void strangers_are_bounded(void **state)
{
	struct owner o;
	struct job *job, *last = NULL;
	struct fixture f;
	uint32_t number = 0;

	(void)state;
	fixture_start(&f);
	o = (struct owner){ &f, 'x' };
	for (int i = 0; i < JOBS_STRANGERS_MAX; i++)
		last = hand_in(&o, true);
	assert_int_equal(submit(&o, true, &job), JOBS_E_FULL);
	for (int i = 0; i < 3; i++)
		(void)hand_in(&o, false); /* others are not */
	job_cancel(last);
	(void)hand_in(&o, true);
	assert_int_equal(submit(&o, true, &job), JOBS_E_FULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(request(&f, &number), 'x');
		reply(&f, number, "");
	}
	assert_int_equal(request(&f, &number), 'x'); /* the second stranger is under way */
	(void)hand_in(&o, true);
	(void)hand_in(&o, true);
	assert_int_equal(submit(&o, true, &job), JOBS_E_FULL);
	fixture_end(&f); /* those that are left are dropped */
}

static void too_long_a_request_is_refused(void **state)
{
	static uint8_t bytes[WORKER_MESSAGE_MAX + 1];
	const struct iovec iov = { bytes, sizeof(bytes) };
	struct fixture f;
	struct job *job;

	(void)state;
	fixture_start(&f);
	assert_int_equal(jobs_submit(f.jobs, false, &iov, 1, done, &f, &job), -EMSGSIZE);
	fixture_end(&f);
}

static void cancelled_jobs_say_nothing(void **state)
{
	struct owner o[3];
	struct job *job[3];
	struct fixture f;
	uint32_t number = 0;

	(void)state;
	job_cancel(NULL);
	fixture_start(&f);
	for (int i = 0; i < 3; i++) {
		o[i] = (struct owner){ &f, (char)('a' + i) };
		job[i] = hand_in(&o[i], i == 1);
	}
	assert_int_equal(request(&f, &number), 'a');
	job_cancel(job[0]); /* under way: its answer comes, and goes nowhere */
	job_cancel(job[1]);
	assert_int_equal(request(&f, &number), '-');
	reply(&f, number, "yes");
	assert_int_equal(request(&f, &number), 'c');
	reply(&f, number, "c");
	assert_string_equal(f.said, "c=c ");
	fixture_end(&f);
}

static void a_late_answer_is_nobodys(void **state)
{
	struct owner a, b;
	struct fixture f;
	uint32_t first = 0, second = 0;

	(void)state;
	fixture_start(&f);
	a = (struct owner){ &f, 'a' };
	b = (struct owner){ &f, 'b' };
	(void)hand_in(&a, false);
	(void)hand_in(&b, false);
	assert_int_equal(request(&f, &first), 'a');
	wait_for(&f, "a!" LATE);
	assert_int_equal(request(&f, &second), 'b');
	assert_int_not_equal(first, second);
	reply(&f, first, "trusted");
	reply(&f, second + 1, "trusted");
	reply(&f, second, "no");
	reply(&f, second, "trusted");
	assert_string_equal(f.said, "a!" LATE " b=no ");
	assert_int_equal(n_spawned, 1);
	fixture_end(&f);
}

static void a_dead_worker_costs_one_job(void **state)
{
	struct owner a, b, c;
	struct fixture f;
	uint32_t number = 0;

	(void)state;
	fixture_start(&f);
	a = (struct owner){ &f, 'a' };
	b = (struct owner){ &f, 'b' };
	c = (struct owner){ &f, 'c' };
	reply(&f, WORKER_JOB_DIED, ""); /* at nothing */
	(void)hand_in(&a, true);
	(void)hand_in(&b, true);
	assert_int_equal(request(&f, &number), 'a');
	reply(&f, WORKER_JOB_DIED, "");
	assert_string_equal(f.said, "a!" DIED " ");
	assert_int_equal(request(&f, &number), 'b');
	assert_int_equal(n_spawned, 1); /* its keeper has replaced it */
	close(peer);			/* the keeper too is gone */
	peer = -1;
	spin(&f);
	assert_string_equal(f.said, "a!" DIED " b!" ENDED " ");
	assert_int_equal(n_alive, 0);
	(void)hand_in(&c, true);
	assert_int_equal(request(&f, &number), 'c');
	assert_int_equal(n_spawned, 2);
	reply(&f, number, "yes");
	assert_non_null(strstr(f.said, "c=yes"));
	close(peer); /* nothing under way */
	peer = -1;
	spin(&f);
	spawn_fails = true;
	(void)hand_in(&a, true);
	(void)hand_in(&b, true);
	spin(&f);
	assert_non_null(strstr(f.said, "a!no worker process could be started "
				       "b!no worker process could be started "));
	spawn_fails = false;
	(void)hand_in(&c, true);
	assert_int_equal(request(&f, &number), 'c');
	fixture_end(&f);
}

static void a_lying_worker_is_left(void **state)
{
	static const struct {
		uint32_t n;
		const char *text;
		const char *said;
	} lies[] = {
		{ WORKER_MESSAGE_MAX + 1, "", "a!" ENDED " " },
		{ UINT32_MAX, "x", "a!" ENDED " " },
		{ 10, "half", "a!" LATE " " }, /* and never the rest */
	};
	struct owner a, b;
	struct fixture f;
	uint32_t number = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		fixture_start(&f);
		a = (struct owner){ &f, 'a' };
		b = (struct owner){ &f, 'b' };
		(void)hand_in(&a, false);
		(void)hand_in(&b, false);
		assert_int_equal(request(&f, &number), 'a');
		tell(&f, lies[i].n, number, lies[i].text);
		if (lies[i].n == 10) { /* a job is not lost over what the worker still owes */
			for (int k = 0; k < 100 && n_spawned == 1; k++)
				event_base_loop(f.base, EVLOOP_ONCE);
			assert_non_null(strstr(f.said, "a!"));
		} else {
			assert_string_equal(f.said, lies[i].said);
		}
		assert_int_equal(request(&f, &number), 'b');
		assert_int_equal(n_spawned, 2);
		assert_int_equal(n_alive, 1);
		reply(&f, number, "no");
		assert_non_null(strstr(f.said, "b=no "));
		fixture_end(&f);
	}
}

static void replies_may_come_in_any_pieces(void **state)
{
	struct owner a, b;
	struct fixture f;
	uint32_t number = 0;
	uint8_t m[2 * WORKER_HEAD + 6];

	(void)state;
	fixture_start(&f);
	a = (struct owner){ &f, 'a' };
	b = (struct owner){ &f, 'b' };
	(void)hand_in(&a, false);
	(void)hand_in(&b, false);
	assert_int_equal(request(&f, &number), 'a');
	memcpy(m, &(uint32_t[]){ 3, number }, WORKER_HEAD);
	memcpy(m + WORKER_HEAD, "yes", 3);
	for (size_t i = 0; i < WORKER_HEAD + 3; i++) {
		assert_string_equal(f.said, "");
		assert_int_equal(write(peer, m + i, 1), 1);
		spin(&f);
	}
	assert_int_equal(request(&f, &number), 'b');
	/* One for nobody and the right one in a single read. */
	memcpy(m, &(uint32_t[]){ 3, number + 9 }, WORKER_HEAD);
	memcpy(m + WORKER_HEAD + 3, &(uint32_t[]){ 3, number }, WORKER_HEAD);
	memcpy(m + 2 * WORKER_HEAD + 3, "two", 3);
	assert_int_equal(write(peer, m, sizeof(m)), (ssize_t)sizeof(m));
	spin(&f);
	assert_string_equal(f.said, "a=yes b=two ");
	fixture_end(&f);
}

static void a_new_worker_does_all_jobs(void **state)
{
	struct owner a, b, c;
	struct fixture f;
	uint32_t number = 0;
	struct job *job;

	(void)state;
	fixture_start(&f);
	a = (struct owner){ &f, 'a' };
	b = (struct owner){ &f, 'b' };
	c = (struct owner){ &f, 'c' };
	(void)hand_in(&a, true);
	assert_int_equal(request(&f, &number), 'a');
	(void)hand_in(&b, true);
	(void)hand_in(&c, false);
	assert_int_equal(jobs_replace(f.jobs, &second_ctx), 0);
	assert_ptr_equal(spawned_with, &second_ctx);
	assert_int_equal(n_alive, 1);
	for (const char *tag = "acb"; *tag; tag++) {
		assert_int_equal(request(&f, &number), *tag);
		reply(&f, number, "new");
	}
	assert_string_equal(f.said, "a=new c=new b=new ");

	/* The one under way was cancelled; and one that was under way may be, afterwards. */
	job = hand_in(&a, true);
	assert_int_equal(request(&f, &number), 'a');
	job_cancel(job);
	assert_int_equal(jobs_replace(f.jobs, &first_ctx), 0);
	job = hand_in(&b, true);
	assert_int_equal(request(&f, &number), 'b');
	assert_int_equal(jobs_replace(f.jobs, &second_ctx), 0);
	job_cancel(job);
	assert_int_equal(request(&f, &number), '-');

	/* No process to be had: the old context stays, and the next job tries again. */
	(void)hand_in(&c, true);
	assert_int_equal(request(&f, &number), 'c');
	spawn_fails = true;
	assert_true(jobs_replace(f.jobs, &first_ctx) < 0);
	spawn_fails = false;
	assert_int_equal(request(&f, &number), 'c');
	assert_ptr_equal(spawned_with, &second_ctx);
	reply(&f, number, "old");
	assert_string_equal(f.said, "a=new c=new b=new c=old ");
	spawn_fails = true;
	job = hand_in(&a, true);
	assert_int_equal(request(&f, &number), 'a');
	job_cancel(job);
	assert_true(jobs_replace(f.jobs, &first_ctx) < 0);
	spin(&f);
	assert_string_equal(f.said, "a=new c=new b=new c=old ");
	fixture_end(&f);
}

static void answer_from_timer(evutil_socket_t fd, short what, void *arg)
{
	uint32_t m[3] = { 0 };

	(void)fd;
	(void)what;
	(void)arg;
	if (recv(peer, m, WORKER_HEAD + 1, 0) != WORKER_HEAD + 1)
		return;
	m[0] = sizeof(m[2]);
	memcpy(&m[2], "pong", sizeof(m[2]));
	assert_int_equal(write(peer, m, sizeof(m)), sizeof(m));
}

static void asks_before_the_loop_runs(void **state)
{
	static const struct timeval soon = { .tv_usec = 1000 };
	char text[4] = "";
	struct event *timer;
	struct fixture f;
	size_t n = 0;

	(void)state;
	fixture_start(&f);
	assert_int_equal(jobs_ask(f.jobs, SPAN((const uint8_t *)"q", 1), text, 4, &n), -EPIPE);
	timer = event_new(f.base, -1, EV_PERSIST, answer_from_timer, &f);
	assert_non_null(timer);
	event_add(timer, &soon);
	assert_int_equal(jobs_ask(f.jobs, SPAN((const uint8_t *)"q", 1), text, 4, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(text, "pong", 4);
	assert_int_equal(jobs_ask(f.jobs, SPAN((const uint8_t *)"q", 1), text, 3, &n), -EMSGSIZE);
	event_free(timer);
	fixture_end(&f);
}

static void every_allocation_may_fail(void **state)
{
	struct fixture f = { .base = event_base_new() };
	struct owner o = { &f, 'a' };
	uint32_t number = 0;
	struct job *job;
	long nth;
	int r = -1;

	(void)state;
	n_alive = 0;
	spawn_fails = false;
	for (nth = 0; nth < 100 && r != 0; nth++) {
		fail_at = nth;
		r = jobs_new(f.base, &ops, &first_ctx, &f.jobs);
		if (r == 0) {
			r = submit(&o, true, &job);
			fail_at = -1;
			spin(&f);
			if (r == 0) {
				assert_int_equal(request(&f, &number), 'a');
				reply(&f, number, "yes");
				assert_string_equal(f.said, "a=yes ");
			}
			jobs_free(f.jobs);
		}
		fail_at = -1;
		assert_int_equal(n_alive, 0);
	}
	assert_int_equal(r, 0);
	assert_true(nth > 4);
	event_base_free(f.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_peers_go_before_strangers),
		cmocka_unit_test(strangers_are_bounded),
		cmocka_unit_test(too_long_a_request_is_refused),
		cmocka_unit_test(cancelled_jobs_say_nothing),
		cmocka_unit_test(a_late_answer_is_nobodys),
		cmocka_unit_test(a_dead_worker_costs_one_job),
		cmocka_unit_test(a_lying_worker_is_left),
		cmocka_unit_test(replies_may_come_in_any_pieces),
		cmocka_unit_test(a_new_worker_does_all_jobs),
		cmocka_unit_test(asks_before_the_loop_runs),
		cmocka_unit_test(every_allocation_may_fail),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(__wrap_malloc, realloc, free);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
