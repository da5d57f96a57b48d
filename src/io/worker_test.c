/*
 * Workers, as processes and as threads (meson.build makes a program of each): they answer in order,
 * and what cannot be answered is dropped. A process that dies, hangs or breaks its filter is
 * replaced, and the daemon hears of it.
 */
#include "io/worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"

enum {
	WAIT_MS = 60000, /* a deadline, never a measure */
	LIMIT_S = 1,
	AT_EXIT = 3,
};

/* The first byte of a request says what to do with it. */
enum order { ECHO = 'e', EMPTY = '0', TOO_MUCH = 'm', CRASH = 'c', HANG = 'h', PID = 'p' };

static int n_refs; /* of the context, as threads take them */

static int enter_nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static void serve(void *ctx, struct span request, struct wspan *reply)
{
	static const uint8_t zeros[4096];
	const pid_t pid = getpid();

	assert_ptr_equal(ctx, &n_refs);
	switch (request.n > 0 ? request.p[0] : EMPTY) {
	case ECHO:
		wspan_put(reply, request.p, request.n);
		break;
	case TOO_MUCH:
		for (size_t i = 0; i <= WORKER_MESSAGE_MAX / sizeof(zeros); i++)
			wspan_put(reply, zeros, sizeof(zeros));
		break;
	case CRASH:
		kill(pid, SIGKILL);
		break;
	case HANG:
		for (;;)
			pause();
	case PID:
		wspan_put(reply, &pid, sizeof(pid));
		break;
	default:
		break;
	}
}

