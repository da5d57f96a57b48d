/*
 * Keeping a channel up; see link.h.
 *
 * A round tries every endpoint once and then waits; the wait doubles from LINK_BACKOFF_MIN_MS and
 * is drawn at random around that, so that agents that lost the same gateway do not come back in
 * step. Names are resolved anew for every try, by libevent's resolver, which never blocks the loop.
 */
#include "chan/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "io/stream.h"

struct link {
	struct chan_loop *loop;
	struct chan_config cfg;
	struct endpoint endpoints[LINK_ENDPOINTS_MAX];
	size_t n_endpoints, next;
	struct stream_options options;
	uint32_t backoff_ms;
	bool stopped, up;
	bool told; /* the log knows that the link is down */
	struct event *timer;
	struct evdns_base *dns; /* made when the first name has to be resolved */
	struct evdns_getaddrinfo_request *lookup;
	struct chan *chan;
};

static void schedule(struct link *k, uint32_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (long)(ms % 1000) * 1000 };

	if (!k->stopped)
		event_add(k->timer, &tv);
}

static uint32_t jitter(uint32_t ms)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return ms;
	return ms / 2 + random % ms;
}

/* This try failed: the next endpoint at once, or after all of them a wait. */
static void try_next(struct link *k, const char *why)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!k->told)
		log_warn("link-down", "to=%s reason=\"%s\" retry=%dms",
			 endpoint_format(&k->endpoints[k->next], text), why, LINK_BACKOFF_MAX_MS);
	k->told = true;
	k->next = (k->next + 1) % k->n_endpoints;
	if (k->next != 0) {
		schedule(k, 1);
		return;
	}
	schedule(k, jitter(k->backoff_ms));
	k->backoff_ms *= 2;
	if (k->backoff_ms > LINK_BACKOFF_MAX_MS)
		k->backoff_ms = LINK_BACKOFF_MAX_MS;
}

static void dial_addr(struct link *k, const struct addr *to)
{
	const struct endpoint *e = &k->endpoints[k->next];
	int r;

	r = chan_connect(k->loop, &k->cfg, to, e->port, &k->options, &k->chan);
	if (r < 0) {
		k->chan = NULL;
		try_next(k, err_text(r));
	}
}

static void on_resolved(int result, struct evutil_addrinfo *list, void *arg)
{
	struct link *k = arg;
	struct addr to;
	uint16_t port;

	k->lookup = NULL;
	if (result == EVUTIL_EAI_CANCEL)
		return;
	if (result != 0 || !list || !addr_from_sockaddr(list->ai_addr, &to, &port))
		try_next(k, result != 0 ? evutil_gai_strerror(result) : "no address");
	else
		dial_addr(k, &to);
	if (list)
		evutil_freeaddrinfo(list);
}

static void resolve(struct link *k, const char *host)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC,
					 .ai_socktype = SOCK_STREAM,
					 .ai_flags = EVUTIL_AI_ADDRCONFIG };

	if (!k->dns)
		k->dns = evdns_base_new(chan_loop_base(k->loop),
					EVDNS_BASE_INITIALIZE_NAMESERVERS |
						EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!k->dns) {
		try_next(k, "no name server configured");
		return;
	}
	k->lookup = evdns_getaddrinfo(k->dns, host, NULL, &hints, on_resolved, k);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;
	struct addr to;

	(void)fd;
	(void)what;
	if (k->chan || k->lookup || k->stopped)
		return;
	if (addr_parse(k->endpoints[k->next].host, &to))
		dial_addr(k, &to);
	else
		resolve(k, k->endpoints[k->next].host);
}

int link_new(struct chan_loop *l, const struct chan_config *cfg, const struct endpoint *endpoints,
	     size_t n_endpoints, const struct stream_options *o, struct link **out)
{
	struct link *k = calloc(1, sizeof(*k));

	if (!k)
		return err_new(-ENOMEM);
	*k = (struct link){ .loop = l, .cfg = *cfg, .n_endpoints = n_endpoints, .options = *o };
	k->backoff_ms = LINK_BACKOFF_MIN_MS;
	memcpy(k->endpoints, endpoints, n_endpoints * sizeof(*endpoints));
	k->timer = event_new(chan_loop_base(l), -1, 0, on_timer, k);
	if (!k->timer) {
		free(k);
		return err_new(-ENOMEM);
	}
	schedule(k, 0);
	*out = k;
	return 0;
}

void link_free(struct link *k)
{
	if (!k)
		return;
	if (k->lookup)
		evdns_getaddrinfo_cancel(k->lookup);
	if (k->dns)
		evdns_base_free(k->dns, 0);
	event_free(k->timer);
	free(k);
}

void link_up(struct link *k)
{
	k->up = true;
	k->told = false;
	k->backoff_ms = LINK_BACKOFF_MIN_MS;
}

void link_lost(struct link *k)
{
	bool was_up = k->up;

	k->chan = NULL;
	k->up = false;
	if (k->stopped)
		return;
	if (!was_up) {
		try_next(k, "no gateway answers");
		return;
	}
	k->next = 0; /* start over with the endpoint that is preferred */
	schedule(k, jitter(LINK_BACKOFF_MIN_MS));
}

void link_stop(struct link *k)
{
	k->stopped = true;
	event_del(k->timer);
	if (k->lookup)
		evdns_getaddrinfo_cancel(k->lookup);
}

void link_restart(struct link *k, const struct endpoint *to)
{
	k->stopped = k->told = false;
	k->endpoints[0] = *to;
	k->n_endpoints = 1;
	k->next = 0;
	k->backoff_ms = LINK_BACKOFF_MIN_MS;
	schedule(k, 0);
}

struct chan *link_chan(const struct link *k)
{
	return k->chan;
}
