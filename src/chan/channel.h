/*
 * A channel: one connection to a peer, from the socket to whole frames, and the only place where a
 * peer becomes trusted (state.h). It keeps the stream alive, answers for its protocol (HELLO, PING,
 * GOAWAY, ERROR), checks every packet's form, and counts. What to do with packets and routes is its
 * owner's business, through struct chan_handler.
 *
 * Everything of a process that channels share is a struct chan_loop. One thread, no locks.
 *
 * Nothing is freed inside a callback: chan_close() shuts the socket at once, `closed` comes later
 * from the loop, and the channel is gone when that returns.
 */
#ifndef ENG_CHAN_CHANNEL_H
#define ENG_CHAN_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include <rats_tls.h>

#include "base/addr.h"
#include "base/queue.h"
#include "chan/state.h"
#include "wire/control.h"
#include "wire/gso.h"
#include "wire/ip.h"

struct appraisal;
struct appraiser;
struct chan;
struct chan_loop;
struct event_base;
struct prover;
struct stream_options;

enum {
	CHAN_RX_BUF = 256 * 1024, /* bytes: one read; fits the L2 cache with its frames */
	CHAN_TXQ_MAX =
		4 * 1024 * 1024, /* bytes queued for one peer: 30 ms at 1 Gbit/s; then drop */
	CHAN_TXQ_BUDGET = 64 * 1024 * 1024, /* bytes queued for all of them (queue.h) */
	CHAN_UNSENT = 256 * 1024,	    /* bytes in a socket that TCP has not sent yet, about */
	CHAN_UNSENT_AGENT = 128 * 1024,
	CHAN_CONTROL_RESERVE = 32 * 1024, /* of a queue that packets leave to control frames */
	CHAN_EVIDENCE_RESERVE =
		CHAN_CONTROL_RESERVE + FRAME_MAX, /* the same, where EVIDENCE is among them */
	CHAN_CONNECT_MS = 3000, /* then the next address: a fresh SYN beats a late retransmission */
	CHAN_HANDSHAKE_MS = 10000, /* to introduce oneself */
	CHAN_EVIDENCE_MS = 30000,  /* to answer a CHALLENGE: a fresh enclave takes ten seconds */
	/*
	 * Bytes of records, read or sent at once: a whole batch and what its records add, so that
	 * the next hop reads whole frames and has no seams to copy; and hardly more, or it would
	 * read a part of the next one. What a blocked socket leaves of it stays with the channel.
	 */
	CHAN_SEAL_BUF = CHAN_RX_BUF + (CHAN_RX_BUF / RTLS_RECORD_MAX + 1) * RTLS_RECORD_OVERHEAD,
	CHAN_UNTRUSTED_MAX = 2 * FRAME_MAX, /* bytes from and to a peer before it is trusted: two
					       HELLOs and the largest EVIDENCE */
	CHAN_COMPAT_SILENCE_MS = 1000, /* after which --compat takes a silent peer for a v0 one */
	CHAN_PING_MS = 5000,
	CHAN_PROBE_MS = 1000,  /* a peer that has not answered chan_probe() is not asked again */
	CHAN_DEAD_MS = 13000,  /* nothing heard: with the 1 s tick, noticed within 15 s */
	CHAN_STUCK_MS = 10000, /* a queue that does not move */
	CHAN_DRAIN_MS = 500,
	CHAN_POLL_US =
		50, /* chan_loop_run(): longer than a hop's turn, shorter than anybody notices */
};

enum chan_protocol { CHAN_PROTOCOL_NONE = 0, CHAN_PROTOCOL_V0, CHAN_PROTOCOL_ENG1 };