static void ref(void *ctx)
{
	__atomic_add_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

static void unref(void *ctx)
{
	__atomic_sub_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

static const struct worker_ops ops = {
	.name = "test-worker",
	.limit_s = LIMIT_S,
	.enter_keeper = enter_nothing,
	.enter = enter_nothing,
	.serve = serve,
	.ref = ref,
	.unref = unref,
};

static struct worker_handle worker;
static int fd;

static int start(void **state)
{
	(void)state;
	return worker_spawn(&ops, &n_refs, &worker, &fd);
}

static int end(void **state)
{
	(void)state;
	close(fd);
	worker_end(&worker);
	worker_end(&worker);
	return 0;
}

static void ready(short what)
{
	struct pollfd p = { .fd = fd, .events = what };

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static void ask(uint32_t number, const void *body, uint32_t n)
{
	uint8_t *m = malloc(WORKER_HEAD + n);
	const uint32_t head[2] = { n, number };
	size_t at = 0;
	ssize_t put;

	assert_non_null(m);
	memcpy(m, head, sizeof(head));
	if (n > 0)
		memcpy(m + WORKER_HEAD, body, n);
	while (at < WORKER_HEAD + n) {
		ready(POLLOUT);
		put = send(fd, m + at, WORKER_HEAD + n - at, MSG_NOSIGNAL);
		assert_true(put > 0);
		at += (size_t)put;
	}
	free(m);
}

/* The next reply; returns its body's size, its number in *out_number. */
static size_t answer(uint32_t *out_number, uint8_t body[WORKER_MESSAGE_MAX])
{
	static uint8_t m[WORKER_HEAD + WORKER_MESSAGE_MAX];
	uint32_t head[2] = { 0 };
	size_t have = 0;
	ssize_t got;

	while (have < WORKER_HEAD || have < WORKER_HEAD + head[0]) {
		ready(POLLIN);
		got = recv(fd, m + have, sizeof(m) - have, 0);
		assert_true(got > 0);
		have += (size_t)got;
		memcpy(head, m, sizeof(head));
	}
	assert_int_equal(have, WORKER_HEAD + head[0]); /* one was asked for */
	memcpy(body, m + WORKER_HEAD, head[0]);
	*out_number = head[1];
	return head[0];
}

static uint8_t body[WORKER_MESSAGE_MAX], reply[WORKER_MESSAGE_MAX];

static void answers(void **state)
{
	uint32_t number;

	(void)state;
	memset(body, 'x', sizeof(body));
	body[0] = ECHO;
	for (uint32_t n = 1; n <= WORKER_MESSAGE_MAX; n = n * 3 + 7) {
		ask(n, body, n);
		assert_int_equal(answer(&number, reply), n);
		assert_int_equal(number, n);
		assert_memory_equal(reply, body, n);
	}
	ask(7, body, WORKER_MESSAGE_MAX);
	assert_int_equal(answer(&number, reply), WORKER_MESSAGE_MAX);
	ask(8, "", 0);
	assert_int_equal(answer(&number, reply), 0);
	assert_int_equal(number, 8);
	ask(9, "m", 1); /* what does not fit is no answer, and no half of one */
	assert_int_equal(answer(&number, reply), 0);
	assert_int_equal(number, 9);
	ask(10, "e", 1);
	assert_int_equal(answer(&number, reply), 1);
}

static void ends_with_the_daemon(void **state)
{
	static const uint32_t head[2] = { WORKER_MESSAGE_MAX + 1, 1 };

	(void)state;
	ready(POLLOUT);
	assert_int_equal(send(fd, head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
	ready(POLLIN); /* nonsense: it goes, rather than guess where the next request starts */
	assert_int_equal(recv(fd, reply, sizeof(reply), 0), 0);
}

static void at_exit(void)
{
	_exit(AT_EXIT);
}

/* What runs at exit() gives back what a thread may be using. */
static void exit_takes_nothing_from_a_thread(void **state)
{
#ifdef WORKER_THREAD
	const int wanted = EXIT_SUCCESS;
#else
	const int wanted = AT_EXIT;
#endif
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (atexit(at_exit) != 0 || start(state) < 0)
			_exit(EXIT_FAILURE);
		ask(1, "h", 1); /* it is at work */
		worker_exit(EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), wanted);
}

#ifdef WORKER_THREAD

static void all_let_go(void)
{
	for (int i = 0; i < WAIT_MS && __atomic_load_n(&n_refs, __ATOMIC_SEQ_CST) > 0; i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&n_refs, __ATOMIC_SEQ_CST), 0);
}

static void lets_its_context_go(void **state)
{
	uint32_t number;

	(void)state;
	all_let_go(); /* those of the tests before: their ends were seen closed a moment earlier */
	assert_int_equal(start(state), 0);
	ask(1, "e", 1);
	assert_int_equal(answer(&number, reply), 1);
	assert_int_equal(__atomic_load_n(&n_refs, __ATOMIC_SEQ_CST), 1);
	end(state);
	all_let_go();
}

/* The limit of a process is its own alarm; a thread's would end the daemon. */
static void takes_its_time(void **state)
{
	static const struct timespec beyond = { .tv_sec = LIMIT_S + 1 };
	uint32_t number;

	(void)state;
	assert_int_equal(start(state), 0);
	ask(1, "h", 1);
	nanosleep(&beyond, NULL);
	assert_int_equal(start(state), 0); /* the hung one stays, with what it holds */
	ask(2, "e", 1);
	assert_int_equal(answer(&number, reply), 1);
	assert_int_equal(number, 2);
	end(state);
}

#else

static int *n_left; /* shared with the processes */

static void leave(void *ctx)
{
	(void)ctx;
	__atomic_add_fetch(n_left, 1, __ATOMIC_SEQ_CST);
}

static pid_t pid_of_worker(void)
{
	uint32_t number;
	pid_t pid = 0;

	ask(1, "p", 1);
	assert_int_equal(answer(&number, reply), sizeof(pid));
	memcpy(&pid, reply, sizeof(pid));
	return pid;
}

static void expect_death(void)
{
	uint32_t number = 1;

	assert_int_equal(answer(&number, reply), 0);
	assert_int_equal(number, WORKER_JOB_DIED);
}

static void is_replaced(void **state)
{
	const pid_t keeper = worker.pid;
	pid_t before = pid_of_worker();

	(void)state;
	assert_int_not_equal(before, getpid());
	for (const char *how = "cck"; *how; how++) {
		if (*how == 'c')
			ask(5, how, 1);
		else
			assert_int_equal(kill(before, SIGKILL), 0);
		expect_death();
		assert_int_not_equal(pid_of_worker(), before);
		before = pid_of_worker();
	}
	assert_int_equal(worker.pid, keeper);
	assert_int_equal(kill(keeper, 0), 0);
}

static void is_limited(void **state)
{
	const pid_t before = pid_of_worker();

	(void)state;
	ask(5, "h", 1);
	expect_death();
	assert_int_not_equal(pid_of_worker(), before);
}

/* kill() does not wait for it: one that runs on another processor goes on for a moment. */
static void stop(pid_t pid)
{
	char path[32], line[256], state = ' ';

	assert_int_equal(kill(pid, SIGSTOP), 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < WAIT_MS && state != 'T'; i++) {
		FILE *f = fopen(path, "re");

		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		fclose(f);
		state = strrchr(line, ')')[2]; /* proc(5): pid (name) state */
		usleep(1000);
	}
	assert_int_equal(state, 'T');
}

/* Killed before it has read the longest request: the next one starts at that one's head. */
static void leaves_no_half_request(void **state)
{
	const pid_t before = pid_of_worker();
	uint32_t number;

	(void)state;
	memset(body, 'x', sizeof(body));
	body[0] = ECHO;
	stop(before);
	ask(20, body, WORKER_MESSAGE_MAX);
	assert_int_equal(kill(before, SIGKILL), 0);
	expect_death();
	assert_int_equal(answer(&number, reply), WORKER_MESSAGE_MAX);
	assert_int_equal(number, 20); /* the daemon has given it up: it throws this away */
	assert_int_not_equal(pid_of_worker(), before);
}

static void dies_with_its_keeper(void **state)
{
	const pid_t pid = pid_of_worker();

	(void)state;
	assert_int_equal(kill(worker.pid, SIGKILL), 0);
	ready(POLLIN);
	assert_int_equal(recv(fd, reply, sizeof(reply), 0), 0); /* both ends are closed */
	for (int i = 0; i < WAIT_MS && kill(pid, 0) == 0; i++)
		usleep(1000);
	assert_int_equal(kill(pid, 0), -1);
}

/* A process that has something to leave does so, whoever ended the daemon. */
static void leaves_in_order(void **state)
{
	static struct worker_ops leaving;
	struct worker_handle h;
	int socket_fd, pid;

	(void)state;
	leaving = ops;
	leaving.leave = leave;
	n_left = mmap(NULL, sizeof(*n_left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(n_left, MAP_FAILED);
	assert_int_equal(worker_spawn(&leaving, &n_refs, &h, &socket_fd), 0);
	close(socket_fd);
	worker_end(&h);
	for (int i = 0; i < WAIT_MS && __atomic_load_n(n_left, __ATOMIC_SEQ_CST) < 1; i++)
		usleep(1000);
	assert_int_equal(*n_left, 1);
	pid = fork();
	if (pid == 0) {
		if (worker_spawn(&leaving, &n_refs, &h, &socket_fd) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < WAIT_MS && __atomic_load_n(n_left, __ATOMIC_SEQ_CST) < 2; i++)
		usleep(1000);
	assert_int_equal(*n_left, 2);
	munmap(n_left, sizeof(*n_left));
}

/* What the daemon has open, its peers' sockets above all, is not the worker's. */
static void holds_no_descriptors(void **state)
{
	int pair[2];
	uint8_t byte;

	(void)state;
	end(state);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(start(state), 0);
	(void)pid_of_worker();
	close(pair[0]);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0); /* nobody else holds it */
	close(pair[1]);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, start, end),
		cmocka_unit_test_setup_teardown(ends_with_the_daemon, start, end),
		cmocka_unit_test(exit_takes_nothing_from_a_thread),
#ifdef WORKER_THREAD
		cmocka_unit_test(lets_its_context_go),
		cmocka_unit_test(takes_its_time),
#else
		cmocka_unit_test_setup_teardown(is_replaced, start, end),
		cmocka_unit_test_setup_teardown(is_limited, start, end),
		cmocka_unit_test_setup_teardown(leaves_no_half_request, start, end),
		cmocka_unit_test_setup_teardown(dies_with_its_keeper, start, end),
		cmocka_unit_test(leaves_in_order),
		cmocka_unit_test_setup_teardown(holds_no_descriptors, start, end),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
