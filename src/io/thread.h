/* A thread that has its own work, and leaves the process's signals to the one that started it. */
#ifndef ENG_IO_THREAD_H
#define ENG_IO_THREAD_H

#include <pthread.h>

#include "base/cleanup.h"

/*
 * All signals are blocked in it: those of the process go to the caller's thread. name: at most 15
 * bytes, copied, for whoever looks at the process; not having it is no failure. To be joined or
 * detached. 0 or -errno: then there is no thread, and *out is not touched.
 */
MUST_USE int thread_start(const char *name, void *(*fn)(void *arg), void *arg, pthread_t *out);

#endif
