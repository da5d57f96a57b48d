/*
 * The states of a channel (DESIGN 6). State 0 is CLOSED, and what the table lacks closes the
 * channel. No row reaches OPEN without a verdict TRUSTED, but for a peer that the local
 * configuration itself names as tcp://.
 *
 *                 accept                    hello              trusted
 *   CLOSED ───────────────────► HANDSHAKE ────────► APPRAISING ────────► OPEN ──► DRAINING
 *      └─────► CONNECTING ────────▲  └────────────────────────────────────▲
 *      connect            connected        plain-peer (tcp:// by local configuration only)
 */
#ifndef ENG_CHAN_STATE_H
#define ENG_CHAN_STATE_H

enum chan_state {
	CHAN_CLOSED = 0,
	CHAN_CONNECTING,
	CHAN_HANDSHAKE,
	CHAN_APPRAISING,
	CHAN_OPEN,
	CHAN_DRAINING,
	CHAN_N_STATES,
};

enum chan_event {
	CHAN_EV_CLOSE = 0,  /* never in the table: closes from everywhere */
	CHAN_EV_CONNECT,    /* we dial */
	CHAN_EV_ACCEPT,	    /* somebody dialled us */
	CHAN_EV_CONNECTED,  /* TCP is up */
	CHAN_EV_HELLO,	    /* the peer of a rats-tls link introduced itself, by HELLO or, in v0,
			       by its certificate: its evidence is next */
	CHAN_EV_PLAIN_PEER, /* the peer of a link that the configuration names tcp:// introduced
			       itself */
	CHAN_EV_TRUSTED,    /* the verifier said so */
	CHAN_EV_DRAIN,	    /* this side stops: send what is queued, then close */
	CHAN_N_EVENTS,
};

/* The next state; CHAN_CLOSED for everything that the table lacks, nonsense included. */
enum chan_state chan_state_next(enum chan_state state, enum chan_event event);
const char *chan_state_name(enum chan_state state);

#endif
