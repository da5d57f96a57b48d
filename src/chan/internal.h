/* What the files of chan/ share: the channel itself. */
#ifndef ENG_CHAN_INTERNAL_H
#define ENG_CHAN_INTERNAL_H

#include <sys/queue.h>

#include <event2/event.h>

#include "base/log.h"
#include "chan/channel.h"
#include "chan/rx.h"

TAILQ_HEAD(chan_list, chan);

struct chan_loop {
	struct event_base *base;
	struct event *tick;   /* 1 s: timeouts and keepalive of every channel */
	struct event *reaper; /* frees what was closed, outside of everybody's callbacks */
	struct control_hello own;
	struct chan_list live, dead;
	size_t n_live, n_strangers;
	struct queue_budget budget;
	struct log_limit stranger_log, peer_log;
	uint8_t *rxbuf;	    /* RX_HEADROOM, then CHAN_RX_BUF bytes */
	uint64_t n_packets; /* moved by any channel, either way: traffic is going on */
};

struct chan {
	struct chan_loop *loop;
	struct chan_config cfg;
	TAILQ_ENTRY(chan) link;
	enum chan_state state;
	enum chan_protocol protocol;
	enum chan_reason why; /* it was closed */
	bool dialled;	      /* by us */
	bool was_open;
	int fd;
	struct event *ev_read, *ev_write;
	struct rx rx;
	struct queue txq;
	uint64_t born_ms, heard_ms, ping_ms, moved_ms, drain_ms;
	uint64_t ping_token; /* of the PING under way; 0 = none */
	struct control_hello peer;
	struct chan_stats stats;
	void *data;
	char name[ENDPOINT_TEXT_MAX + CONTROL_NAME_MAX];
	char detail[CONTROL_TEXT_MAX + 1]; /* why it was closed, in more words; may be "" */
};

/* The only place that changes a state. */
void chan_step(struct chan *c, enum chan_event event);
void chan_close_detail(struct chan *c, enum chan_reason why, const char *detail);
void chan_say_hello(struct chan *c);
/* The peer is known (and, on tcp://, allowed by configuration): OPEN and the owner's turn. */
void chan_open(struct chan *c, enum chan_protocol protocol);
/* frames.c: one frame in the channel's present state. CHAN_OK or why to close. */
enum chan_reason chan_frame(struct chan *c, struct span frame, struct span body);
/* transmit.c */
void chan_flush(struct chan *c);
/* For the loop: time passes; this side stops; what was closed is freed. */
void chan_tick(struct chan *c, uint64_t now_ms);
void chan_drain(struct chan *c);
void chan_reap(struct chan_loop *l);

#endif