/* Why a channel was closed: the word in the log line. */
enum chan_reason {
	CHAN_OK = 0,	 /* not closed */
	CHAN_R_STOP,	 /* this side stops */
	CHAN_R_EOF,	 /* the peer closed */
	CHAN_R_IO,	 /* the kernel reported an error */
	CHAN_R_GOAWAY,	 /* the peer stops */
	CHAN_R_ERROR,	 /* the peer sent ERROR; its text is logged with it */
	CHAN_R_CONNECT,	 /* nobody there */
	CHAN_R_DEAD,	 /* nothing heard for CHAN_DEAD_MS */
	CHAN_R_STUCK,	 /* took nothing for CHAN_STUCK_MS, or let control frames pile up */
	CHAN_R_SILENT,	 /* did not introduce itself in time */
	CHAN_R_CROWDED,	 /* made room for newer strangers */
	CHAN_R_LIMIT,	 /* more peers or routes than there may be */
	CHAN_R_REPLACED, /* the same node came back on a new connection */
	CHAN_R_EMPTY_FRAME,
	CHAN_R_LONG_FRAME,
	CHAN_R_TLS,	   /* speaks TLS on a tcp:// link */
	CHAN_R_FRAME_TYPE, /* a first byte that has no meaning (here) */
	CHAN_R_CONTROL,	   /* malformed control frame */
	CHAN_R_VERSION,
	CHAN_R_HELLO_EXPECTED, /* eng/1 frame before HELLO */
	CHAN_R_HELLO_AGAIN,    /* HELLO twice, or after packets */
	CHAN_R_ROLE,	       /* an agent on the gateways' port or the reverse */
	CHAN_R_SELF,	       /* this very process */
	CHAN_R_LANE,	       /* a lane of nobody, a listener's, or one that is not packets */
	CHAN_R_PREFIX_TAKEN,   /* somebody else owns the prefix */
	CHAN_R_PREFIX_MISSING, /* an agent without any prefix */
	CHAN_R_SOURCE,	       /* a packet from an address that the peer does not own */
	CHAN_R_ROUTES,	       /* ROUTES from an agent, or of a gateway for what it may not have */
	CHAN_R_UNTRUSTED,      /* no verdict TRUSTED; the check that failed is logged with it */
	CHAN_R_NO_EVIDENCE,    /* did not answer a CHALLENGE in time */
	CHAN_R_NOT_ACCEPTED,   /* did not say in time that it accepts us */
	CHAN_R_EVIDENCE,       /* unasked for, for another challenge, or twice */
	CHAN_R_CHALLENGE,    /* a CHALLENGE before the last was answered, too often, or on tcp:// */
	CHAN_R_ACCEPT,	     /* ACCEPT twice */
	CHAN_R_EARLY,	     /* a frame that must wait until both sides have accepted */
	CHAN_R_CANNOT_PROVE, /* challenged, but this side has no attester, or it fails */
	CHAN_R_HANDSHAKE,    /* TLS: not accepted, or broken */
	CHAN_R_DENIED,	     /* a prefix that the policy does not grant to this identity */
	CHAN_R_REGRANTED,    /* what it may own has changed: it is to introduce itself anew */
	CHAN_R_MEMORY,
	CHAN_R_PACKET, /* first of the GSO_E_* and IP_E_* values, whose words gso_reason() has */
	CHAN_R_END = CHAN_R_PACKET + 64,
};

const char *chan_reason_word(enum chan_reason r);

/* Why a packet was not delivered; the peer stays. */
enum chan_drop {
	CHAN_DROP_QUEUE = 0, /* the next hop does not keep up */
	CHAN_DROP_NO_ROUTE,
	CHAN_DROP_TTL,
	CHAN_DROP_LOOP,	  /* would go back where it came from */
	CHAN_DROP_SOURCE, /* a neighbour's packet whose route has just moved; or not from a TUN
			     address */
	CHAN_DROP_DOWN,	  /* the channel is not open */
	CHAN_DROP_FORM,	  /* not a packet that may cross: fragment, options, multicast, … */
	CHAN_N_DROPS,
};

struct chan_stats {
	uint64_t frames_in, bytes_in, packets_in, packet_bytes_in, reads;
	uint64_t pauses; /* how often its owner did not let it be read */
	uint64_t frames_out, bytes_out, sends;
	uint64_t queued_bytes; /* copied into the queue because the socket was full */
	uint64_t drops[CHAN_N_DROPS];
	uint32_t rtt_us; /* of the last PING; 0 = not known */
};

