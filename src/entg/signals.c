/* Signals of a gateway on a host; see signals.h. */
#include "entg/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "entg/gateway.h"

struct signals {
	struct event *events[4];
};

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	log_info("stopping", "signal=%d", (int)sig);
	gateway_stop(arg);
}

static void on_print(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	gateway_print(arg);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	gateway_reload(arg);
}

int signals_new(struct event_base *base, struct gateway *g, struct signals **out)
{
	struct signals *s = calloc(1, sizeof(*s));

	if (!s)
		return err_new(-ENOMEM);
	s->events[0] = evsignal_new(base, SIGTERM, on_stop, g);
	s->events[1] = evsignal_new(base, SIGINT, on_stop, g);
	s->events[2] = evsignal_new(base, SIGUSR1, on_print, g);
	s->events[3] = evsignal_new(base, SIGHUP, on_reload, g);
	for (size_t i = 0; i < ARRAY_LEN(s->events); i++) {
		if (!s->events[i] || event_add(s->events[i], NULL) < 0) {
			signals_free(s);
			return err_new(-ENOMEM);
		}
	}
	*out = s;
	return 0;
}

void signals_free(struct signals *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < ARRAY_LEN(s->events); i++)
		if (s->events[i])
			event_free(s->events[i]);
	free(s);
}
