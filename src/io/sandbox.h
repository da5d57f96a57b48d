/* Giving up what a daemon does not need once it is set up. */
#ifndef ENG_IO_SANDBOX_H
#define ENG_IO_SANDBOX_H

#include "base/cleanup.h"

enum sandbox_keep {
	SANDBOX_KEEP_NOTHING,
	SANDBOX_KEEP_NET_ADMIN, /* to take its rules back at the end, and to mark its own packets */
};

/*
 * Drops every capability but those kept, for good (bounding set, no_new_privs), and stops being
 * root: user and group 65534. Where that user does not exist (a user namespace that maps only root)
 * the user stays and the capabilities go all the same. 0 or -errno.
 */
MUST_USE int sandbox_enter(enum sandbox_keep keep);

void sandbox_raise_file_limit(void); /* open files: as many as we may */

#endif
