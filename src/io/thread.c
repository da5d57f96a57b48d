#include "io/thread.h"

#include <signal.h>

#include "base/err.h"

int thread_start(const char *name, void *(*fn)(void *arg), void *arg, pthread_t *out)
{
	sigset_t all, before;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the new one inherits it */
	r = pthread_create(&thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return err_new(-r);
	(void)pthread_setname_np(thread, name);
	*out = thread;
	return 0;
}
