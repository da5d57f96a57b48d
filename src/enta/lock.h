/* One agent per instance name and network namespace at a time. */
#ifndef ENG_ENTA_LOCK_H
#define ENG_ENTA_LOCK_H

#include "base/cleanup.h"

/*
 * Takes the instance: an abstract Unix socket of its name, which belongs to the network namespace
 * as the rules do, and which the kernel gives back however the process ends. 0 with *out_fd to
 * close, or -errno (-EADDRINUSE: that instance runs).
 */
MUST_USE int lock_instance(const char *instance, int *out_fd);

#endif