/* A packet as it arrived: the frame that can be forwarded as it is, and what is known of it. */
struct chan_packet {
	struct span frame;  /* with head */
	struct span packet; /* the IP packet in it */
	bool is_gso;	    /* FRAME_PACKET_GSO */
	struct gso gso;
	struct ip_info info;
};

/*
 * What an owner does. Who returns a reason returns CHAN_OK, or why the channel has to be closed.
 * All but may_read are required.
 */
struct chan_handler {
	/* The peer has introduced itself and is trusted. */
	enum chan_reason (*open)(void *owner, struct chan *c);
	/* Before an open channel is read. False: not until chan_resume(). NULL: always. */
	bool (*may_read)(void *owner, struct chan *c);
	/* Borrowed until batch_end. */
	enum chan_reason (*packet)(void *owner, struct chan *c, const struct chan_packet *p);
	enum chan_reason (*routes)(void *owner, struct chan *c, const struct control_routes *r);
	/* No more packets for now: what was borrowed must be used up. */
	void (*batch_end)(void *owner, struct chan *c);
	/*
	 * The peer was judged anew, by new evidence or a new policy, and is still trusted; what it
	 * may own may have changed.
	 */
	enum chan_reason (*reattested)(void *owner, struct chan *c, bool grants_changed);
	/* What was queued is sent, or chan_probe() is answered. */
	void (*writable)(void *owner, struct chan *c);
	/* Closed, and freed when this returns; also for channels that never were open. */
	void (*closed)(void *owner, struct chan *c, enum chan_reason why);
};

/* What rats-tls links of one kind prove and demand. Zero-initialised nobody is trusted. */
struct chan_trust {
	const struct rtls_identity *identity; /* this process's key and certificate */
	struct prover *prover;		      /* makes this side's evidence; NULL: there is none */
	struct appraiser *appraiser;	      /* judges the peer's; NULL: nobody can */
	bool unattested; /* the local configuration says in words that these peers need no proof */
	unsigned reattest_s;	    /* how often an open peer is challenged again; 0: never */
	const char *cipher_backend; /* rats_session(3); NULL: the fastest */
};

struct chan_config {
	const struct chan_handler *handler; /* borrowed for ever */
	void *owner;
	enum control_role expect; /* the role the peer must have */
	bool plain;  /* tcp:// by local configuration: the only way to OPEN without a verdict */
	bool compat; /* v0: say nothing first, and take a silent peer for a v0 one */
	bool adapts; /* congestion control follows the peer's distance (io/congestion.h) */
	const struct chan_trust *trust; /* borrowed for ever; unless plain */
	uint8_t lane; /* what our HELLO says when we dial; the peer's is chan_peer()->lane */
};

/* own: what HELLO says; copied. base: borrowed. 0 or -errno. */
MUST_USE int chan_loop_new(struct event_base *base, const struct control_hello *own,
			   struct chan_loop **out);
void chan_loop_free(struct chan_loop *l); /* every channel must be gone */
/* One of n loops of this process: its part of CHAN_TXQ_BUDGET and DOOR_STRANGERS_MAX. */
void chan_loop_share_limits(struct chan_loop *l, size_t n);
struct event_base *chan_loop_base(const struct chan_loop *l);
const struct control_hello *chan_loop_own(const struct chan_loop *l);
void chan_loop_set_features(struct chan_loop *l, uint32_t features); /* for HELLOs from now on */
/*
 * Runs the event loop until it is told to end. After a packet it looks for the next one for poll_us
 * microseconds, giving way to every other process, before it sleeps: waking a sleeping processor
 * costs more than all the work on a small packet. An idle loop sleeps, and so does one that mostly
 * looks in vain (polling.h).
 */
