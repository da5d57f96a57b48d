/* The routing half of the capture: policy rules and one routing table an instance; see capture.c.
 */
#ifndef ENG_ENTA_CAPTURE_FIB_H
#define ENG_ENTA_CAPTURE_FIB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct capture_config;
struct netlink;

struct fib {
	struct netlink *netlink;
	uint32_t from_priority, priority, table,
		hash; /* where the instance lives, and its mark there */
};

MUST_USE int fib_init(struct fib *f, const char *instance);
void fib_deinit(struct fib *f); /* changes nothing in the kernel */

/* 0 = the place is this instance's or nobody's; 1 = another instance's; -errno. */
MUST_USE int fib_check_owner(const struct fib *f);
/* The rules, and a table that leads nowhere yet: what is captured is unreachable. */
MUST_USE int fib_install(const struct fib *f, const struct capture_config *cfg);
/* Into the TUN, which is up and has its addresses. */
MUST_USE int fib_open(const struct fib *f, const struct capture_config *cfg, unsigned ifindex);
/* Everything of the instance, whatever made it. */
MUST_USE int fib_remove(const struct fib *f);

/* The mark of a guard of its own, which fib_install() leaves alone. */
MUST_USE int fib_mark_guard(const struct fib *f);
MUST_USE int fib_guard_present(const struct fib *f, bool *out);

#endif
