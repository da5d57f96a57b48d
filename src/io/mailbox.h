/*
 * Calls for the thread that runs an event base, from any other. For control, not for packets: a
 * lock, and a wake-up through an eventfd.
 *
 * A mail is a part of whatever it is about, so that posting it needs no memory and cannot fail. It
 * belongs to the mailbox from mailbox_post() until its function is called, which may free it or
 * post it again.
 */
#ifndef ENG_IO_MAILBOX_H
#define ENG_IO_MAILBOX_H

#include <stdbool.h>

#include "base/cleanup.h"

struct event_base;
struct mailbox;

struct mail {
	struct mail *next;
	/*
	 * Called in the thread of the mailbox's owner. dropped: the mailbox is being freed instead,
	 * and this is for giving memory back: other threads and their mailboxes may be gone.
	 */
	void (*fn)(struct mail *m, bool dropped);
};

/* base is borrowed. 0 or -errno. */
MUST_USE int mailbox_new(struct event_base *base, struct mailbox **out);
/* When nobody posts any more; not from inside a mail. What is left is dropped. */
void mailbox_free(struct mailbox *m);
/* From any thread, the owner's too. In the order of posting, and never from inside this call. */
void mailbox_post(struct mailbox *m, struct mail *mail);
/* By the owner: all that has been posted until now, at once. May be called from inside a mail. */
void mailbox_drain(struct mailbox *m);

#endif