void chan_loop_run(struct chan_loop *l, unsigned poll_us);
/* Closes every channel: open ones get GOAWAY and CHAN_DRAIN_MS to take what is queued. */
void chan_loop_drain(struct chan_loop *l);
size_t chan_loop_count(const struct chan_loop *l);
/* The appraiser of this trust has a new policy: whom it refuses is closed. */
void chan_loop_reappraise(struct chan_loop *l, const struct chan_trust *trust);
size_t chan_loop_strangers(const struct chan_loop *l); /* accepted, not open */
/* Closes the one that has waited longest. False: there is none. */
bool chan_loop_evict_stranger(struct chan_loop *l);
/* What the loops of a process have in sum. */
struct chan_totals {
	size_t peers, strangers, queued; /* queued: bytes of the budget */
};
/* Counters of every channel, to the log; adds to the totals, which are printed last. */
void chan_loop_print(const struct chan_loop *l, struct chan_totals *sum);
void chan_print_totals(const struct chan_totals *sum);

/* An accepted socket; the channel owns fd, on failure too. 0 or -errno. */
MUST_USE int chan_accept_take_fd(struct chan_loop *l, const struct chan_config *cfg, int fd,
				 const struct addr *peer, uint16_t port, struct chan **out);
/* Dials. 0 or -errno. */
MUST_USE int chan_connect(struct chan_loop *l, const struct chan_config *cfg, const struct addr *to,
			  uint16_t port, const struct stream_options *o, struct chan **out);

/* Closes now; `closed` follows from the loop. A second call changes nothing. */
void chan_close(struct chan *c, enum chan_reason why);

/*
 * Sends whole frames, as they lie, in the order given: no copy while the socket takes them; the
 * rest is queued, and dropped and counted, whole frames only, when the queue is full. iov is used
 * up.
 */
void chan_send(struct chan *c, struct iovec *iov, int n_iov);
uint64_t chan_count_frames(const struct iovec *iov,
			   int n_iov); /* whole ones, as chan_send() takes */
/* A control frame: never dropped; a peer that lets them pile up is closed. */
void chan_send_control(struct chan *c, const uint8_t *frame, size_t n);
bool chan_is_blocked(const struct chan *c); /* something is queued */
/*
 * TCP says what has arrived, not what has been read. chan_probe() asks that of the peer, by a PING
 * behind what was sent, unless it was asked and has not answered yet; when it has, `writable` is
 * called. chan_unread(): bytes of packets sent that it may not have read; 0 while it is not being
 * asked. Only a peer that is near is asked: else the answer takes longer than there is to learn.
 */
void chan_probe(struct chan *c);
size_t chan_unread(const struct chan *c);
void chan_count_drop(struct chan *c, enum chan_drop why);
void chan_resume(struct chan *c); /* it is read again; see chan_handler.may_read */

enum chan_state chan_state(const struct chan *c);
enum chan_protocol chan_protocol(const struct chan *c);
enum control_role chan_role(const struct chan *c);	     /* the peer's (expected) role */
const struct control_hello *chan_peer(const struct chan *c); /* eng/1: its HELLO; v0: empty */
uint32_t chan_features(const struct chan *c);		     /* what the peer takes */
bool chan_is_dialled(const struct chan *c);
uint8_t chan_lane(const struct chan *c); /* which of the connections of the node that dialled */
void chan_remote(const struct chan *c, struct endpoint *out); /* its address and port, numeric */
const char *chan_name(const struct chan *c); /* "192.0.2.1:4711" or with its node name, for logs */
/* The verdict on the peer's evidence; NULL: it was asked for none. */
const struct appraisal *chan_appraisal(const struct chan *c);
/*
 * Whether the policy lets this peer own the prefix. A peer that was asked for no evidence may own
 * what nobody else does: first come, first served.
 */
bool chan_may_own(const struct chan *c, const struct prefix *p);
const struct chan_stats *chan_stats(const struct chan *c);
void *chan_data(const struct chan *c); /* the owner's pointer for this channel, NULL at first */
void chan_set_data(struct chan *c, void *data);

#endif
