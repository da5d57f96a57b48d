/*
 * A door: a listening socket, and the strangers that come in. What strangers cost is bounded by a
 * share of the loop's time (share.h), spent one step at a time between turns of packets. Whoever
 * has something to say is heard in the order of arrival, and while somebody waits to be heard
 * nobody else is let in: the rest waits in the kernel, and costs nothing there.
 */
#ifndef ENG_CHAN_DOOR_H
#define ENG_CHAN_DOOR_H

#include "chan/channel.h"

enum { DOOR_STRANGERS_MAX = 256 /* let in, not open yet: who has been there longest gives way */ };

struct door;

struct door_handler {
	/* Somebody has come: fd is the owner's, for this loop or that of another thread. */
	void (*take)(void *owner, int fd, const struct addr *from, uint16_t port);
	/*
	 * The system has no descriptor left for who comes, and this loop no stranger that could
	 * give way; another may have one. NULL: there is no other.
	 */
	void (*full)(void *owner);
};

/* Owns fd, a listening socket, on failure too; borrows the handler. 0 or -errno. */
MUST_USE int door_new_take_fd(struct chan_loop *l, int fd, const struct door_handler *handler,
			      void *owner, struct door **out);
void door_free(struct door *d);

/* One more stranger for this loop, which owns fd, on failure too. 0 or -errno. */
MUST_USE int door_let_in_take_fd(struct chan_loop *l, const struct chan_config *cfg, int fd,
				 const struct addr *from, uint16_t port);

#endif
