/* What a thread has from the one that started it: a name, and no signals. */
#include "io/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"

static bool create_fails;

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return create_fails ? EAGAIN : __real_pthread_create(out, attr, fn, arg);
}

static sigset_t mask;
static int done[2]; /* a pipe: it may end */

static void *look(void *arg)
{
	char c;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return read(done[0], &c, 1) == 1 ? arg : NULL;
}

static void has_a_name_and_no_signals(void **state)
{
	sigset_t own;
	pthread_t thread;
	char name[16];
	void *got;

	(void)state;
	assert_int_equal(pipe(done), 0);
	assert_int_equal(thread_start("eng-thread", look, name, &thread), 0);
	assert_int_equal(pthread_getname_np(thread, name, sizeof(name)), 0);
	assert_string_equal(name, "eng-thread");
	assert_int_equal(write(done[1], "x", 1), 1);
	assert_int_equal(pthread_join(thread, &got), 0);
	assert_ptr_equal(got, name);
	assert_true(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1));
	pthread_sigmask(SIG_BLOCK, NULL, &own);
	assert_false(sigismember(&own, SIGTERM) || sigismember(&own, SIGUSR1));
	close(done[0]);
	close(done[1]);
}

static void says_why_there_is_none(void **state)
{
	pthread_t thread, before;

	(void)state;
	memset(&thread, 0x5a, sizeof(thread));
	before = thread;
	create_fails = true;
	assert_int_equal(thread_start("eng-thread", look, NULL, &thread), -EAGAIN);
	create_fails = false;
	assert_memory_equal(&thread, &before, sizeof(thread));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_a_name_and_no_signals),
		cmocka_unit_test(says_why_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
