/* What the files of chan/ share: the channel itself. */
#ifndef ENG_CHAN_INTERNAL_H
#define ENG_CHAN_INTERNAL_H

#include <sys/queue.h>

#include <event2/event.h>

#include "base/log.h"
#include "chan/channel.h"
#include "chan/polling.h"
#include "chan/rx.h"
#include "chan/share.h"
#include "io/congestion.h"

TAILQ_HEAD(chan_list, chan);
TAILQ_HEAD(door_list, door);

struct chan_loop {
	struct event_base *base;
	struct event *tick;   /* 1 s: timeouts and keepalive of every channel */
	struct event *reaper; /* frees what was closed, outside of everybody's callbacks */
	struct control_hello own;
	struct chan_list live, dead;
	size_t n_live, n_strangers, strangers_max;
	/* door.c: strangers that have something to say, in the order of their arrival. */
	struct chan_list waiting;
	struct door_list doors;
	struct event *turn; /* of the first of them */
	struct share share;
	uint64_t n_arrivals;
	struct queue_budget budget;
	struct log_limit stranger_log, peer_log;
	uint8_t *rxbuf; /* RX_HEADROOM, then CHAN_RX_BUF bytes */
	/* Made for the first rats-tls channel: CHAN_SEAL_BUF bytes each, as received and to send.
	 */
	uint8_t *sealed_in, *sealed_out;
	uint8_t *evidence_out; /* FRAME_HEAD + FRAME_MAX bytes */
	struct polling polling;
	uint64_t n_packets; /* moved by any channel, either way: traffic is going on */
};

struct chan {
	struct chan_loop *loop;
	struct chan_config cfg;
	TAILQ_ENTRY(chan) link, waiting;
	enum chan_state state;
	enum chan_protocol protocol;
	enum chan_reason why; /* it was closed */
	bool dialled;	      /* by us */
	bool was_open;
	bool is_paused; /* not read: see chan_handler.may_read */
	bool waits;	/* to be heard, since waits_ms */
	uint64_t arrival, waits_ms;
	int fd;
	struct endpoint remote;
	struct event *ev_read, *ev_write;
	struct rx rx;
	struct queue txq;
	struct rtls_session *tls; /* NULL: tcp:// */
	struct attestation *att;  /* NULL: tcp:// */
	/* Encrypted, and not taken by the socket yet: goes before all else. NULL: nothing. */
	uint8_t *pending;
	size_t pending_at, pending_n;
	uint64_t born_ms, heard_ms, ping_ms, moved_ms, drain_ms;
	uint64_t ping_token; /* of the PING under way; 0 = none */
	bool is_near;	     /* as stream_bound_queues() found */
	/*
	 * transmit.c, chan_probe(): bytes of packets given so far, and those that the peer has
	 * read; the token of the PING that asks (0 = none), how far it had got, and when.
	 */
	uint64_t given, read_to, probe, probe_at, probe_ms;
	bool is_mute;			   /* does not answer: is not asked any more */
	enum congestion_distance distance; /* if cfg.adapts */
	uint64_t while_ms, while_bytes;	   /* transmit.c, wake(): since when, from where on */
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
/*
 * The peer is known, and trusted for the reason that the event says (PLAIN_PEER or TRUSTED): OPEN
 * and the owner's turn.
 */
void chan_open(struct chan *c, enum chan_event event, enum chan_protocol protocol);
/* frames.c: one frame in the channel's present state. CHAN_OK or why to close. */
enum chan_reason chan_frame(struct chan *c, struct span frame, struct span body);
/* transmit.c */
void chan_flush(struct chan *c);
void chan_flush_soon(struct chan *c); /* when the socket takes more */
void chan_adapt(struct chan *c);      /* to the peer's distance, as it is known now */
void chan_probe_answered(struct chan *c);
void chan_probe_tick(struct chan *c, uint64_t now_ms);
/* Encrypted bytes: what the socket does not take becomes `pending`. False: the channel is closed.
 */
bool chan_send_sealed(struct chan *c, const uint8_t *bytes, size_t n);

/* door.c */
void stranger_waits(struct chan *c); /* it is readable, and is heard when its turn comes */
void stranger_leaves(struct chan *c);
void door_on_turn(evutil_socket_t fd, short what, void *loop);
/* channel.c: reads what has come from a stranger, and goes on listening to it. */
void chan_hear(struct chan *c);

/* tls.c: a channel's TLS session. */
MUST_USE int tls_start(struct chan *c); /* 0 or -errno */
/* n bytes have come into loop->sealed_in. */
void tls_received(struct chan *c, size_t n);
/* What the session itself has to say goes out. False: the channel is closed. */
bool tls_talk(struct chan *c);
/* Encrypts and sends from offset 0 on; *out_taken bytes are on their way. False: closed. */
bool tls_send(struct chan *c, const struct iovec *iov, int n_iov, size_t *out_taken);
/* The last words: a frame (may be empty), and that nothing more comes. Best effort. */
void tls_farewell(struct chan *c, struct span frame);
/* channel.c: one batch of plaintext; see rx_room(). False: the channel is closed. */
bool chan_take_batch(struct chan *c, struct rx_batch *batch);

/* attestation.c: evidence of both sides, on a rats-tls channel. */
MUST_USE int attestation_new(struct chan *c); /* 0 or -ENOMEM */
void attestation_free(struct chan *c);
void attestation_challenge(struct chan *c);   /* right behind our HELLO */
void attestation_begin(struct chan *c);	      /* APPRAISING: both HELLOs are there */
void attestation_certificate(struct chan *c); /* APPRAISING: a v0 peer, by its certificate */
enum chan_reason attestation_frame(struct chan *c, enum frame_type type, struct span body);
void attestation_tick(struct chan *c, uint64_t now_ms);
void attestation_reappraise(struct chan *c);
void chan_print_peer(const struct chan *c, uint64_t now_ms); /* who it is, to the log */
/* For the loop: time passes; this side stops; what was closed is freed. */
void chan_tick(struct chan *c, uint64_t now_ms);
void chan_drain(struct chan *c);
void chan_reap(struct chan_loop *l);

#endif
