/* Giving up what a daemon does not need once it is set up. */
#ifndef ENG_IO_SANDBOX_H
#define ENG_IO_SANDBOX_H

#include "base/cleanup.h"

enum sandbox_keep {
	SANDBOX_KEEP_NOTHING,
	SANDBOX_KEEP_USER,	/* of an attester: the user stays, and with root the right to open
				   devices */
	SANDBOX_KEEP_NET_ADMIN, /* to take its rules back at the end, and to mark its own packets */
};

/*
 * Drops every capability but those kept, for good (bounding set, no_new_privs), and stops being
 * root: user and group 65534. Where that user does not exist (a user namespace that maps only root)
 * the user stays and the capabilities go all the same. 0 or -errno.
 */
MUST_USE int sandbox_enter(enum sandbox_keep keep);

/* What a process may still ask of the kernel; any other call ends it (SIGSYS). */
enum sandbox_calls {
	SANDBOX_CALLS_COMPUTE, /* memory, and an answer on the socket that it has */
	SANDBOX_CALLS_DEVICES, /* and devices, files, and sockets to connect */
};

/* For good, and for its children; no_new_privs must be set. 0 or -errno. */
MUST_USE int sandbox_filter(enum sandbox_calls which);

void sandbox_raise_file_limit(void); /* open files: as many as we may */

#endif
