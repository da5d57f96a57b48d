/*
 * The door for whoever runs the gateway, where signals do not reach it: a TCP port on a loopback
 * address. One line in, text out, end:
 *
 *   status   the counters, as SIGUSR1 has them logged
 *   drain    goodbye to every peer, then the end of the program, as SIGTERM
 *   reload   read again what the configuration lets change while the gateway runs
 *
 * There is no password: whoever may connect to the loopback of this host could as well stop it. The
 * door gives no secret away and changes no trust.
 */
#ifndef ENG_ENTG_ADMIN_H
#define ENG_ENTG_ADMIN_H

#include "base/addr.h"

struct admin;
struct event_base;
struct gateway;

/* NULL, or what is wrong with the text and what would be right. */
MUST_USE const char *admin_parse(const char *text, struct endpoint *out);

/* Opens the door; g is borrowed until admin_free(). 0 or -errno. */
MUST_USE int admin_new(struct event_base *base, const struct endpoint *on, struct gateway *g,
		       struct admin **out);
void admin_free(struct admin *a);

#endif
