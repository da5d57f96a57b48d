/*
 * A link: a channel that this side keeps up, to the first of several endpoints that answers.
 *
 * It resolves, dials, and dials again with jittered backoff when the channel is lost. The owner's
 * handler must call link_up() from `open` and link_lost() from `closed` for channels of the link.
 */
#ifndef ENG_CHAN_LINK_H
#define ENG_CHAN_LINK_H

#include "chan/channel.h"

enum {
	LINK_ENDPOINTS_MAX = 8,
	LINK_BACKOFF_MIN_MS = 50,   /* a restarting gateway is back within a second */
	LINK_BACKOFF_MAX_MS = 2000, /* for an application that waits; 1,000 agents make 500 SYN/s */
};

struct link;

/* Endpoints are copied, in order of preference, and so are the options. Dials at once. 0 or
 * -errno. */
MUST_USE int link_new(struct chan_loop *l, const struct chan_config *cfg,
		      const struct endpoint *endpoints, size_t n_endpoints,
		      const struct stream_options *o, struct link **out);
void link_free(struct link *k); /* its channel must be closed already */

/* Begins anew after link_stop() and the end of its channel, with this endpoint alone. */
void link_restart(struct link *k, const struct endpoint *to);

void link_up(struct link *k);
void link_lost(struct link *k);		      /* schedules the next try */
void link_stop(struct link *k);		      /* no more tries */
struct chan *link_chan(const struct link *k); /* the present channel in whatever state, or NULL */

#endif
