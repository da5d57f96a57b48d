/* Signals that stop the gateway or ask for its counters; inside an enclave there are none. */
#ifndef ENG_ENTG_SIGNALS_H
#define ENG_ENTG_SIGNALS_H

#include "base/cleanup.h"

struct event_base;
struct gateway;
struct signals;

/* g is borrowed until signals_free(). 0 or -errno. */
MUST_USE int signals_new(struct event_base *base, struct gateway *g, struct signals **out);
void signals_free(struct signals *s);

#endif
