/*
 * The door for whoever runs the gateway; see admin.h.
 *
 * A visitor says a line, gets the answer and then the end of the stream, and goes; what else he
 * says is read and thrown away meanwhile, because to close a socket with something unread in it
 * would take the answer away from him. There are few places, and who has been there longest gives
 * way. A descriptor is kept for the first of them: when there are no more, somebody will ask why.
 */
#include "entg/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "entg/gateway.h"
#include "io/stream.h"

enum {
	VISITORS_MAX = 4,    /* one who asks and a few who watch */
	LINE_MAX_BYTES = 32, /* longer than any command */
	VISIT_S = 5,	     /* to say a line, to take the answer, to go */
};

struct visitor {
	struct admin *a;
	struct bufferevent *bev;
	bool answered, heard; /* his line has its answer; all of it is sent */
	bool drain, gone;     /* what he asked for is still to be done; he says no more */
	TAILQ_ENTRY(visitor) link;
};

struct admin {
	struct gateway *g;
	struct event_base *base;
	struct event *event, *again; /* who comes; the door opens again */
	int fd, spare;
	size_t n_visitors;
	TAILQ_HEAD(, visitor) visitors; /* in the order of their arrival */
};

const char *admin_parse(const char *text, struct endpoint *out)
{
	static const char right[] =
		"write a loopback address and a port: 127.0.0.1:6981 or [::1]:6981";
	static const uint8_t v6_loopback[16] = { [15] = 1 };
	struct addr a, one = addr_v6(v6_loopback);
	struct endpoint e;

	if (endpoint_parse_listen(text, &e) || !addr_parse(e.host, &a))
		return right;
	if (a.family == AF_INET ? a.bytes[0] != IN_LOOPBACKNET : !addr_equal(&a, &one))
		return right;
	*out = e;
	return NULL;
}

static void keep_spare(struct admin *a)
{
	if (a->spare < 0)
		a->spare = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
}

/* Closed here and now, and not by libevent, which may put that off: somebody else would have it. */
static void visitor_free(struct visitor *v)
{
	struct admin *a = v->a;
	const int fd = bufferevent_getfd(v->bev);

	TAILQ_REMOVE(&a->visitors, v, link);
	a->n_visitors--;
	(void)bufferevent_setfd(v->bev, -1);
	stream_close(fd, 0);
	keep_spare(a);
	bufferevent_free(v->bev);
	free(v);
}

static void to_visitor(void *ctx, const char *line, size_t n)
{
	struct evbuffer *out = ctx;

	(void)evbuffer_add(out, line,
			   n); /* out of memory: the answer is cut, the gateway goes on */
}

static void answer(struct visitor *v, const char *command)
{
	struct evbuffer *out = bufferevent_get_output(v->bev);

	v->answered = true;
	if (strcmp(command, "status") == 0) {
		log_divert(to_visitor, out);
		gateway_print(v->a->g);
		log_divert(NULL, NULL);
	} else if (strcmp(command, "drain") == 0) {
		v->drain = true;
		(void)evbuffer_add_printf(out, "draining\n");
	} else if (strcmp(command, "reload") == 0) {
		log_divert(to_visitor, out);
		gateway_reload(v->a->g);
		log_divert(NULL, NULL);
		(void)evbuffer_add_printf(out, "done\n");
	} else {
		(void)evbuffer_add_printf(out,
					  "error: the commands are status, drain and reload\n");
	}
}

static void obey(struct visitor *v)
{
	if (!v->drain)
		return;
	v->drain = false;
	log_info("stopping", "by=admin");
	gateway_stop(v->a->g);
}

/* The visit is over, however it ended: what was asked for is done all the same. */
static void leave(struct visitor *v)
{
	obey(v);
	visitor_free(v);
}

static void on_line(struct bufferevent *bev, void *arg)
{
	struct visitor *v = arg;
	char command[LINE_MAX_BYTES];
	size_t n;
	char *line;

	if (v->answered) {
		evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
		return;
	}
	line = evbuffer_readln(bufferevent_get_input(bev), &n, EVBUFFER_EOL_CRLF);
	if (!line && evbuffer_get_length(bufferevent_get_input(bev)) < sizeof(command))
		return;
	snprintf(command, sizeof(command), "%s", line ? line : "");
	free(line);
	answer(v, command);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct visitor *v = arg;

	if (!v->answered || v->heard)
		return;
	v->heard = true;
	obey(v);
	if (v->gone)
		leave(v);
	else
		(void)shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct visitor *v = arg;

	(void)bev;
	/* One who has said everything may close that half, and still takes the answer. */
	v->gone = true;
	if (!(what & BEV_EVENT_EOF) || !v->answered || v->heard)
		leave(v);
}

static void welcome(struct admin *a, int fd)
{
	static const struct timeval limit = { .tv_sec = VISIT_S };
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v) {
		stream_close(fd, 1);
		return;
	}
	*v = (struct visitor){ .a = a };
	v->bev = bufferevent_socket_new(a->base, fd, 0);
	if (!v->bev) {
		stream_close(fd, 1);
		free(v);
		return;
	}
	if (a->n_visitors == VISITORS_MAX)
		leave(TAILQ_FIRST(&a->visitors));
	TAILQ_INSERT_TAIL(&a->visitors, v, link);
	a->n_visitors++;
	bufferevent_setcb(v->bev, on_line, on_written, on_end, v);
	bufferevent_set_timeouts(v->bev, &limit, &limit);
	bufferevent_setwatermark(v->bev, EV_READ, 0, LINE_MAX_BYTES);
	if (bufferevent_enable(v->bev, EV_READ | EV_WRITE) < 0)
		visitor_free(v);
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
	static const struct timeval pause = { .tv_usec = 50000 };
	struct admin *a = arg;
	struct addr peer;
	uint16_t port;
	int r, fd;

	(void)what;
	r = stream_accept(listen_fd, &fd, &peer, &port);
	if ((r == -EMFILE || r == -ENFILE) && a->spare >= 0) {
		fd_closep(&a->spare);
		r = stream_accept(listen_fd, &fd, &peer, &port);
	}
	if (r == 0)
		welcome(a, fd);
	if (r >= 0)
		return;
	event_del(a->event); /* or who waits outside would be seen again and again */
	event_add(a->again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct admin *a = arg;

	(void)fd;
	(void)what;
	keep_spare(a);
	event_add(a->event, NULL);
}

int admin_new(struct event_base *base, const struct endpoint *on, struct gateway *g,
	      struct admin **out)
{
	static const struct stream_options plain = { .congestion = "" };
	struct admin *a = calloc(1, sizeof(*a));
	struct addr addr;
	int r;

	if (!a)
		return err_new(-ENOMEM);
	*a = (struct admin){ .g = g, .base = base, .fd = -1, .spare = -1 };
	TAILQ_INIT(&a->visitors);
	r = addr_parse(on->host, &addr) ? stream_listen(&addr, on->port, &plain, &a->fd) : -EINVAL;
	if (r == 0) {
		a->event = event_new(base, a->fd, EV_READ | EV_PERSIST, on_accept, a);
		a->again = event_new(base, -1, 0, on_again, a);
		if (!a->event || !a->again || event_add(a->event, NULL) < 0)
			r = -ENOMEM;
		keep_spare(a);
	}
	if (r < 0) {
		admin_free(a);
		return err_pass(r);
	}
	*out = a;
	return 0;
}

void admin_free(struct admin *a)
{
	struct visitor *v;

	if (!a)
		return;
	while ((v = TAILQ_FIRST(&a->visitors)))
		visitor_free(v);
	if (a->event)
		event_free(a->event);
	if (a->again)
		event_free(a->again);
	fd_closep(&a->spare);
	stream_close(a->fd, 0);
	free(a);
}
